"""NautilusTrader's REST client through the gateway: it trades, and a lost reply leaves one order."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.served import served

pytestmark = pytest.mark.hosts

TRADES_WITHIN = 120.0  # seconds
CLIENT = ROOT / "tests" / "hosts" / "nautilus_client.py"


def test_nautilus_trader_trades_through_the_gateway(nautilus: str, sim: Simulator, tmp_path: Path) -> None:
    sim.set_balance("MASTER", {"ZUSD": "10000.0000"})
    with served(sim, tmp_path, "--live") as service:
        told = service.command("gateway-key", "MASTER", "--label", "nautilus", "--trading", "--json")
        assert told.returncode == 0, told.stderr
        key = json.loads(told.stdout)
        sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
        done = subprocess.run(
            [nautilus, str(CLIENT), service.url, key["key"], key["secret"]],
            capture_output=True, text=True, cwd=tmp_path, timeout=TRADES_WITHIN, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    answer = json.loads(done.stdout)
    assert [each.txid for each in sim.placements("MASTER")] == [answer["placed"], answer["bought"]]
    assert answer["fills"] == [answer["bought"]]
    assert "10000.00000000 USD" in answer["state"]
    assert answer["canceled"] == 0
    assert sim.refused_nonces == 0
