"""The part of the test that needs the keys, run by the engine that owns them while it goes on working."""

from __future__ import annotations

from collections.abc import Iterator

from engine.app import Engine
from engine.doctor.account import CALL_PATIENCE, CallResults, account_findings
from engine.doctor.changes import change_findings
from engine.doctor.finding import Finding, warn
from engine.doctor.nonce import nonce_finding
from engine.doctor.push import push_findings
from engine.doctor.time_left import TimeLeft
from engine.doctor.unsettled import unsettled_findings
from engine.values import SYSTEM_CLOCK, Settings

_SHARED = "Another program may use the key: give the engine a key of its own. If that is so already, poll less often."


def examine_running(engine: Engine, account: str, settings: Settings) -> Iterator[Finding]:
    """Examine one account of a running engine: its key, permissions, one balance and the nonce mark.

    Only reads at Kraken, and has it validate an order; a key that Kraken refuses is not tried again. Raises
    `UnknownName`.
    """
    before = _mark(engine, account)
    calls = CallResults()
    engine.subscribe(calls)
    try:
        engine.balance(account, 0.0, CALL_PATIENCE)
        left = TimeLeft(SYSTEM_CLOCK, 3 * CALL_PATIENCE)
        now = SYSTEM_CLOCK.wall_ns()
        kraken = yield from account_findings(engine, account, settings, calls, left, now / 1e9)
        yield nonce_finding(account, before, now, kraken, _mark(engine, account))
        yield from unsettled_findings(engine, account, CALL_PATIENCE)
        yield from _limited(engine, account)
        yield from push_findings(engine, account)
        yield from change_findings(engine.status().drift, settings)
    finally:
        engine.unsubscribe(calls)


def _limited(engine: Engine, account: str) -> Iterator[Finding]:
    """How often Kraken limited a call although the local count had room."""
    lane = engine.status().lane
    key = lane.keys.get(account) if lane is not None else None
    if key is not None and key.limited:
        times = "once" if key.limited == 1 else f"{key.limited} times"
        told = f"Since its start Kraken limited this engine's calls {times} although the local count had room for them."
        yield warn("call-cost", told, _SHARED, account)


def _mark(engine: Engine, account: str) -> int:
    lane = engine.status().lane
    return lane.keys[account].mark if lane is not None and account in lane.keys else 0
