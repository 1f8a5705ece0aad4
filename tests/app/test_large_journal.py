"""An engine that placed one order a minute for a month: 50,000 finished placements in its journal."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pykka
import pytest

from engine import Engine, EngineWarning, Order, OrderState, Settings
from engine.actors.order.order import OrderActor
from engine.errors import CallError, IdInUse
from engine.simulator import Fault, Simulator
from tests.conftest import Events
from tests.finished import MONTH, ORDER, fill, finished
from tests.stopwatch import PATIENCE, Stopwatch

SETTINGS = Settings(refresh_every=60.0, call_timeout=PATIENCE, local_limits=False, follow_every=0.2)
TIMEOUT, GRACE = 0.3, 1.0  # seconds; every call ends by its deadline + 1 s (promise G5)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("month") / "state"
    fill(directory)
    return directory


def test_nobody_else_is_answered_late_while_the_journal_is_opened_again(
    sim: Simulator, month: Path, tmp_path: Path
) -> None:
    """G5, with calls that are answered and calls that hang; the deadlines of these are timers."""
    events = Events()
    engine = Engine(
        sim.accounts, url=sim.url, state_dir=shutil.copytree(month, tmp_path / "state"), settings=SETTINGS, live=True
    )  # fmt: skip
    engine.subscribe(events)
    replaced = threading.Event()
    engine.subscribe(
        lambda event: replaced.set() if isinstance(event, EngineWarning) and event.code == "actor-replaced" else None
    )
    with engine:
        assert engine.order("MASTER", f"signal-{MONTH - 1}").state is OrderState.CLOSED
        (orders,) = pykka.ActorRegistry.get_by_class(OrderActor)
        orders.stop()
        calls = 0
        while not replaced.is_set():
            sim.fault(Fault.hang(endpoint="TradeBalance", times=1))
            with Stopwatch() as watch, pytest.raises(CallError):
                engine.call("ALICE", "TradeBalance", timeout=TIMEOUT)
            assert watch.seconds < TIMEOUT + GRACE
            with Stopwatch() as watch:
                engine.call("BOB", "TradeBalance", timeout=GRACE)
            assert watch.seconds < GRACE
            calls += 2
        assert calls
        assert engine.order("MASTER", "signal-0").state is OrderState.CLOSED, "it is back"


def test_every_id_of_the_month_is_remembered(sim: Simulator, month: Path, tmp_path: Path) -> None:
    state = shutil.copytree(month, tmp_path / "state")
    with Engine(sim.accounts, url=sim.url, state_dir=state, settings=SETTINGS, live=True) as engine:
        for number in (0, 1, MONTH // 2, MONTH - 1):
            known = finished(number, "MASTER", 0.0)
            receipt = engine.place("MASTER", ORDER, id=known.id)
            assert (receipt.cl_ord_id, receipt.state) == (known.cl_ord_id, OrderState.CLOSED)
            assert engine.order("MASTER", known.txids[0]) == engine.order("MASTER", known.cl_ord_id) == receipt
            with pytest.raises(IdInUse):
                engine.place("MASTER", Order("ETHUSD", "buy", "market", "1"), id=known.id)
        assert engine.open_orders("MASTER") == ()
        assert not sim.placements("MASTER")
        assert engine.place("ALICE", ORDER, id="signal-0").cl_ord_id != finished(0, "MASTER", 0.0).cl_ord_id
    assert len(sim.placements("ALICE")) == 1
