"""Findings on push, of a running engine."""

from __future__ import annotations

from collections.abc import Iterator

from engine.app import Engine
from engine.doctor.finding import Finding, ok, warn
from engine.rules.stream.subscription import StreamState
from engine.stream.price_board import PricesReport
from engine.stream.pulse import PushReport

_REMEDIES = {
    StreamState.ENDED: "Give the key the permission 'WebSocket interface' on Kraken's API page (Settings, API), then "
                       "kraken-engine resume ACCOUNT.",
    StreamState.DOWN: "Nothing has to be done: it connects again by itself. If it stays so, look at the network and at "
                      "the setting ws_url.",
}  # fmt: skip


def push_findings(engine: Engine, account: str) -> Iterator[Finding]:
    """How the account's stream is, and that of prices where a gate asks for them; nothing without push."""
    status = engine.status()
    for each in status.push:
        if each.account == account:
            yield _finding(each)
    if status.push_prices is not None and status.push_prices.is_asked:
        yield _prices(status.push_prices)


def _prices(report: PricesReport) -> Finding:
    if report.state is StreamState.LIVE:
        return ok("push-prices", report.sentence)
    return warn("push-prices", report.sentence,
                "Nothing has to be done: it connects again by itself. If it stays so, look at the network and at the "
                "setting ws_public_url.")  # fmt: skip


def _finding(report: PushReport) -> Finding:
    since = f"since {report.since:%Y-%m-%d %H:%M:%S} UTC"
    seen = f"{report.frames} frames, {report.gaps} gaps, {report.connects} connections"
    if report.state is StreamState.LIVE:
        return ok("push", f"Push is live {since} ({seen}).", report.account)
    remedy = _REMEDIES.get(report.state, _REMEDIES[StreamState.DOWN])
    why = f": {report.reason}" if report.reason else ""
    return warn("push", f"Push is {report.state.value} {since}{why} ({seen}); the balance is fetched as without it.",
                remedy, report.account)  # fmt: skip
