"""Fees: a purchase is counted with the account's own where Kraken tells it, never with less, and never without one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import ConfigError, Engine, Order, Settings, TradePlan
from engine.actors.order.fee_cache import CALL_TIMEOUT, DENIED_FOR, NEXT_GROUP, PAIRS_AT_ONCE, PAUSE, YOUNG, FeeCache
from engine.errors import CallError, CallUnknown, CounterFull, InvalidArguments, PermissionDenied
from engine.kraken.drift import MISSING, NEW, ODD
from engine.kraken.fees import ToldFees, dearest_of, fee_params, read_fees
from engine.kraken.pair_rows import find_rows, names_of
from engine.rules.gates.fees import DENIED, NOT_ANSWERED, NOT_ASKED, NOT_TOLD, choose_fee, has_room, percent_text
from engine.simulator import Fault, Simulator
from engine.values import Pair
from tests.conftest import QUICK
from tests.rules.gates.test_gates import XBT
from tests.stopwatch import PATIENCE

ETH = replace(XBT, id="XETHZUSD", altname="ETHUSD", wsname="ETH/USD", base="XETH")
BOUND = Decimal("0.008")
PARTS = st.decimals(min_value=0, max_value=1, places=6)
NOTHING = st.none() | st.booleans() | st.integers(max_value=-1) | st.sampled_from(
    ["", "-0.02", "x", "0.4 %", "NaN", "1e-1", "100.0001", "0,4", [], {}, Decimal("-1"), Decimal("NaN"), 101]
)  # fmt: skip


def reply(fee: Any = "0.2200", active: Any = None, name: str = "XBTUSD", **more: Any) -> dict[str, Any]:
    """A TradeVolume reply for one pair, in Kraken's shape of September 2026."""
    row = {"fee": fee, "minfee": "0.1000", "maxfee": "0.8000", "nextfee": None, "nextvolume": None}
    tiers: list[dict[str, Any]] = [{"maker_fee": "0.4000", "taker_fee": "0.8000"}]
    if active is not None:
        tiers.append({"maker_fee": "0.0000", "taker_fee": active, "active": True})
    return {
        "currency": "ZUSD", "volume": "0.0000", "fees": {name: row}, "fees_maker": {name: {**row, "fee": "0.1000"}},
        "schedules": [{"pair": name, "class": "forex", "tiers": tiers}], **more,
    }  # fmt: skip


def notes_of(result: Any) -> set[tuple[str, str]]:
    seen = set()
    read_fees(result, [XBT], note=lambda field, what: seen.add((field, what)))
    return seen


# --- the choice


@given(own=st.none() | PARTS, bound=PARTS, told=st.lists(st.none() | PARTS, max_size=5))
def test_a_fee_is_never_below_what_the_account_pays_nor_a_bound_below_anything_told(
    own: Decimal | None, bound: Decimal, told: list[Decimal | None]
) -> None:
    fee = choose_fee(own, bound, told)
    assert fee.is_own == (own is not None)
    if own is not None:
        assert fee.rate == own
    else:
        assert fee.rate == max([bound, *(each for each in told if each is not None)])


@given(rate=st.decimals(min_value=0, max_value=1, places=8))
def test_a_percentage_is_exact_and_has_two_decimals_at_least(rate: Decimal) -> None:
    number, sign = percent_text(rate).split(" ")
    assert (Decimal(number), sign) == (rate * 100, "%")
    assert len(number.partition(".")[2]) >= 2


# --- TradeVolume's reply


def test_it_is_asked_for_by_altname_and_with_a_lower_case_true() -> None:
    assert fee_params([XBT, ETH]) == {"pair": "XBTUSD,ETHUSD", "fee_schedule": "true"}


@pytest.mark.parametrize("name", ["XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD", "BTCUSD"])
def test_the_accounts_own_fee_is_found_by_any_name_of_the_pair(name: str) -> None:
    assert read_fees(reply("0.2200", "0.2200", name), [XBT, ETH]) == ToldFees({"XXBTZUSD": Decimal("0.0022")}, BOUND)


@pytest.mark.parametrize("name", ["xbtusd", "XBTEUR", "XBTUSDT", "", "USD/XBT"])
def test_the_row_of_another_pair_tells_nothing(name: str) -> None:
    assert read_fees(reply("0.2200", "0.2200", name), [XBT]).own == {}


@given(fee=PARTS, active=st.none() | PARTS)
def test_the_own_fee_is_never_below_that_of_the_accounts_tier(fee: Decimal, active: Decimal | None) -> None:
    told = read_fees(reply(str(fee * 100), None if active is None else str(active * 100)), [XBT])
    assert told.dearest >= max(fee, active or 0)
    own = told.own.get("XXBTZUSD")
    if active is not None and fee < active:
        assert own is None, "what speaks against itself is in doubt"
    else:
        assert own == max(fee, Decimal("0.001")), "the maker's fee counts where it is the dearer one"


@given(wrong=NOTHING)
def test_a_fee_that_cannot_be_read_is_in_doubt_whatever_stands_beside_it(wrong: Any) -> None:
    assert read_fees(reply(wrong, "0.2200"), [XBT]).own == {}
    if wrong is not None:
        assert read_fees(reply("0.2200", wrong), [XBT]).own == {}
    assert ("fee", ODD) in notes_of(reply(wrong))


def test_the_active_tier_alone_is_enough_and_without_both_nothing_is_told() -> None:
    bare = {"schedules": reply(active="0.3000")["schedules"]}
    assert read_fees(bare, [XBT]).own == {"XXBTZUSD": Decimal("0.003")}
    assert read_fees({"schedules": reply()["schedules"]}, [XBT]) == ToldFees({}, BOUND)
    assert notes_of({}) == {("fees", MISSING), ("fees_maker", MISSING), ("fee", MISSING)}
    old = {name: each for name, each in reply("0.1000").items() if name != "schedules"}
    assert read_fees(old, [XBT]).own == {"XXBTZUSD": Decimal("0.001")}


def test_a_malformed_row_and_a_second_schedule_leave_doubt() -> None:
    told = reply("0.2200", "0.2200")
    assert read_fees({**told, "fees": {"XBTUSD": None}}, [XBT]).own == {}
    dearer = reply(active="0.5000")["schedules"]
    for schedules in (dearer + told["schedules"], told["schedules"] + dearer):
        assert read_fees({**told, "schedules": schedules}, [XBT]).own == {}


def test_both_spellings_are_known_and_what_is_new_is_noted_without_its_value() -> None:
    assert notes_of(reply()) == set()
    told = reply(maker_rebate="personal", inputs={}, volume_subaccounts=[])
    told["fees"]["XBTUSD"] |= {"min_fee": "0.1", "max_fee": "1.2", "next_volume": None, "surcharge": "personal"}
    assert notes_of(told) == {("maker_rebate", NEW), ("fees.surcharge", NEW)}
    assert read_fees(told, [XBT]).dearest == Decimal("0.012")


def test_a_rebate_for_makers_makes_no_fee_lower() -> None:
    told = reply("0.2200")
    told["fees_maker"]["XBTUSD"]["fee"] = "-0.0200"
    assert read_fees(told, [XBT]).own == {"XXBTZUSD": Decimal("0.0022")}


FIELDS = st.sampled_from(["fees", "schedules", "XBTUSD", "fee", "tiers", "pair", "active", "taker_fee"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.decimals(allow_nan=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(result=JSON)
def test_no_reply_makes_the_reader_fail_in_another_way(result: Any) -> None:
    try:
        told = read_fees(result, [XBT, ETH])
    except CallUnknown:
        assert not isinstance(result, Mapping)
    else:
        assert all(0 <= fee <= told.dearest <= 1 for fee in told.own.values())


@pytest.mark.parametrize(
    ("ladder", "fee"),
    [
        ([], None), (None, None), ("0.4", None), ([[0]], None), ([[0, "x"]], None), ([[0, Decimal(-1)]], None),
        ([[0, Decimal("0.4")], [10000, Decimal("0.35")]], Decimal("0.004")), ([[0, 1], None], Decimal("0.01")),
    ],
)  # fmt: skip
def test_a_ladder_of_asset_pairs_may_be_empty_or_odd(ladder: Any, fee: Decimal | None) -> None:
    assert dearest_of(ladder) == fee


# --- rows and their names


def test_a_row_is_its_pairs_under_any_name_but_one_that_two_pairs_share() -> None:
    assert names_of(XBT) == {"XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD", "BTCUSD"}
    assert names_of(replace(XBT, wsname="")) == {"XXBTZUSD", "XBTUSD"}
    share = replace(XBT, id="AAPLxUSD", altname="AAPLxUSD", wsname="AAPLx/USD")
    token = replace(share, id="AAPLSPVUSD")
    assert find_rows({"AAPLxUSD": 1, "AAPLSPVUSD": 2}, [share, token]) == {"AAPLxUSD": 1, "AAPLSPVUSD": 2}
    assert find_rows({"AAPLx/USD": 1}, [share, token]) == {}
    assert find_rows({"AAPLxUSD": 1}, [token, share]) == {"AAPLxUSD": 1}
    assert find_rows({"AAPLx/USD": 1}, [token]) == {"AAPLSPVUSD": 1}


# --- asking


class Asked:
    """A lane that answers as the test says, and a clock that it turns."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[str] = []
        self.now = 1000.0
        self.key = "key"
        self.book = FeeCache(
            self._submit, lambda _: self.key, bound=BOUND, note=lambda *_: None, monotonic=lambda: self.now
        )

    def _submit(self, account: str, endpoint: str, params: Mapping[str, Any], timeout: float) -> Future[Any]:
        assert (account, endpoint, params["fee_schedule"]) == ("MASTER", "TradeVolume", "true")
        assert timeout == CALL_TIMEOUT
        self.calls.append(params["pair"])
        answer, future = self.answers.pop(0) if self.answers else None, Future[Any]()
        if isinstance(answer, CallError):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(answer)
        else:
            self.open = future
        return future

    def look(self, *pairs: Pair, seconds: float = 0.0) -> list[str]:
        """One pass: what is known of each pair after it."""
        self.book.refresh("MASTER", pairs, seconds)
        return [str(self.book.fee("MASTER", pair)) for pair in pairs]


OWN = "the account's own 0.22 % by TradeVolume"


def test_a_fee_is_asked_for_once_in_a_while() -> None:
    asked = Asked(reply(), reply("0.3000"))
    assert asked.look(XBT) == asked.look(XBT) == [OWN]
    asked.now += YOUNG - 1
    assert asked.look(XBT) == [OWN]
    asked.now += 1
    assert asked.look(XBT) == ["the account's own 0.30 % by TradeVolume"]
    assert asked.calls == ["XBTUSD", "XBTUSD"]


def test_only_what_is_not_known_is_asked_for_and_another_key_begins_anew() -> None:
    asked = Asked(reply(), reply(name="ETHUSD"), reply())
    assert asked.look(XBT) == [OWN]
    assert asked.look(XBT, ETH) == [OWN, OWN]
    asked.key = "another"
    assert asked.look(XBT) == [OWN]
    assert asked.calls == ["XBTUSD", "ETHUSD", "XBTUSD"]


def test_a_pair_that_is_not_in_the_reply_has_the_bound_and_so_has_one_before_the_answer() -> None:
    asked = Asked(reply(), None)
    assert asked.look(XBT, ETH) == [OWN, f"at most 0.80 %: {NOT_TOLD}"]
    asked.now += YOUNG
    assert asked.look(XBT) == [f"at most 0.80 %: {NOT_ANSWERED}"], "an old fee is not a fee any more"
    assert asked.look(XBT) == [f"at most 0.80 %: {NOT_ANSWERED}"]
    assert len(asked.calls) == 2, "one question at a time"
    asked.open.set_result(reply("0.4000"))
    assert asked.look(XBT) == ["the account's own 0.40 % by TradeVolume"]


def test_the_bound_is_not_below_anything_that_was_ever_told() -> None:
    dear = reply("x")
    dear["fees"]["XBTUSD"]["maxfee"] = "1.2000"
    asked = Asked(dear)
    assert asked.look(XBT, replace(ETH, fee=Decimal("0.015"))) == [
        f"at most 1.20 %: {NOT_TOLD}", f"at most 1.50 %: {NOT_TOLD}",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "pause", "why"),
    [
        (PermissionDenied("No."), DENIED_FOR, DENIED),
        (CallUnknown("Hung."), PAUSE, NOT_ANSWERED),
        (CounterFull("Full.", retry_after=90.0), 90.0, NOT_ANSWERED),
        (InvalidArguments("Unknown."), YOUNG, NOT_TOLD),
    ],
)
def test_a_failure_is_remembered_and_is_no_reason_to_wait_or_to_ask_again_soon(
    error: CallError, pause: float, why: str
) -> None:
    asked = Asked(error, reply())
    assert asked.look(XBT) == [f"at most 0.80 %: {why}"]
    asked.now += pause - 1
    assert asked.look(XBT, seconds=60.0) == [f"at most 0.80 %: {why}"]
    assert len(asked.calls) == 1
    asked.now += 1
    assert asked.look(XBT) == [OWN]


def test_one_name_that_kraken_does_not_know_spoils_no_other() -> None:
    refused = InvalidArguments("Unknown asset pair.")
    asked = Asked(refused, reply(), refused)
    for expected in (f"at most 0.80 %: {NOT_ANSWERED}", OWN, OWN):
        assert asked.look(XBT, ETH)[0] == expected
        asked.now += NEXT_GROUP
    assert asked.calls == ["XBTUSD,ETHUSD", "XBTUSD", "ETHUSD"]
    assert asked.look(XBT, ETH) == [OWN, f"at most 0.80 %: {NOT_TOLD}"]
    assert len(asked.calls) == 3


def test_a_pass_makes_one_call_however_many_pairs_it_has() -> None:
    many = [replace(XBT, id=f"P{n}", altname=f"P{n}", wsname="") for n in range(PAIRS_AT_ONCE + 1)]
    asked = Asked(reply(), reply())
    asked.look(*many)
    assert len(asked.calls) == 1
    asked.look(*many)
    assert asked.calls[1] == f"P{PAIRS_AT_ONCE}"


# --- the setting


@pytest.mark.parametrize("given_as", ["0.012", 0.012, Decimal("0.012")])
def test_the_bound_may_be_given_as_a_text_or_a_number(given_as: Any) -> None:
    assert Settings(fee_bound=given_as).fee_bound == Decimal("0.012")
    assert Settings().fee_bound == BOUND


@pytest.mark.parametrize("wrong", ["0.8", 0, "0", -0.004, "x", "", None, True, "NaN", "Infinity", [0.008], Decimal(1)])
def test_an_invalid_fee_bound_is_refused(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"setting fee_bound is .*'0.008' for 0.8 %"):
        Settings(fee_bound=wrong)


# --- with an engine


def gates(engine: Engine, **more: Any) -> Any:
    return engine.gates("MASTER", TradePlan(order=Order("XBTUSD", "buy", "limit", "0.01", "60000"), **more))


@pytest.fixture
def running(sim: Simulator, tmp_path: Path) -> Callable[[], Engine]:
    return lambda: Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK)


def trade_volumes(sim: Simulator) -> list[Any]:
    return [call for call in sim.calls if call.endpoint == "TradeVolume"]


def test_a_pass_counts_with_what_trade_volume_tells(sim: Simulator, running: Callable[[], Engine]) -> None:
    with running() as engine:
        report = gates(engine)
        assert gates(engine).passed
        told = engine.call("MASTER", "TradeVolume", {"pair": "XBTUSD"})["fees"]
    assert report.passed, report.reasons
    fee = report.fees["XBTUSD"]
    assert fee.is_own
    assert fee.rate == Decimal(next(iter(told.values()))["fee"]) / 100
    assert len(trade_volumes(sim)) == 2, "one of the first pass, and one of this test's"


@pytest.mark.parametrize(("level", "limit", "asks"), [(0, 15, True), (2, 15, True), (2.1, 15, False), (15, 20, False)])
def test_the_last_points_of_a_key_are_for_orders(level: float, limit: float, asks: bool) -> None:
    assert has_room(level, limit) is asks


def test_a_starters_first_pass_has_room_to_ask_and_one_with_a_full_counter_goes_on_without(
    sim: Simulator, tmp_path: Path
) -> None:
    counted = replace(QUICK, local_limits=True, refresh_every=3600.0)
    for number, is_own in enumerate((True, False)):
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / str(number), settings=counted) as engine:
            for _ in range(0 if is_own else 5):
                engine.call("MASTER", "Balance")
            report = gates(engine)
            assert report.passed, report.reasons
            assert report.fees["XBTUSD"].is_own == is_own
    assert str(report.fees["XBTUSD"]) == f"at most 0.80 %: {NOT_ASKED}"


def test_a_key_that_may_not_ask_trades_with_the_bound(sim: Simulator, running: Callable[[], Engine]) -> None:
    sim.fault(Fault.error("EGeneral:Permission denied", endpoint="TradeVolume"))
    with running() as engine:
        reports = [gates(engine) for _ in range(3)]
    assert [report.passed for report in reports] == [True] * 3, reports[0].reasons
    assert {str(report.fees["XBTUSD"]) for report in reports} == {f"at most 0.80 %: {DENIED}"}
    assert len(trade_volumes(sim)) == 1


def test_a_hung_trade_volume_delays_no_pass(sim: Simulator, running: Callable[[], Engine]) -> None:
    sim.fault(Fault.hang(endpoint="TradeVolume"))
    with running() as engine:
        report = gates(engine, max_data_age=60.0)
        assert report.passed, report.reasons
        assert str(report.fees["XBTUSD"]) == f"at most 0.80 %: {NOT_ANSWERED}"
        assert report.seconds < PATIENCE / 2, "a hung call of ours ends by itself, long before the caller's time"
        assert len(trade_volumes(sim)) == 1
