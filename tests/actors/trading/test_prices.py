"""Prices: read strictly, an empty book is not a price, and a name that Kraken refuses hides no other."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Engine, EngineWarning, TradePlan
from engine.actors.trading.prices import AGAIN_AFTER, MOST_CALLS, TOO_LATE, Price, PriceReader
from engine.errors import CallError, CallUnknown, ConnectFailed, InvalidArguments
from engine.kraken.drift import MISSING, NEW, ODD
from engine.kraken.tickers import NOBODY_BUYS, NOBODY_SELLS, UNREADABLE, read_tickers
from engine.rules.gates.smallest_order import smallest_order
from engine.rules.stream.price_subscription import PushedPrice
from engine.simulator import Fault, Simulator
from engine.values import Pair
from tests.conftest import Events
from tests.rules.gates.test_gates import PRICES, XBT

ROW = {"a": ["30000.0", "1", "1.000"], "b": ["29999.9", "1", "1.000"], "c": ["30000.0", "0.1"]}
REFUSED = "Kraken refused Ticker with 'EQuery:Unknown asset pair'."


def pairs_of(names: list[str]) -> list[Pair]:
    return [replace(XBT, id=name, altname=name, wsname="") for name in names]


# --- the reply


def test_tickers_are_read_strictly() -> None:
    odd = [{}, {**ROW, "a": []}, {**ROW, "b": ["x"]}, {**ROW, "c": [30000]}, None, {**ROW, "a": ["-1"]}]
    rows = {"XXBTZUSD": ROW} | {f"ODD{n}": row for n, row in enumerate(odd)}
    read = read_tickers(rows)
    assert read.pop("XXBTZUSD") == PRICES
    assert set(read.values()) == {UNREADABLE}


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"a": ["0.00000", "0", "0.000"], "c": ["0.00000", "0"]}, NOBODY_SELLS),
        ({"b": ["0.00000", "0", "0.000"]}, NOBODY_BUYS),
        ({"a": ["0.00000"], "b": ["0.00000"]}, NOBODY_SELLS),
        ({"c": ["0.00000", "0.000"]}, replace(PRICES, last=None)),
    ],
)
def test_an_empty_book_is_no_price_and_not_a_price_of_zero(changes: Mapping[str, Any], read: Any) -> None:
    assert read_tickers({"X": {**ROW, **changes}}) == {"X": read}


def test_what_is_new_missing_or_odd_is_noted() -> None:
    seen: list[tuple[str, str]] = []
    rows = {"A": {**ROW, "volume24": 1}, "B": {"a": ROW["a"], "b": 7, "o": "1"}, "C": None}
    read_tickers(rows, note=lambda field, what: seen.append((field, what)))
    assert seen == [("volume24", NEW), ("b", ODD), ("c", MISSING), ("row", ODD), ("row", ODD)]


@pytest.mark.parametrize("wrong", [None, [], "x", 7])
def test_a_malformed_ticker_reply_is_refused_as_a_whole(wrong: Any) -> None:
    with pytest.raises(CallUnknown):
        read_tickers(wrong)


# --- asking


class Kraken:
    """A Ticker that knows some names, and answers for the others in one of the ways that were seen."""

    def __init__(self, *listed: str, refuses_whole: bool = False) -> None:
        self.listed, self.refuses_whole = set(listed), refuses_whole
        self.calls: list[list[str]] = []
        self.now, self.per_call = 1000.0, 0.0
        self.error: CallError | None = None
        self.pushed: dict[str, PushedPrice] = {}
        self.reader = PriceReader(self._public, self._push, lambda *_: None, lambda: self.now)

    def ask(self, pairs: list[Pair], seconds: float) -> dict[str, Price]:
        return self.reader.ask(pairs, seconds, max_age=5.0)

    def _push(self, pairs: Collection[Pair], max_age: float) -> Mapping[str, PushedPrice]:
        assert max_age == 2.5, "half of the time that a price may be used"
        return self.pushed

    def _public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        assert endpoint == "Ticker"
        names = params["pair"].split(",")
        self.calls.append(names)
        self.now += self.per_call
        if self.error is not None:
            raise self.error
        told = {name: ROW for name in names if name in self.listed}
        if not told or (self.refuses_whole and len(told) < len(names)):
            raise InvalidArguments(REFUSED)
        return told


@given(
    listed=st.sets(st.sampled_from([f"P{n}" for n in range(40)]), min_size=20, max_size=40),
    gone=st.lists(st.sampled_from(["GONE1", "GONE2"]), unique=True), refuses_whole=st.booleans(), data=st.data(),
)  # fmt: skip
def test_a_name_that_is_gone_hides_no_other_and_is_asked_for_alone(
    listed: set[str], gone: list[str], refuses_whole: bool, data: st.DataObject
) -> None:
    kraken = Kraken(*listed, refuses_whole=refuses_whole)
    names = data.draw(st.permutations([*listed, *gone]))
    told = kraken.ask(pairs_of(names), 10.0)
    assert set(told) == set(names)
    assert {name for name, price in told.items() if price.ticker == PRICES} == listed
    assert {told[name].problem for name in gone} <= {REFUSED}
    assert all([name] in kraken.calls for name in gone)
    assert len(kraken.calls) <= MOST_CALLS
    kraken.calls.clear()
    again = kraken.ask(pairs_of(names), 10.0)
    assert {name for name, price in again.items() if price.ticker} == listed
    assert len(kraken.calls) == 1, "it is known by now which one spoils it"


def test_a_name_that_was_gone_is_asked_for_again_and_may_come_back() -> None:
    kraken = Kraken("A", refuses_whole=True)
    asked = pairs_of(["A", "B"])
    kraken.ask(asked, 10.0)
    kraken.listed.add("B")
    kraken.now += AGAIN_AFTER - 1
    assert kraken.ask(asked, 10.0)["B"].problem == REFUSED
    kraken.now += 1
    assert kraken.ask(asked, 10.0)["B"].ticker == PRICES
    kraken.calls.clear()
    kraken.ask(asked, 10.0)
    assert kraken.calls == [["A", "B"]]


def test_a_pair_by_itself_is_asked_for_every_time() -> None:
    kraken = Kraken()
    for _ in range(3):
        assert kraken.ask(pairs_of(["B"]), 10.0)["B"].problem == REFUSED
    assert len(kraken.calls) == 3


def test_many_wrong_names_do_not_become_many_calls() -> None:
    kraken = Kraken(refuses_whole=True)
    told = kraken.ask(pairs_of([f"P{n}" for n in range(40)]), 10.0)
    assert len(kraken.calls) == MOST_CALLS
    assert all(price.ticker is None and price.problem for price in told.values())


def test_when_the_time_is_over_nothing_is_asked_for_again_and_each_price_has_its_own_age() -> None:
    kraken = Kraken("A", "B", "C", refuses_whole=True)
    kraken.per_call = 2.0
    told = kraken.ask(pairs_of(["A", "B", "C", "GONE"]), 5.0)
    assert (told["A"].at, told["B"].at) == (1002.0, 1002.0)
    assert [told[name].problem for name in ("C", "GONE")] in ([REFUSED, REFUSED], [TOO_LATE, TOO_LATE])
    assert len(kraken.calls) == 3


def test_a_failure_is_the_problem_of_each_pair_and_is_not_repeated() -> None:
    kraken = Kraken("A", "B")
    kraken.error = ConnectFailed("Gone.")
    told = kraken.ask(pairs_of(["A", "B"]), 10.0)
    assert {price.problem for price in told.values()} == {"Gone."}
    assert len(kraken.calls) == 1


@pytest.mark.parametrize("name", ["XXBTZUSD", "XBTUSD", "XBT/USD", "BTC/USD", "whatever"])
def test_one_row_for_one_question_is_its_answer_whatever_it_is_called(name: str) -> None:
    reader = PriceReader(lambda *_: {name: ROW}, lambda *_: {}, lambda *_: None, lambda: 1000.0)
    assert reader.ask([XBT], 10.0, 5.0)["XXBTZUSD"].ticker == PRICES


def test_what_push_tells_is_not_asked_for_and_the_others_are() -> None:
    kraken = Kraken("A", "B", "C")
    kraken.pushed = {"B": PushedPrice(PRICES, 999.5)}
    told = kraken.ask(pairs_of(["A", "B", "C"]), 10.0)
    assert kraken.calls == [["A", "C"]]
    assert {name: price.at for name, price in told.items()} == {"A": 1000.0, "B": 999.5, "C": 1000.0}
    kraken.calls.clear()
    assert kraken.ask(pairs_of(["B"]), 10.0)["B"].ticker == PRICES
    assert kraken.calls == []


# --- with an engine

PARTIAL = b'{"error":["EQuery:Unknown asset pair"],"result":{"XXBTZUSD":%s}}' % json.dumps(ROW).encode()


def test_the_rows_beside_an_error_are_returned_and_the_error_is_a_warning(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    sim.fault(Fault.body(PARTIAL, endpoint="Ticker"))
    for _ in range(3):
        assert engine.public("Ticker", {"pair": "XBTUSD,GONEUSD"}) == {"XXBTZUSD": ROW}
    said = events.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == "partial-answer")
    assert "'EQuery:Unknown asset pair'" in said.message
    assert [each.code for each in engine.status().warnings].count("partial-answer") == 1


def test_a_pass_goes_on_with_the_pairs_that_have_prices(sim: Simulator, engine: Engine) -> None:
    sim.fault(Fault.error("EQuery:Unknown asset pair", endpoint="Ticker", times=2))
    plan = TradePlan(pairs=("ETHUSD", "XBTUSD"), strategy=smallest_order, max_data_age=60.0)
    report = engine.gates("MASTER", plan)
    assert report.passed, report.reasons
    assert len([call for call in sim.calls if call.endpoint == "Ticker"]) == 3, "together, then each alone"
    for told in (str(report), json.dumps(report.to_dict())):
        assert "EQuery:Unknown asset pair" in told, "what is missing is said also where a pass goes on without it"
    assert list(report.problems) == ["ETHUSD"]
