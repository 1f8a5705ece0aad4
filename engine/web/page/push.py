"""Push: each account's stream, since when it is in its state, and what it missed; and the prices that are pushed."""

from __future__ import annotations

from engine.rules.stream.subscription import StreamState
from engine.stream.pulse import PushReport
from engine.web.page.cell import Cell, Moment, Row, cell
from engine.web.page.seen import Seen

_STATES = {
    StreamState.LIVE: "good", StreamState.SUBSCRIBING: "warn", StreamState.DOWN: "warn", StreamState.ENDED: "bad",
}  # fmt: skip


def push_rows(seen: Seen) -> list[Row]:
    """A row for each stream; none without push."""
    return [_row(each) for each in seen.status.push]


def push_sum(seen: Seen) -> Cell:
    """How many streams are believed, and whether the gates get prices from one."""
    push, prices = seen.status.push, seen.status.push_prices
    live = sum(each.state is StreamState.LIVE for each in push)
    told = f"{live} of {len(push)} live; the other balances are fetched as without push."
    if prices is not None and prices.is_asked:
        told += f" {prices.sentence}"
    return cell(told, state="good" if live == len(push) else "warn")


def _row(report: PushReport) -> Row:
    state = _STATES[report.state]
    counts = (cell(str(each)) for each in (report.frames, report.gaps, report.connects))
    cells = (
        cell(report.account), cell(report.state.value, state=state), cell(Moment(report.since)), *counts,
        cell(report.reason or ""),
    )  # fmt: skip
    return Row(report.account, cells, state, {"account": report.account})
