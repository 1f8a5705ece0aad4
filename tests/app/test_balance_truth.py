"""Balances over real sockets when Kraken falls silent, answers nothing, or lists what it did not list before."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine import AvailabilityChanged, BalanceState, Engine, EngineWarning, ReadBalance, Settings
from engine.errors import ConfigError
from engine.rules.balance.availability import Standing
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK, Events
from tests.stopwatch import PATIENCE

SHORT = replace(QUICK, silence_to_unavailable=1.0)
SLOW = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False)
EMPTY = b'{"error":[],"result":{}}'


def is_out(name: str) -> Any:
    return lambda event: isinstance(event, AvailabilityChanged) and event.account == name and not event.is_available


def is_warning(code: str) -> Any:
    return lambda event: isinstance(event, EngineWarning) and event.code == code


def is_back(name: str) -> Any:
    return lambda event: isinstance(event, AvailabilityChanged) and event.account == name and event.is_available


def test_a_silent_kraken_makes_every_account_unavailable_and_they_come_back(tmp_path: Path) -> None:
    """G7: none of their calls has failed, and most of them have not even been made."""
    names = ["MASTER", *(f"U{number}" for number in range(11))]
    with Simulator(names) as sim, Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=SHORT) as engine:
        events = Events()
        engine.subscribe(events)
        for name in names:
            assert engine.balance(name, max_age=60).is_available
        hang = sim.fault(Fault.hang())
        events.wait_for(is_warning("silence"))
        status = engine.status()
        assert status.silent_since is not None
        assert not any(each.is_available for each in status.accounts)
        assert not any(engine.is_available(name) for name in names)
        for name in names:
            snapshot = engine.balance(name)
            assert (snapshot.standing, snapshot.error_count) == (Standing.UNAVAILABLE, 0)
            assert "Kraken is silent" in (snapshot.last_error or "")
            assert "Kraken is silent" in str(events.wait_for(is_out(name)).reason)
        assert len([event for event in events.seen if is_warning("silence")(event)]) == 1
        assert not engine.gates("MASTER", timeout=0.1).passed
        events.forget()
        hang.remove()
        for name in names:
            events.wait_for(is_back(name))
        assert engine.status().silent_since is None


def test_an_engine_that_never_heard_of_kraken_says_since_when(sim: Simulator, tmp_path: Path) -> None:
    sim.fault(Fault.hang())
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=SHORT)
    events = Events()
    engine.subscribe(events)
    with engine:
        events.wait_for(is_warning("silence"))
        assert engine.balance("MASTER").state is BalanceState.UNKNOWN
        assert "Kraken is silent" in (engine.balance("MASTER").last_error or "")


def test_a_good_reply_to_any_call_of_the_account_is_heard(sim: Simulator, tmp_path: Path) -> None:
    """Balances are cut again and again here, which is our own doing, and Kraken answers all the time."""
    settings = replace(SHORT, silence_to_unavailable=2.0)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        engine.balance("MASTER", max_age=60)
        sim.fault(Fault.hang(endpoint="BalanceEx"))
        known = engine.balance("MASTER")
        while (engine.balance("MASTER").age or 0.0) < 2 * settings.silence_to_unavailable:
            engine.call("MASTER", "CancelAll", timeout=PATIENCE)
            assert engine.is_available("MASTER")
        assert engine.balance("MASTER").as_of == known.as_of


def test_a_value_of_age_0_was_asked_for_after_the_call_began(sim: Simulator, tmp_path: Path) -> None:
    fresh = ReadBalance(max_age=0, timeout=PATIENCE)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=replace(SLOW, cut_read_after=60)) as engine:
        engine.balance("MASTER", max_age=600)
        sim.set_balance("MASTER", {"ZUSD": "1"})
        hang = sim.fault(Fault.hang(executed=True, endpoint="BalanceEx", times=1))
        before = len([call for call in sim.calls if call.endpoint == "BalanceEx"])
        first = engine.balances["MASTER"].ask(fresh, block=False)
        sim.wait_for_calls(before + 1, endpoint="BalanceEx", ended=False)
        second = engine.balances["MASTER"].ask(fresh, block=False)
        engine.balances["MASTER"].ask(ReadBalance(), timeout=PATIENCE)  # by now the second has been taken in
        sim.set_balance("MASTER", {"ZUSD": "2"})
        hang.remove()
        assert first.get(timeout=PATIENCE).as_of < second.get(timeout=PATIENCE).as_of
        assert second.get(timeout=PATIENCE).cash == 2


def test_when_the_time_is_over_the_last_known_comes_with_its_state(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=replace(SLOW, cut_read_after=60)) as engine:
        good = engine.balance("MASTER", max_age=600)
        sim.fault(Fault.hang(endpoint="BalanceEx"))
        late = engine.balance("MASTER", max_age=0, timeout=0.3)
        assert (late.cash, late.as_of) == (good.cash, good.as_of)


def test_one_empty_reply_is_not_an_empty_account(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        good = engine.balance("MASTER", max_age=600)
        for _ in range(2):
            sim.fault(Fault.body(EMPTY, endpoint="BalanceEx", times=1))
            again = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
            assert (again.cash, again.assets) == (good.cash, good.assets)
            assert again.last_error is None, "the second look has said what it was"


def test_while_it_is_in_doubt_the_last_known_stays_and_the_reason_is_told(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        good = engine.balance("MASTER", max_age=600)
        sim.fault(Fault.body(EMPTY, endpoint="BalanceEx", times=1))
        hang = sim.fault(Fault.hang(endpoint="BalanceEx"))
        doubt = engine.balance("MASTER", max_age=0, timeout=0.5)
        assert doubt.cash == good.cash
        assert "second reply" in (doubt.last_error or "")
        assert doubt.error_count == 1
        hang.remove()


def test_an_account_that_is_empty_again_is_believed(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        engine.balance("MASTER", max_age=600)
        empty = sim.fault(Fault.body(EMPTY, endpoint="BalanceEx"))
        told = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert (told.cash, dict(told.assets)) == (0, {})
        assert told.is_available
        empty.remove()
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        assert engine.balance("MASTER", max_age=600).cash != 0


def test_an_account_that_never_had_anything_is_empty_at_once(tmp_path: Path) -> None:
    with Simulator(["MASTER"]) as sim:
        sim.set_balance("MASTER", {})
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
            assert engine.balance("MASTER", max_age=60).cash == 0


def test_a_balance_of_an_earlier_run_is_not_emptied_by_one_reply(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        good = engine.balance("MASTER", max_age=600)
    sim.fault(Fault.body(EMPTY, endpoint="BalanceEx", times=1))
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        assert engine.balance("MASTER", max_age=600, timeout=PATIENCE).cash == good.cash


def test_one_odd_row_takes_nothing_with_it_and_comes_back_as_no_change(sim: Simulator, tmp_path: Path) -> None:
    row = {"balance": "5", "hold_trade": "1"}
    replies = {"good": {"ZUSD": row, "XXBT": row}, "odd": {"ZUSD": row, "XXBT": {"balance": "secret"}}}
    events = Events()
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        engine.subscribe(events)
        for kind in ("good", "odd", "good"):
            body = json.dumps({"error": [], "result": replies[kind]}).encode()
            fault = sim.fault(Fault.body(body, endpoint="BalanceEx"))
            told = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
            assert (told.cash, told.available_cash, told.is_available) == (5, 4, True)
            assert ("XBT" in told.assets) == (kind == "good")
            fault.remove()
        found = {(each.endpoint, each.field, each.what) for each in engine.status().drift}
        assert ("BalanceEx", "row", "odd") in found
        assert "secret" not in json.dumps(engine.status().to_dict()["drift"])
        changed = [event for event in events.seen if hasattr(event, "changes")]
        assert len(changed) <= 1, "the bitcoins neither went nor came"


def test_auto_earn_that_moves_into_the_plain_row_counts_once_also_after_a_restart(
    sim: Simulator, tmp_path: Path
) -> None:
    events = Events()
    sim.set_balance("MASTER", {"ZUSD": "20", "USD.F": "100"})
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        engine.subscribe(events)
        assert engine.balance("MASTER", max_age=60).cash == 120
        sim.set_balance("MASTER", {"ZUSD": "120", "USD.F": "100"})
        told = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert (told.cash, told.available_cash, told.assets["USD"].total) == (120, 120, 120)
        assert "USD" in events.wait_for(is_warning("auto-earn-listed-twice")).message
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        assert engine.balance("MASTER").cash == 120
        assert engine.balance("MASTER", max_age=60).cash == 120
        sim.set_balance("MASTER", {"ZUSD": "120"})
        assert engine.balance("MASTER", max_age=0, timeout=PATIENCE).cash == 120


def test_money_that_cash_does_not_count_is_a_warning_once(sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZEUR": "5000", "ZUSD": "0.01"})
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=SLOW) as engine:
        for _ in range(3):
            told = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert (told.cash, told.cash_assets) == (Decimal("0.01"), ("USD", "USDT"))
        (warning,) = [each for each in engine.status().warnings if each.code == "cash-elsewhere"]
        assert 'cash = ["EUR"]' in warning.message
        sim.set_balance("MASTER", {"ZEUR": "5000", "ZUSD": "0.01", "ZGBP": "700"})
        engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert len([each for each in engine.status().warnings if each.code == "cash-elsewhere"]) == 2
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=replace(SLOW, cash=("eur",))) as engine:
        told = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert (told.cash, told.cash_assets) == (5000, ("EUR",))
        assert not [each for each in engine.status().warnings if each.code == "cash-elsewhere"]


def test_a_name_in_cash_that_kraken_does_not_list_is_refused_as_soon_as_the_list_is_known(
    sim: Simulator, tmp_path: Path
) -> None:
    wrong = replace(QUICK, cash=("USD", "EURO"))
    events = Events()
    engine = Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=wrong)
    engine.subscribe(events)
    with engine:
        with pytest.raises(ConfigError, match=r"'EURO'.*lists EUROP, EUR\."):
            engine.balance("MASTER", max_age=5, timeout=PATIENCE)
        events.wait_for(is_warning("cash-not-listed"))
    again = Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=wrong)
    with pytest.raises(ConfigError, match="'EURO'"):
        again.start()
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        told = engine.balance("MASTER", max_age=5, timeout=PATIENCE)
        assert told.is_available, "the start that failed has left nothing behind"


@pytest.mark.parametrize(
    "answer",
    [Fault.http(502, endpoint="Assets"), Fault.body(b'{"error":[],"result":{}}', endpoint="Assets"),
     Fault.body(b'{"error":[],"result":{"XETH":{"altname":"ETH"}}}', endpoint="Assets")],
    ids=["none", "empty", "a part"],
)  # fmt: skip
def test_without_the_whole_list_no_name_is_wrong(sim: Simulator, tmp_path: Path, answer: Fault) -> None:
    sim.fault(answer)
    settings = replace(QUICK, cash=("USD", "NEWCOIN"))
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        told = engine.balance("MASTER", max_age=5, timeout=PATIENCE)
        assert (told.is_available, told.cash_assets) == (True, ("USD", "NEWCOIN"))
