"""What the engine tells of its lane: counters, nonces, the clock, denied calls. Reading it waits for nothing (G8)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import PermissionDenied
from engine.kraken.limits import TIERS
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK
from tests.stopwatch import Stopwatch

CALM = replace(QUICK, refresh_every=3600.0)
VALIDATED = {"pair": "XBTUSD", "type": "buy", "ordertype": "market", "volume": "0.001", "validate": "true"}


def test_counters_skew_and_nonces_are_told(sim: Simulator, tmp_path: Path) -> None:
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=CALM)
    assert engine.status().lane is None
    with engine:
        for _ in range(3):
            engine.call("MASTER", "TradeBalance")
        engine.call("MASTER", "AddOrder", VALIDATED)
        lane = engine.status().lane
        assert lane is not None
        assert lane.skew is not None
        assert abs(lane.skew) < 5
        key = lane.keys["MASTER"]
        assert (key.limit, key.trades_limit) == (TIERS["starter"].calls, TIERS["starter"].trades)
        assert 0 < key.level <= 4
        assert 0 < key.trades["XBTUSD"] <= 1
        assert key.nonces >= 4
        assert key.mark == pytest.approx(sim.nonce("MASTER"), rel=1e-3)
        told = engine.status().to_dict()["lane"]
        assert told["keys"]["MASTER"]["mark"] == str(engine.status().lane.keys["MASTER"].mark)
        engine.remove_account("ALICE")
        assert set(engine.status().lane.keys) == {"MASTER", "BOB"}


def test_denied_endpoints_are_told_until_they_are_allowed_again(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=CALM) as engine:
        sim.set_permissions("MASTER", {"query-funds"})
        with pytest.raises(PermissionDenied):
            engine.call("MASTER", "AddOrder", VALIDATED)
        assert _denied(engine) == ("AddOrder",)
        engine.resume("MASTER")
        engine.call("MASTER", "Balance")  # by now the lane has read the word
        assert _denied(engine) == ()


def test_it_is_read_at_once_while_the_exchange_hangs(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=CALM, balances=()) as engine:
        sim.fault(Fault.hang(endpoint="TradeBalance"))
        hung = engine.submit("MASTER", "TradeBalance", timeout=60)
        sim.wait_for_calls(1, endpoint="TradeBalance", ended=False)
        with Stopwatch() as watch:
            for _ in range(100):
                assert engine.status().lane is not None
        assert watch.seconds < 5
        assert not hung.done()
        assert engine.status().under_way_left is not None


def _denied(engine: Engine) -> tuple[str, ...]:
    lane = engine.status().lane
    assert lane is not None
    return lane.keys["MASTER"].denied
