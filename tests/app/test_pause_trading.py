"""A paused account places nothing, on whatever way the order comes; cancels go on, and a restart changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import Engine, NotLive, OrderState, TradingPaused
from engine.errors import UnknownName
from engine.simulator import Fault, Simulator
from tests.app.test_place import RESTS, running
from tests.stopwatch import PATIENCE

WIRE = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}


@pytest.fixture
def live(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    with running(sim, tmp_path) as engine:
        yield engine


def placed(sim: Simulator) -> int:
    return sum(call.endpoint == "AddOrder" for call in sim.calls)


def test_nothing_is_placed_while_cancels_go_on(sim: Simulator, live: Engine) -> None:
    receipt = live.place("MASTER", RESTS, id="before")
    live.pause_trading("MASTER")
    sent = placed(sim)
    with pytest.raises(TradingPaused, match="paused"):
        live.place("MASTER", RESTS)
    for endpoint, params in (
        ("AddOrder", WIRE),
        ("AddOrderBatch", {"pair": "XBTUSD", "orders": [WIRE, WIRE]}),
        ("AmendOrder", {"txid": receipt.txids[0], "limit_price": "29000"}),
        ("EditOrder", {"txid": receipt.txids[0], "pair": "XBTUSD", "price": "29000"}),
    ):
        with pytest.raises(TradingPaused):
            live.call("MASTER", endpoint, params)
    assert placed(sim) == sent
    assert live.place("MASTER", RESTS, id="before") == receipt, "what was placed before is told as ever"
    assert live.cancel("MASTER", receipt).state is OrderState.CANCELED
    assert live.cancel_all("MASTER") == 0
    assert live.call("MASTER", "AddOrder", {**WIRE, "validate": True})["descr"]


def test_it_is_one_account_s_and_status_tells_it(live: Engine) -> None:
    live.pause_trading("MASTER")
    since = live.status().paused["MASTER"]
    live.pause_trading("MASTER")
    assert live.status().paused == {"MASTER": since}, "since the first time"
    assert live.status().to_dict()["paused"] == {"MASTER": since.isoformat()}
    assert live.place("ALICE", RESTS).state is OrderState.PLACED
    live.resume_trading("MASTER")
    live.resume_trading("MASTER")
    assert live.status().paused == {}
    assert live.place("MASTER", RESTS).state is OrderState.PLACED
    with pytest.raises(UnknownName):
        live.pause_trading("NOBODY")


def test_it_is_paused_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path) as engine:
        engine.pause_trading("MASTER")
        since = engine.status().paused
    with running(sim, tmp_path) as again:
        assert again.status().paused == since
        with pytest.raises(TradingPaused):
            again.place("MASTER", RESTS)
        again.resume_trading("MASTER")
    with running(sim, tmp_path) as last:
        assert last.status().paused == {}
        assert last.place("MASTER", RESTS).state is OrderState.PLACED


def test_what_waits_in_the_lane_is_not_sent(sim: Simulator, live: Engine) -> None:
    """Its turn comes after the pause, so it ends as not sent."""
    fault = sim.fault(Fault.hang(endpoint="CancelOrder"))
    live.submit("ALICE", "CancelOrder", {"txid": "OAAAAA-AAAAA-AAAAAA"}, timeout=PATIENCE)  # is not cut for an order
    waiting = live.submit("MASTER", "AddOrder", WIRE, timeout=PATIENCE)
    live.pause_trading("MASTER")
    fault.remove()
    with pytest.raises(TradingPaused):
        waiting.result(timeout=PATIENCE)
    assert placed(sim) == 0


def test_a_plan_s_order_is_denied_with_the_reason(live: Engine) -> None:
    live.pause_trading("MASTER")
    report = live.gates("MASTER")
    assert not report.passed
    assert any("paused" in reason for reason in report.reasons), report.reasons


def test_an_engine_that_is_not_live_can_be_rehearsed_with(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path, live=False) as engine:
        engine.pause_trading("MASTER")
        with pytest.raises(TradingPaused):
            engine.place("MASTER", RESTS)
        with pytest.raises(NotLive):
            engine.call("ALICE", "AddOrder", WIRE)


def test_status_tells_the_dead_man_s_switches_and_when_kraken_answered(sim: Simulator, live: Engine) -> None:
    assert live.balance("ALICE", max_age=0).cash is not None
    live.arm("MASTER", 60)
    assert live.status().switches == {"MASTER": 60}
    live.disarm("MASTER")
    status = live.status()
    assert status.switches == {}
    assert 0 <= status.heard["ALICE"] < PATIENCE
    assert not status.refusing
    with sim.outage(Fault.error("EService:Busy")):
        assert live.balance("ALICE", max_age=0, timeout=PATIENCE).error_count
        assert live.status().refusing
