"""Push, with a real engine and real sockets: balances that the stream keeps fresh, and every doubt that ends that."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from engine import BalanceChanged, Engine, EngineWarning, Order
from engine.rules.balance.snapshot import BalanceState
from engine.rules.stream.subscription import StreamState
from engine.simulator import Fault, Simulator, StreamFault
from engine.stream.budget import ConnectionBudget
from tests.conftest import Events, private_calls
from tests.stream.conftest import ROW, gaps_of, pushing, state_of, until, until_live

OTHER = {**ROW, "ZUSD": "77.0000"}


def is_fresh(engine: Engine, cash: str | None = None) -> bool:
    snapshot = engine.balance("MASTER")
    return snapshot.state is BalanceState.FRESH and cash in (None, str(snapshot.cash))


def warned(events: Events, code: str) -> EngineWarning:
    found: EngineWarning = events.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == code)
    return found


# Balances


def test_a_change_is_told_at_once_and_never_fresh_with_the_old_amount(
    sim: Simulator, engine: Engine, events: Events
) -> None:
    until(lambda: is_fresh(engine, "10000.0000"))
    sim.set_balance("MASTER", OTHER)
    until(lambda: not is_fresh(engine, "10000.0000"))
    changed = events.wait_for(lambda event: isinstance(event, BalanceChanged))
    assert changed.snapshot.cash == Decimal("77.0000")
    assert changed.changes == {"USD": Decimal("-9923.0000")}


def test_a_quiet_stream_answers_for_the_lane(sim: Simulator, engine: Engine) -> None:
    def answers() -> bool:
        before = len(private_calls(sim))
        snapshot = engine.balance("MASTER", max_age=2.9)
        return snapshot.state is BalanceState.FRESH and len(private_calls(sim)) == before

    until(lambda: all(answers() for _ in range(50)))
    before = len(private_calls(sim))
    engine.balance("MASTER", max_age=0)
    assert len(private_calls(sim)) > before, "0 asks for what is requested from now on"


def test_the_age_counts_from_the_last_frame(sim: Simulator, engine: Engine) -> None:
    def is_younger_than_its_request() -> bool:
        snapshot = engine.balance("MASTER")
        assert snapshot.as_of is not None
        return snapshot.age is not None and snapshot.age < snapshot._age(confirmed=False)  # type: ignore[operator]

    until(is_younger_than_its_request)


def test_it_needs_no_live_engine(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=pushing(sim)) as engine:
        until_live(engine)
        assert len(sim.streams.open) == 1
    assert sim.streams.open == []


@pytest.mark.parametrize("fault", [each for each in StreamFault if each.is_of_a_frame])
def test_a_broken_sequence_is_down_and_a_new_subscription(
    sim: Simulator, engine: Engine, fault: StreamFault
) -> None:
    sim.streams.state.add(fault, "MASTER")
    for dollars in ("1.0000", "2.0000", "3.0000"):
        sim.set_balance("MASTER", {**ROW, "ZUSD": dollars})
    until(lambda: gaps_of(engine))
    until(lambda: is_fresh(engine, "3.0000"))
    until_live(engine)
    assert sim.highest_in_flight == 1


@pytest.mark.parametrize("fault", [StreamFault.MUTE, StreamFault.PONG_ONLY])
def test_silence_is_down_and_polling_goes_on(sim: Simulator, engine: Engine, fault: StreamFault) -> None:
    until(lambda: is_fresh(engine))
    sim.streams.state.add(fault, "MASTER")
    sim.set_balance("MASTER", OTHER)
    until(lambda: state_of(engine) is not StreamState.LIVE)
    until(lambda: is_fresh(engine, "77.0000"))
    assert state_of(engine) is not StreamState.LIVE
    sim.streams.state.clear()
    until_live(engine)


def test_silence_is_seen_without_the_push_thread(sim: Simulator, engine: Engine) -> None:
    """What is FRESH by the stream alone is judged by whoever reads it."""
    pulse = engine._state.system.push.pulse("MASTER")
    assert pulse is not None
    until(lambda: pulse.confirmed(pulse.now().monotonic) is not None)
    sim.streams.state.add(StreamFault.MUTE, None)
    until(lambda: pulse.confirmed(pulse.now().monotonic) is None)


def test_no_snapshot_is_given_up(sim: Simulator, tmp_path: Path) -> None:
    sim.streams.state.add(StreamFault.NO_SNAPSHOT, None)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=pushing(sim)) as engine:
        until(lambda: any("snapshot" in (report.reason or "") for report in engine.status().push))
        sim.streams.state.clear()
        until_live(engine)


@pytest.mark.parametrize("code", [1001, 1011, None])
def test_a_closed_connection_is_made_again(sim: Simulator, engine: Engine, code: int | None) -> None:
    sim.streams.close(code)
    until(lambda: gaps_of(engine))
    until_live(engine)


def test_a_stale_token_is_fetched_anew(sim: Simulator, engine: Engine) -> None:
    sim.streams.state.add(StreamFault.STALE_TOKEN, None)
    sim.streams.close(1001)
    until(lambda: any("ESession" in (report.reason or "") for report in engine.status().push))
    sim.streams.state.clear()
    until_live(engine)
    tokens = [call for call in sim.calls if call.endpoint == "GetWebSocketsToken"]
    assert len(tokens) >= len(sim.streams.state.upgrades)


def test_a_policy_violation_ends_it_with_one_warning(sim: Simulator, engine: Engine, events: Events) -> None:
    sim.streams.close(1008)
    warning = warned(events, "push-refused")
    assert "close code 1008" in warning.message
    assert "'WebSocket interface'" in warning.message
    until(lambda: state_of(engine) is StreamState.ENDED)
    until(lambda: is_fresh(engine))
    engine.resume("MASTER")
    until_live(engine)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_upgrade_ends_it(sim: Simulator, engine: Engine, events: Events, status: int) -> None:
    sim.streams.state.refused = status
    sim.streams.close(1001)
    assert f"HTTP {status}" in warned(events, "push-refused").message
    until(lambda: state_of(engine) is StreamState.ENDED)


def test_a_busy_server_is_tried_again(sim: Simulator, engine: Engine) -> None:
    sim.streams.state.refused = 503
    sim.streams.close(1001)
    until(lambda: any("503" in (report.reason or "") for report in engine.status().push))
    sim.streams.state.clear()
    until_live(engine)


@pytest.mark.parametrize("missing", ["create-ws-token", "query-open-trades"])
def test_a_missing_permission_ends_it_and_the_engine_goes_on(sim: Simulator, tmp_path: Path, missing: str) -> None:
    granted = {"query-funds", "create-ws-token", "query-open-trades"} - {missing}
    sim.set_permissions("MASTER", granted)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=pushing(sim)) as engine:
        until(lambda: state_of(engine) is StreamState.ENDED)
        until(lambda: is_fresh(engine))
        assert engine.is_available("MASTER")
        assert [each.code for each in engine.status().warnings].count("push-refused") == 1
        sim.set_permissions("MASTER", granted | {missing})
        engine.resume("MASTER")
        until_live(engine)


def test_rest_behind_the_stream_is_not_fresh(sim: Simulator, engine: Engine, events: Events) -> None:
    until(lambda: is_fresh(engine))
    sim.set_rest_lag("MASTER", 60)
    events.forget()
    sim.set_balance("MASTER", OTHER)
    until(lambda: not is_fresh(engine))
    calls = len(private_calls(sim))
    sim.wait_for_calls(calls + 2)
    assert not is_fresh(engine) or gaps_of(engine), "REST tells the old amount again and again"
    sim.set_rest_lag("MASTER", 0)
    until(lambda: is_fresh(engine, "77.0000"))


# Accounts


def test_accounts_come_go_and_change_their_keys(sim: Simulator, engine: Engine) -> None:
    added = sim.add_account("LATE")
    engine.add_account((added.name, added.key, added.secret))
    until_live(engine, "LATE")
    engine.remove_account("LATE")
    until(lambda: [each.accounts for each in sim.streams.open] == [{"MASTER"}])
    assert [report.account for report in engine.status().push] == ["MASTER"]
    before = sim.streams.open
    new = sim.replace_key("MASTER")
    engine.replace_key("MASTER", new.key, new.secret)
    until(lambda: sim.streams.open and sim.streams.open != before)
    until_live(engine)


def test_accounts_with_orders_come_first_and_the_budget_is_kept(tmp_path: Path) -> None:
    with Simulator(["ALICE", "BOB", "CAROL"]) as sim:
        sim.set_price("XBTUSD", "29999.9", "30000.0")
        plain = pushing(sim, push=False)
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=plain, live=True) as engine:
            engine.place("CAROL", Order("XBTUSD", "buy", "limit", "0.001", "20000"))
        budget = ConnectionBudget(sim.ws_url)
        while budget.room > 1:
            budget.take()
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=pushing(sim), live=True) as engine:
            until_live(engine, "CAROL")
            until(lambda: all(each.state is BalanceState.FRESH for each in engine.status().accounts))
            assert (len(sim.streams.state.upgrades), budget.room) == (1, 0)


# The rest


def test_a_hung_rest_does_not_hold_up_a_stop(sim: Simulator, engine: Engine) -> None:
    sim.fault(Fault.hang())
    engine.stop()
    until(lambda: sim.streams.open == [])


def test_without_push_there_is_no_stream(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=pushing(sim, push=False)) as engine:
        until(lambda: is_fresh(engine))
        assert engine.status().push == ()
    assert {call.endpoint for call in private_calls(sim)} == {"BalanceEx"}
    assert sim.streams.state.upgrades == []
