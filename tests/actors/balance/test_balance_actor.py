"""Balances over real sockets: G6 fail closed, G7 availability, G8 reads don't wait."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import (
    AvailabilityChanged,
    BalanceActor,
    BalanceChanged,
    BalanceState,
    Engine,
    KrakenPrivateActor,
    ReadBalance,
    Settings,
)
from engine.actors.balance.messages import Invalidated
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.rules.balance.availability import Standing
from engine.rules.balance.refresh import REQUEST_AGAIN_IN
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK, Events
from tests.stopwatch import LONG, PATIENCE, Stopwatch, again_if_stalled

FAULTS = {
    "unavailable": Fault.error("EService:Unavailable"),
    "nonce": Fault.error("EAPI:Invalid nonce"),
    "html": Fault.http(502),
    "empty": Fault.empty(),
    "truncated": Fault.truncated(),
    "reset": Fault.reset(),
    "no-result": Fault.body(b'{"error":[]}'),
    "empty-object": Fault.body(b"{}"),
    "null-row": Fault.body(b'{"error":[],"result":{"ZUSD":null}}'),
    "list": Fault.body(b'{"error":[],"result":[]}'),
    "nan": Fault.body(b'{"error":[],"result":{"ZUSD":{"balance":"NaN","hold_trade":"0"}}}'),
    "words": Fault.body(b'{"error":[],"result":{"ZUSD":{"balance":"none","hold_trade":"0"}}}'),
}


def is_fresh(event: Any) -> bool:
    return isinstance(event, BalanceChanged) and event.account == "MASTER"


def became(available: bool) -> Any:
    return lambda event: (
        isinstance(event, AvailabilityChanged) and event.account == "MASTER" and event.is_available is available
    )


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_failure_becomes_zero_without_a_good_reply_ever(
    sim: Simulator, tmp_path: Path, fault: Fault
) -> None:
    """G6: UNKNOWN, not a number."""
    sim.fault(fault)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        for _ in range(3):
            snapshot = engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        assert snapshot.state is BalanceState.UNKNOWN
        assert (snapshot.cash, snapshot.available_cash, snapshot.as_of, snapshot.age) == (None, None, None, None)
        assert not snapshot.assets
        assert not snapshot.is_available
        assert snapshot.error_count >= 3
        assert snapshot.last_error


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_last_known_survives_every_failure_with_its_as_of(
    sim: Simulator, tmp_path: Path, fault: Fault
) -> None:
    """G6 and G7: the amounts stay, three failures make it unavailable, one success brings it back."""
    quicker = dataclasses.replace(QUICK, refresh_every=0.05)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=quicker) as engine:
        events = Events()
        engine.subscribe(events)
        good = engine.balance("MASTER", max_age=60)
        assert good.is_available
        sim.fault(fault)
        events.wait_for(became(False))
        bad = engine.balance("MASTER")
        assert (bad.cash, bad.available_cash, bad.assets) == (good.cash, good.available_cash, good.assets)
        assert bad.as_of is not None
        assert good.as_of is not None
        assert bad.error_count >= 3
        events.forget()
        sim.clear_faults()
        events.wait_for(became(True))
        recovered = engine.balance("MASTER")
        assert recovered.state is BalanceState.FRESH
        assert recovered.error_count == 0
        assert recovered.last_error is None
        assert recovered.as_of is not None
        assert recovered.as_of > bad.as_of


def test_cash_is_read_through_the_table_with_earn_rows_and_holds(sim: Simulator, engine: Engine) -> None:
    sim.set_balance(
        "MASTER",
        {
            "ZUSD": {"balance": "0.0000", "hold_trade": "8249.7600"},
            "USD.F": "25435.2100",
            "USD.HOLD": "7.0",
            "USD.M": "9.0",
            "USDT": "500.00000001",
            "XAUT": "1.5",
            "XXBT": {"balance": "1.2435", "hold_trade": "0.8423"},
            "XBT.B": "3",
            "NEW.Z9": "4",
            "BIG": "1234567890123456789012345678901234567890.0123456789",
        },
    )
    snapshot = engine.balance("MASTER", max_age=0)
    assert snapshot.cash == Decimal("25935.21000001")
    assert snapshot.available_cash == Decimal("17685.45000001")
    assets = snapshot.assets
    assert assets["USD"].total == Decimal("25451.2100")
    assert assets["USD"].held == Decimal("8249.7600")
    assert assets["XAUT"].total == Decimal("1.5")
    assert (assets["XBT"].total, assets["XBT"].available) == (Decimal("4.2435"), Decimal("0.4012"))
    assert (assets["NEW"].total, assets["NEW"].available) == (Decimal(4), Decimal(0)), "shown, never available"
    assert str(assets["BIG"].total) == "1234567890123456789012345678901234567890.0123456789"
    assert [row.name for row in assets["USD"].rows] == ["ZUSD", "USD.F", "USD.HOLD", "USD.M"]


@pytest.mark.parametrize("missing", [Fault.error("EGeneral:Unknown method"), Fault.error("EGeneral:Permission denied")])
def test_without_extended_balances_the_plain_one_serves_and_holds_are_unknown(
    sim: Simulator, engine: Engine, missing: Fault
) -> None:
    engine.balance("MASTER", max_age=60)
    sim.fault(dataclasses.replace(missing, endpoint="BalanceEx"))
    sim.set_balance("MASTER", {"ZUSD": {"balance": "100.0", "hold_trade": "40"}, "XXBT": "1"})
    snapshot = engine.balance("MASTER", max_age=0)
    assert snapshot.cash == Decimal(100)
    assert snapshot.available_cash is None
    assert snapshot.assets["XBT"].available is None
    assert snapshot.is_available


def test_snapshots_are_read_at_once_while_the_exchange_hangs(sim: Simulator, engine: Engine) -> None:
    """G8."""
    good = engine.balance("MASTER", max_age=60)
    sim.fault(Fault.hang())
    sim.wait_for_calls(len(sim.calls) + 1, ended=False)
    with Stopwatch() as watch:
        for _ in range(1000):
            assert engine.balance("MASTER").cash == good.cash
            engine.is_available("MASTER")
    assert watch.seconds < 5
    asked: Any = engine.balances["MASTER"].ask(ReadBalance(), block=True, timeout=PATIENCE)
    assert asked.cash == good.cash
    late = engine.balance("MASTER", max_age=0, timeout=0.2)
    assert late.cash == good.cash


@contextmanager
def hung_refresh(sim: Simulator, directory: Path) -> Iterator[tuple[pykka.ActorRef[Any], Any, Callable[[], None]]]:
    """An actor whose refresh hangs, the future of who has asked for that, and what lets it go on."""
    slow = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=directory, settings=slow) as engine:
        engine.balance("MASTER", max_age=600)
        hang = sim.fault(Fault.hang())
        before, actor = len(sim.calls), engine.balances["MASTER"]
        hung = actor.ask(ReadBalance(max_age=0, timeout=PATIENCE), block=False)
        sim.wait_for_calls(before + 1, ended=False)
        yield actor, hung, hang.remove


def test_callers_who_want_a_fresh_value_share_one_call(sim: Simulator, tmp_path: Path) -> None:
    with hung_refresh(sim, tmp_path) as (actor, hung, go_on):
        calls = len(sim.calls)
        asked = [actor.ask(ReadBalance(max_age=0, timeout=PATIENCE), block=False) for _ in range(20)]
        actor.ask(ReadBalance(), timeout=PATIENCE)  # by now the earlier asks have been taken in
        go_on()
        found = [future.get(timeout=PATIENCE) for future in (hung, *asked)]
        assert len({snapshot.as_of for snapshot in found[1:]}) == 1
        assert found[0].as_of < found[1].as_of, "what was under way had been asked for before they came"
        assert len(sim.calls) == calls + 1


def test_callers_who_take_an_older_value_share_the_call_under_way(sim: Simulator, tmp_path: Path) -> None:
    with hung_refresh(sim, tmp_path) as (actor, hung, go_on):
        calls = len(sim.calls)
        actor.tell(Invalidated(0.0))
        patient = [actor.ask(ReadBalance(PATIENCE, PATIENCE), block=False) for _ in range(20)]
        actor.ask(ReadBalance(), timeout=PATIENCE)
        go_on()
        found = [future.get(timeout=PATIENCE) for future in (hung, *patient)]
        assert {snapshot.account for snapshot in found} == {"MASTER"}
        assert len(sim.calls) == calls


def test_last_known_is_back_after_a_restart_as_stale_with_its_old_as_of(sim: Simulator, tmp_path: Path) -> None:
    """G6: within the same second, and with the exchange away."""
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        good = engine.balance("MASTER", max_age=0)
    assert good.as_of is not None
    with sim.outage(), Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        back = engine.balance("MASTER")
        assert back.state is BalanceState.STALE
        assert (back.cash, back.available_cash, back.assets) == (good.cash, good.available_cash, good.assets)
        assert back.as_of is not None
        assert back.as_of >= good.as_of
        assert not back.is_available, "available only after a good reply"
        assert engine.balance("MASTER", max_age=60, timeout=PATIENCE).state is BalanceState.STALE
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert engine.balance("MASTER", max_age=60).state is BalanceState.FRESH
    assert sim.refused_nonces == 0


def test_revoked_key_is_unavailable_at_once_and_not_hammered(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    """G7: with the reason, and no more calls for a minute, however often somebody asks."""
    engine.balance("MASTER", max_age=60)
    sim.revoke("MASTER")
    event = events.wait_for(became(False))
    assert "EAPI:Invalid key" in event.reason
    seen = [call for call in sim.calls if call.error == "EAPI:Invalid key"]
    assert len(seen) == 1
    for _ in range(20):
        assert engine.balance("MASTER", max_age=0).cash is not None
    assert [call for call in sim.calls if call.error == "EAPI:Invalid key"] == seen
    assert engine.is_available("ALICE"), "the others go on"


@again_if_stalled
def test_our_own_doing_does_not_count_as_a_failure(sim: Simulator, tmp_path: Path) -> None:
    """G7: a refresh that expired in our queue, behind another account's hung call."""
    sim.clear_faults()
    settings = Settings(refresh_every=0.1, max_age=60, call_timeout=0.3, local_limits=False)
    with Engine(sim.accounts[:2], url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        engine.balance("ALICE", max_age=60)
        hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
        hung = engine.submit("MASTER", "TradeBalance", timeout=LONG)
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
        for _ in range(4):
            engine.balance("ALICE", max_age=0, timeout=0.4)
        assert engine.error_count("ALICE") == 0
        assert engine.is_available("ALICE")
        assert engine.balance("ALICE").last_error is not None
        assert not hung.done()
        hang.remove()
        assert hung.exception(PATIENCE) is None


def test_change_is_told_with_its_amount(sim: Simulator, engine: Engine, events: Events) -> None:
    engine.balance("MASTER", max_age=60)
    sim.set_balance("MASTER", {"ZUSD": "1.5"})
    event = events.wait_for(lambda event: is_fresh(event) and event.snapshot.cash == Decimal("1.5"))
    assert event.changes["XBT"] < 0


def test_actor_embeds_without_an_engine(sim: Simulator, tmp_path: Path) -> None:
    private = KrakenPrivateActor.start(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK)
    balance: pykka.ActorRef[Any] = BalanceActor.start("MASTER", private, settings=QUICK)
    snapshot = balance.ask(ReadBalance(max_age=5, timeout=PATIENCE), block=True, timeout=PATIENCE)
    assert snapshot.state is BalanceState.FRESH
    assert balance.proxy().snapshot().get(timeout=PATIENCE).cash == snapshot.cash
    balance.tell("nonsense")
    with pytest.raises(TypeError, match="does not understand"):
        balance.ask("nonsense", timeout=PATIENCE)
    stop_actor(private)
    assert wait_finished(private, PATIENCE)
    late = balance.ask(ReadBalance(max_age=0, timeout=1), block=True, timeout=PATIENCE)
    assert late.cash == snapshot.cash, "the lane is gone"
    stop_actor(balance)
    assert wait_finished(balance, PATIENCE)


def test_own_cancel_makes_the_balance_stale_at_once_and_an_older_reply_does_not_count(
    sim: Simulator, tmp_path: Path
) -> None:
    """A reply that was asked for before the event never passes for the truth after it."""
    slow = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False, cut_read_after=60)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=slow) as engine:
        assert engine.balance("MASTER", max_age=600).state is BalanceState.FRESH
        events = Events()
        engine.subscribe(events)
        hang = sim.fault(Fault.hang(executed=True, endpoint="BalanceEx", account="MASTER", times=1))
        before = len([call for call in sim.calls if call.endpoint == "BalanceEx" and call.account == "MASTER"])
        asked = engine.balances["MASTER"].ask(ReadBalance(max_age=0, timeout=PATIENCE), block=False)
        sim.wait_for_calls(before + 1, endpoint="BalanceEx", account="MASTER", ended=False)
        engine.balances["MASTER"].tell(Invalidated(time.monotonic()))
        engine.balances["MASTER"].ask(ReadBalance(), timeout=PATIENCE)
        assert engine.balance("MASTER").state is BalanceState.STALE
        sim.set_balance("MASTER", {"ZUSD": "7"})
        hang.remove()
        assert asked.get(timeout=PATIENCE).cash == 7, "who asked for a fresh value gets one from after the event"
        assert engine.balance("MASTER", max_age=600).state is BalanceState.FRESH


def test_after_a_call_has_returned_no_balance_from_before_it_is_fresh(sim: Simulator, tmp_path: Path) -> None:
    """STALE before the answer, not soon after it: the next order is sized with what the last one has used."""
    slow = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=slow) as engine:
        for number in range(40):
            known = engine.balance("MASTER", max_age=600)
            assert known.state is BalanceState.FRESH
            txid = f"OAAAAA-AAAAA-{number:06}"
            sim.add_open_order("MASTER", txid)
            asked = datetime.now(UTC)
            engine.call("MASTER", "CancelOrder", {"txid": txid})
            after = engine.balance("MASTER")
            assert after.as_of is not None
            assert after.state is BalanceState.STALE or after.as_of > asked
            assert known.state is BalanceState.STALE, "and who kept a snapshot sees it there, too"


def test_an_account_that_trades_without_a_pause_is_refreshed_all_the_same(sim: Simulator, tmp_path: Path) -> None:
    """Not starved by one order after the other, and not once for each of them: that would use up the key's counter."""
    slow = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False)
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=slow) as engine:
        engine.balance("MASTER", max_age=600)
        seen = len([call for call in sim.calls if call.endpoint == "BalanceEx"])
        over = threading.Event()

        def trade() -> None:
            while not over.is_set():
                engine.call("MASTER", "CancelAll")

        trader = threading.Thread(target=trade)
        began = time.monotonic()
        trader.start()
        try:
            sim.wait_for_calls(seen + 2, endpoint="BalanceEx", timeout=PATIENCE)
            assert time.monotonic() - began >= REQUEST_AGAIN_IN
        finally:
            over.set()
            trader.join(PATIENCE)


def test_a_call_that_is_only_validated_invalidates_nothing(sim: Simulator, tmp_path: Path) -> None:
    slow = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False)
    order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "100", "validate": True}
    with Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=slow) as engine:
        known = engine.balance("MASTER", max_age=600)
        engine.call("MASTER", "AddOrder", order)
        assert engine.balance("MASTER").state is BalanceState.FRESH
        assert engine.balance("MASTER", max_age=600).as_of == known.as_of


def told(events: Events) -> list[AvailabilityChanged]:
    return [event for event in events.seen if isinstance(event, AvailabilityChanged) and event.account == "MASTER"]


def test_each_event_of_availability_goes_on_where_the_last_one_ended(sim: Simulator, tmp_path: Path) -> None:
    """From, to and why: an outage, then a refused key, then another key."""
    quicker = dataclasses.replace(QUICK, refresh_every=0.05)
    engine = Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=quicker)
    events = Events()
    engine.subscribe(events)
    with engine:
        events.wait_for(became(True))
        outage = sim.fault(Fault.error("EService:Unavailable"))
        events.wait_for(became(False))
        sim.revoke("MASTER")
        outage.remove()
        events.wait_for(lambda event: isinstance(event, AvailabilityChanged) and event.after is Standing.BLOCKED)
        new = sim.replace_key("MASTER")
        engine.replace_key("MASTER", new.key, new.secret)
        engine.balance("MASTER", max_age=60, timeout=PATIENCE)
        events.wait_for(lambda event: len(told(events)) == 5)
    standings = [event.after for event in told(events)]
    assert standings == [
        Standing.AVAILABLE, Standing.UNAVAILABLE, Standing.BLOCKED, Standing.UNKNOWN, Standing.AVAILABLE,
    ]  # fmt: skip
    assert [event.before for event in told(events)] == [Standing.UNKNOWN, *standings[:-1]]
    assert [event.is_available for event in told(events)] == [True, False, False, False, True]
    first, outage_told, refused, replaced, last = [str(event.reason) for event in told(events)]
    assert (first, last) == ("None", "None")
    assert "EService:Unavailable" in outage_told
    assert "EAPI:Invalid key" in refused
    assert "replaced" in replaced


def test_changes_add_up_to_the_newest_balance_also_over_another_key(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=QUICK)
    events = Events()
    engine.subscribe(events)
    with engine:
        for cash in ("10.5", "12", "7"):
            sim.set_balance("MASTER", {"ZUSD": cash})
            engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        new = sim.replace_key("MASTER")
        sim.set_balance("MASTER", {"XXBT": "3"})
        engine.replace_key("MASTER", new.key, new.secret)
        events.wait_for(lambda event: is_fresh(event) and "XBT" in event.snapshot.assets)
    changes = [event.changes for event in events.seen if is_fresh(event)]
    totals = {name: sum(change.get(name, Decimal(0)) for change in changes) for name in ("USD", "XBT")}
    assert totals == {"USD": 0, "XBT": 3}


def test_a_balance_actor_that_dies_is_replaced_and_its_account_is_said_to_be_unknown(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    engine.balance("MASTER", max_age=60)
    engine.balances["MASTER"].stop()
    event = events.wait_for(became(False))
    assert (event.before, event.after) == (Standing.AVAILABLE, Standing.UNKNOWN)
    events.wait_for(lambda _: told(events)[-1].is_available)
    assert told(events)[-1].before is Standing.UNKNOWN
    assert engine.balance("MASTER").standing is Standing.AVAILABLE


def test_a_write_invalidates_only_the_balance_of_its_account(sim: Simulator, tmp_path: Path) -> None:
    slow = Settings(refresh_every=600, max_age=600, call_timeout=PATIENCE, local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=slow) as engine:
        for name in ("MASTER", "ALICE"):
            assert engine.balance(name, max_age=600).state is BalanceState.FRESH
        sim.set_balance("MASTER", {"ZUSD": "7"})
        sim.set_balance("ALICE", {"ZUSD": "8"})
        events = Events()
        engine.subscribe(events)
        sim.add_open_order("MASTER", "OAAAAA-AAAAA-AAAAAA")
        engine.call("MASTER", "CancelOrder", {"txid": "OAAAAA-AAAAA-AAAAAA"})
        events.wait_for(lambda event: is_fresh(event) and event.snapshot.cash == 7)
        assert engine.balance("ALICE").cash != 8, "nothing happened there"
