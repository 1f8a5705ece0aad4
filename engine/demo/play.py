"""The whole demo."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from engine.demo.crashes import crashes
from engine.demo.gates import gates
from engine.demo.outage import outage, recovery
from engine.demo.push import push
from engine.demo.report import Audience, Report
from engine.demo.scene import CASH, PATIENCE, ROWS, Scene, Watch, is_well
from engine.errors import EngineError
from engine.simulator import Simulator

TOGETHER = 20  # calls per account that are all asked for at once


def run(audience: Audience) -> Report:
    """Run all parts and report the observations. Does not raise when something fails: that is a broken promise."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kraken-engine-demo-") as directory, Simulator(ROWS) as simulator:
        for name, rows in ROWS.items():
            simulator.set_balance(name, rows)
        scene = Scene(simulator, Path(directory), audience)
        try:
            _play(scene)
        except (EngineError, TimeoutError, RuntimeError, OSError) as error:
            scene.check("The demo runs to its end", False, str(error) or type(error).__name__)
    scene.report.seconds = time.monotonic() - started
    return scene.report


def _play(scene: Scene) -> None:
    balances(scene)
    crashes(scene)
    with scene.engine() as engine:
        outage(scene, engine)
        gates(scene, engine, recovery(scene, engine))
    push(scene)


def balances(scene: Scene) -> None:
    """The balances of all accounts, while their other calls are requested at the same time."""
    scene.act("balances")
    with scene.engine() as engine:
        scene.step(f"{len(ROWS)} accounts, {TOGETHER} calls of each asked for at once, through one lane")
        calls = [engine.submit(name, "TradeBalance", timeout=PATIENCE) for _ in range(TOGETHER) for name in ROWS]
        done = sum(call.exception(PATIENCE + 1) is None for call in calls)
        watch = Watch(engine, CASH)
        well = watch.until(lambda all_: all(map(is_well, all_)))
        found = watch.look()
    scene.balances("Before", found)
    right = sum(each.cash == CASH[each.account] for each in found)
    scene.check(
        "Every account's balance is fetched as Kraken has it, Auto Earn included",
        well and right == len(ROWS), f"{right} of {len(ROWS)} accounts fresh and available",
    )  # fmt: skip
    flight = scene.simulator.highest_in_flight
    scene.check(
        "Calls of all accounts go through one lane, one after the other",
        done == len(calls) and flight == 1, f"{done} of {len(calls)} calls done, {flight} at a time",
    )  # fmt: skip
