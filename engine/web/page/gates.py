"""The gates of each account's last pass, folded to one line when all have passed; and what Kraken has changed."""

from __future__ import annotations

from engine.kraken.drift import Drift
from engine.rules.gates.report import GateReport, GateState
from engine.web.page.cell import Cell, Moment, Row, cell
from engine.web.page.seen import Seen

_STATES = {
    GateState.PASSED: "good", GateState.DENIED: "bad", GateState.UNKNOWN: "bad", GateState.NOT_REACHED: "plain",
}  # fmt: skip


def gate_rows(report: GateReport) -> list[Row]:
    """The gates of one pass."""
    return [
        Row(each.gate, (cell(each.state.value, state=_STATES[each.state]), cell(each.gate),
                        cell(" ".join(each.reasons) or each.seen)), _STATES[each.state])
        for each in report.results
    ]  # fmt: skip


def gate_sum(account: str, report: GateReport | None) -> Cell:
    """One line on the last pass of an account."""
    if report is None:
        return cell(f"{account}: no pass yet")
    how = "live" if report.live else "dry run"
    if report.passed:
        words = f"all {len(report.results)} gates passed"
        return cell(f"{account}: {words}, ", Moment(report.as_of), f", {how}", state="good")
    stopped = ", ".join(each.gate for each in report.results if each.state is not GateState.PASSED)
    return cell(f"{account}: not passed ({stopped}), ", Moment(report.as_of), f", {how}", state="warn")


def drift_rows(seen: Seen) -> list[Row]:
    """What was new, missing or odd in Kraken's replies."""
    return [_drift(each) for each in seen.status.drift]


def drift_sum(seen: Seen) -> Cell:
    """One sentence on it."""
    changes = len(seen.status.drift)
    return cell(f"{changes} seen, and passed over" if changes else "none seen", state="good")


def _drift(drift: Drift) -> Row:
    cells = (
        cell(drift.what, state="warn"), cell(drift.endpoint), cell(drift.field), cell(str(drift.count)),
        cell(Moment(drift.since)),
    )  # fmt: skip
    return Row(f"{drift.endpoint}/{drift.field}/{drift.what}", cells, "warn")
