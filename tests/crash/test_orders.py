"""G9: whatever is lost on the way, and wherever the engine is killed, the exchange has one order per placement."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.crash.placer import order_of

STEPS = 24  # before and after each write of the journal and its witness for the first orders; the start is the first
LOST = ("hang", "reset", "close", "empty", "502", "504", "520", "unavailable", "busy", "not unique", "deadline", "none")


def fault_of(name: str, executed: bool) -> Fault | None:
    where: dict[str, Any] = {"endpoint": "AddOrder", "times": 1, "executed": executed}
    match name:
        case "none":
            return None
        case "hang":
            return Fault.delay(1.0, **where)
        case "reset" | "close" | "empty":
            fault: Fault = getattr(Fault, name)(**where)
            return fault
        case "unavailable" | "busy":
            return Fault.error(f"EService:{name.capitalize()}", **where)
        case "not unique":
            return Fault.error("EGeneral:Invalid arguments:cl_ord_id not unique", **where)
        case "deadline":
            return Fault.error("EService:Deadline elapsed", **where)
        case _:
            return Fault.http(int(name), **where)


def run(sim: Simulator, state: Path, step: int | None, ids: list[int], kill_after: float | None = None) -> Any:
    """One life of a placing process; what it printed, or `None` when it was killed."""
    asked = {"url": sim.url, "state": str(state), "account": list(sim.accounts[0])[:3], "step": step, "ids": ids}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.crash.placer", json.dumps(asked)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
    if process.returncode == -9:
        return None
    assert process.returncode == 0, err
    return json.loads(out)


def lose_and_kill(seed: int, state: Path) -> None:
    chance = random.Random(seed)
    ids = list(range(chance.randrange(1, 4)))
    with Simulator() as sim:
        if chance.random() < 0.3:
            sim.set_listing_lag(chance.uniform(0.0, 0.25))
        for _ in range(chance.randrange(1, 3)):
            fault = fault_of(chance.choice(LOST), chance.random() < 0.6)
            if fault is not None:
                late = chance.random() < 0.3 and not fault.lets_through
                sim.fault(fault.with_effect_after(chance.uniform(0.0, 1.0)) if late else fault)
            by_hand = chance.random() < 0.3
            run(sim, state, None if by_hand else chance.randrange(STEPS), ids,
                kill_after=chance.uniform(0.5, 1.5) if by_hand else None)  # fmt: skip
            sim.clear_faults()
        ends = run(sim, state, None, ids)
        placed = sim.placements("MASTER")
    assert "put aside" not in json.dumps(ends), f"seed {seed}: a crash was taken for a loss of the journal"
    volumes = Counter(placement.params["volume"] for placement in placed)
    assert not {volume: n for volume, n in volumes.items() if n > 1}, f"seed {seed}: doubled"
    assert set(volumes) <= {str(order_of(number).volume) for number in ids}
    known = {txid for end in ends.values() for txid in end.get("txids", ())}
    assert {placement.txid for placement in placed} == known, f"seed {seed}: forgotten; {ends}"


@pytest.mark.parametrize("seed", [0, 1, 1001, 1004, 1006])  # faults that strike, and kills that come after them
def test_g9_one_order_per_placement_over_faults_and_kill_9(seed: int, tmp_path: Path) -> None:
    lose_and_kill(seed, tmp_path / "state")


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(1000, 1500))
def test_g9_one_order_per_placement_over_500_seeds(seed: int, tmp_path: Path) -> None:
    lose_and_kill(seed, tmp_path / "state")


@pytest.mark.parametrize("seconds", [4.0, pytest.param(30.0, marks=pytest.mark.torture)])
@pytest.mark.parametrize("executed", [True, False])
def test_g9_a_process_that_stands_still_with_an_order_under_way(tmp_path: Path, seconds: float, executed: bool) -> None:
    """As a laptop that is closed: deadlines pass meanwhile, and the reply that was waited for never comes."""
    ids = [0, 1, 2]
    with Simulator() as sim:
        sim.fault(Fault.hang(endpoint="AddOrder", times=1, executed=executed))
        asked = {"url": sim.url, "state": str(tmp_path / "state"), "account": list(sim.accounts[0])[:3], "step": None}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.crash.placer", json.dumps({**asked, "ids": ids})],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        sim.wait_for_calls(1, endpoint="AddOrder", ended=False, timeout=60)
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(seconds)
        sim.clear_faults()
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        ends, placed = json.loads(out), sim.placements("MASTER")
    assert max(Counter(placement.params["volume"] for placement in placed).values()) == 1
    known = {txid for end in ends.values() for txid in end.get("txids", ())}
    assert {placement.txid for placement in placed} == known
    assert len(placed) == (3 if executed else 2), ends
