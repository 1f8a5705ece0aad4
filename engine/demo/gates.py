"""The part of the demo in which an account goes through the five gates: stopped during an outage, then let through."""

from __future__ import annotations

from engine.app import Engine
from engine.demo.scene import PATIENCE, Scene, Watch, is_well
from engine.rules.gates.gates import FIVE_GATES
from engine.rules.gates.report import GateReport, GateState

ACCOUNT = "MASTER"
GONE_FOR = 1.0  # seconds that each question may take while nobody answers


def gates(scene: Scene, engine: Engine, watch: Watch) -> None:
    """From the balance to an order: denied with every reason while Kraken is gone, and checked when it is back."""
    scene.act("gates")
    with scene.simulator.outage():
        watch.until(lambda all_: not any(map(is_well, all_)))
        stopped = engine.gates(ACCOUNT, timeout=GONE_FOR)
    scene.gates(stopped)
    denied = [each.gate for each in stopped.results if each.state is GateState.DENIED]
    last = stopped.results[-1]
    scene.check(
        "In doubt the gates deny, and give every reason; the strategy is not even asked",
        len(denied) >= 3 and last.state is GateState.NOT_REACHED and all(map(bool, stopped.reasons)),
        f"{', '.join(denied)} denied, for {len(stopped.reasons)} reasons; {last.gate} {last.state.value}",
    )
    well = watch.until(lambda all_: all(map(is_well, all_)), PATIENCE)
    passed = engine.gates(ACCOUNT)
    scene.gates(passed)
    scene.check(
        "With Kraken back all five gates let the smallest order through to Kraken's check, and nothing is placed",
        well and _was_checked(passed) and not scene.simulator.placements(ACCOUNT),
        f"{sum(each.state is GateState.PASSED for each in passed.results)} of {len(FIVE_GATES)} passed. "
        + passed.outcome,
    )


def _was_checked(report: GateReport) -> bool:
    return report.passed and report.receipt is not None and not report.receipt.live
