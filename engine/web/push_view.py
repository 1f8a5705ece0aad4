"""Push on the dashboard: each account's stream, since when it is in its state, and what it missed."""

from __future__ import annotations

from collections.abc import Sequence

from engine.app.status import EngineStatus
from engine.rules.stream.subscription import StreamState
from engine.stream.pulse import PushReport

_STATES = {
    StreamState.LIVE: "good", StreamState.SUBSCRIBING: "warn", StreamState.DOWN: "warn", StreamState.ENDED: "bad",
}  # fmt: skip
COLUMNS = ("State", "Account", "Since", "Frames", "Gaps", "Connections", "Why not")


def push_rows(status: EngineStatus) -> Sequence[tuple[str, ...]]:
    """A row for each stream; none without push."""
    return [_row(each) for each in status.push]


def push_sentence(status: EngineStatus) -> tuple[str, str]:
    """How many streams are believed, and the state to show that with."""
    live = sum(each.state is StreamState.LIVE for each in status.push)
    state = "good" if live == len(status.push) else "warn"
    return f"{live} of {len(status.push)} live; the other balances are fetched as without push", state


def _row(report: PushReport) -> tuple[str, ...]:
    since = f"{report.since:%Y-%m-%d %H:%M:%S} UTC"
    counts = (str(report.frames), str(report.gaps), str(report.connects))
    return (_STATES[report.state], report.state.value, report.account, since, *counts, report.reason or "")
