"""An engine takes a lane over from another that does not know it: what was promised to the caller holds on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Order, OrderState, Settings
from engine.cluster.backing import LaneBacking
from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.errors import (
    CallNotSent,
    EngineStopped,
    InvalidNonce,
    LockedOut,
    OrderUnknown,
    OwnershipLost,
    StoreInUse,
    TemporaryLockout,
    TradingPaused,
)
from engine.simulator import Fault, Simulator
from engine.values.clock import SystemClock
from tests.cluster.lanes import claimed, taken_over
from tests.cluster.postgresql import Server, eventually
from tests.stopwatch import AT_ONCE, LONG, PATIENCE, Stopwatch, again_if_stalled

ORDER = Order("XBTUSD", "buy", "limit", "0.001", "20000")
CALM = Settings(
    refresh_every=1000.0, max_age=1000.0, call_timeout=PATIENCE, local_limits=False, tier="pro",
    settle_margin=0.2, order_deadline=4.0,
)  # fmt: skip


class Nodes:
    """Engines that take the lane one from each other; none of them is stopped by that."""

    def __init__(self, sim: Simulator, leases: Leases, directory: Path) -> None:
        self._sim, self._leases, self._directory = sim, leases, directory
        self._running: list[Engine] = []
        self._lease: Lease | None = None

    def take(self, name: str, lane: str = "one", **options: Any) -> Engine:
        """The lane's next owner, started, whoever has it now."""
        take = taken_over if self._leases.lanes() else claimed
        self._lease = take(self._leases, name, lane)
        return self.start(self._lease, name, **options)

    def lose(self) -> None:
        """The present owner, if any, learns that the lane is not its own any more."""
        if self._lease is not None:
            self._lease.is_lost = True

    def start(self, lease: Lease, name: str, **options: Any) -> Engine:
        """An engine of a lane, started."""
        backing = LaneBacking(lease, self._directory / name)
        engine = Engine.over(
            backing, self._sim.accounts, url=self._sim.url, settings=CALM, live=True, **options
        )
        self._running.append(engine)
        return engine.start() or engine

    def stop(self) -> None:
        for engine in self._running:
            engine.stop()


@pytest.fixture
def nodes(sim: Simulator, leases: Leases, tmp_path: Path) -> Iterator[Nodes]:
    """They start engines for the simulator's accounts, which have money."""
    for account in sim.accounts:
        sim.set_balance(account.name, {"ZUSD": "10000"})
    made = Nodes(sim, leases, tmp_path)
    yield made
    made.stop()


def orders_of(sim: Simulator) -> list[str]:
    return [each.txid for each in sim.placements("MASTER")]


def test_an_orderly_stop_lets_the_read_under_way_end(sim: Simulator, nodes: Nodes) -> None:
    engine = nodes.take("a")
    hang = sim.fault(Fault.hang(endpoint="TradeBalance"))
    with ThreadPoolExecutor(1) as pool:
        under_way = engine.submit("MASTER", "TradeBalance", timeout=LONG)
        assert eventually(lambda: hang.used)
        waiting = engine.submit("MASTER", "Balance", timeout=LONG)
        stopped = pool.submit(engine.stop, LONG)
        assert isinstance(waiting.exception(PATIENCE), EngineStopped)
        hang.remove()
        assert under_way.result(PATIENCE)
        stopped.result(PATIENCE)


def test_the_same_id_on_the_next_owner_is_the_same_receipt(sim: Simulator, nodes: Nodes) -> None:
    first = nodes.take("a").place("MASTER", ORDER, id="signal-42")
    second = nodes.take("b").place("MASTER", ORDER, id="signal-42")
    assert second == first
    assert orders_of(sim) == list(first.txids)


@pytest.mark.parametrize("executed", [True, False])
def test_an_order_in_doubt_is_settled_by_the_next_owner(sim: Simulator, nodes: Nodes, executed: bool) -> None:
    first = nodes.take("a")
    sim.fault(Fault.reset(executed=executed, endpoint="AddOrder", times=1))
    look_ups = [sim.fault(Fault.hang(endpoint=each)) for each in ("OpenOrders", "ClosedOrders", "QueryOrders")]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(first.place, "MASTER", ORDER, id="signal-42", timeout=PATIENCE)
        sim.wait_for_calls(1, endpoint="AddOrder", timeout=PATIENCE)
        second = nodes.take("b")
        for each in look_ups:
            each.remove()
        if executed:
            assert list(second.place("MASTER", ORDER, id="signal-42", timeout=PATIENCE).txids) == orders_of(sim)
        else:
            with pytest.raises(CallNotSent, match="Kraken has no such order"):
                second.place("MASTER", ORDER, id="signal-42", timeout=PATIENCE)
        first.stop()
        assert isinstance(waiting.exception(), OrderUnknown), "it is never told as not placed by who does not know"
    assert len(orders_of(sim)) == executed


def test_an_old_owner_sends_and_writes_nothing(sim: Simulator, nodes: Nodes, leases: Leases) -> None:
    old = nodes.take("a")
    old.call("MASTER", "TradeBalance")
    new = nodes.take("b")
    new.call("MASTER", "TradeBalance")
    before = leases.database.run("SELECT * FROM kraken_engine.document WHERE file = 'orders' ORDER BY name")
    with pytest.raises(OwnershipLost):
        old.pause_trading("MASTER")
    with pytest.raises(CallNotSent):
        old.place("MASTER", ORDER, id="late")
    with pytest.raises(OwnershipLost):
        old.call("MASTER", "CancelAll")
    assert not {"AddOrder", "CancelAll"} & {call.endpoint for call in sim.calls}
    assert leases.database.run("SELECT * FROM kraken_engine.document WHERE file = 'orders' ORDER BY name") == before
    assert new.call("MASTER", "TradeBalance")


def test_what_an_old_owner_sends_late_is_refused_by_kraken(sim: Simulator, nodes: Nodes) -> None:
    """It has not heard of the other, and its nonces are still below the mark that it had made durable."""
    old = nodes.take("a")
    old.call("MASTER", "TradeBalance")
    nodes.take("b").call("MASTER", "TradeBalance")
    with pytest.raises((InvalidNonce, OwnershipLost)):
        old.call("MASTER", "CancelAll")
    assert [call.executed for call in sim.calls if call.endpoint == "CancelAll"] in ([], [False], [False, False])


def test_after_a_takeover_the_first_call_of_a_key_is_a_read_and_its_nonce_is_above_the_old_ones(
    sim: Simulator, nodes: Nodes
) -> None:
    nodes.take("a").place("MASTER", ORDER, id="one")
    nodes.lose()
    before = [call for call in sim.calls if call.account == "MASTER"]
    nodes.take("b").place("MASTER", ORDER, id="two")
    after = [call for call in sim.calls if call.account == "MASTER"][len(before) :]
    assert after[0].endpoint in ("GetApiKeyInfo", "BalanceEx", "OpenOrders")
    assert min(call.nonce for call in after if call.nonce) > max(call.nonce for call in before if call.nonce)
    assert sim.refused_nonces == 0


class WrongClock(SystemClock):
    """A machine's clocks, of which the wall clock is some seconds ahead."""

    def __init__(self, ahead: int) -> None:
        self._ahead = ahead

    def wall_ns(self) -> int:
        return time.time_ns() + self._ahead * 1_000_000_000


@pytest.mark.parametrize("seconds", [3600, -3600, 240, -240])
def test_nonces_rise_wherever_the_clocks_of_the_owners_are(sim: Simulator, nodes: Nodes, seconds: int) -> None:
    """Four minutes are believed, an hour is not: then Kraken's time counts."""
    for name, ahead in (("a", seconds), ("b", -seconds), ("c", seconds)):
        nodes.lose()
        engine = nodes.take(name, clock=WrongClock(ahead))
        for account in sim.accounts:
            engine.call(account.name, "Balance")
    for account in sim.accounts:
        calls = [call.nonce or 0 for call in sim.calls if call.private and call.account == account.name]
        assert calls == sorted(set(calls))
    assert sim.refused_nonces == 0


def test_a_lockout_and_a_pause_go_along(sim: Simulator, nodes: Nodes, leases: Leases) -> None:
    first = nodes.take("a")
    first.pause_trading("ALICE")
    sim.fault(Fault.error("EGeneral:Temporary lockout", account="MASTER", times=1))
    with pytest.raises((TemporaryLockout, LockedOut)):
        first.call("MASTER", "TradeBalance")
    eventually(lambda: leases.database.run(_LOCKED_OUT))
    calls = len([call for call in sim.calls if call.account == "MASTER"])
    second = nodes.take("b")
    with pytest.raises(LockedOut) as caught:
        second.call("MASTER", "TradeBalance")
    assert 800 < (caught.value.retry_after or 0) <= 900
    assert len([call for call in sim.calls if call.account == "MASTER"]) == calls
    with pytest.raises(TradingPaused):
        second.place("ALICE", ORDER)
    second.resume_trading("ALICE")
    assert nodes.take("c").place("ALICE", ORDER).state is OrderState.PLACED


_LOCKED_OUT = """
SELECT name FROM kraken_engine.document WHERE file = 'limits' AND body LIKE '%locked_until%'
"""


def test_a_dead_man_s_switch_is_fed_by_the_next_owner(sim: Simulator, nodes: Nodes) -> None:
    nodes.take("a").arm("MASTER", 60)
    told = len([call for call in sim.calls if call.endpoint == "CancelAllOrdersAfter"])
    nodes.take("b")
    calls = sim.wait_for_calls(told + 1, endpoint="CancelAllOrdersAfter", timeout=PATIENCE)
    assert calls[-1].params["timeout"] == "60"


@again_if_stalled
def test_a_key_of_two_lanes_keeps_the_second_engine_from_starting(nodes: Nodes, leases: Leases) -> None:
    nodes.take("a")
    second = claimed(leases, "b", "two")
    with Stopwatch() as watch, pytest.raises(StoreInUse, match="in use by lane one, owned by node a"):
        nodes.start(second, "b")
    second.release()
    assert watch.wall < AT_ONCE


def test_no_secret_is_in_the_database(
    sim: Simulator, nodes: Nodes, server: Server, dsn: str
) -> None:
    engine = nodes.take("a")
    engine.place("MASTER", ORDER, id="one")
    engine.arm("MASTER", 60)
    engine.pause_trading("ALICE")
    dump = server.program("pg_dump", "--inserts", dsn)
    assert "signal" not in dump
    assert "'one'" in dump
    for account in sim.accounts:
        assert account.key not in dump
        assert account.secret not in dump
