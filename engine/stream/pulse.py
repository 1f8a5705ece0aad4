"""What is known of one account's stream, for everybody who reads the account's balance or its state."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.rules.balance.pushed import PushedTotals
from engine.rules.balance.snapshot import moment
from engine.rules.stream.subscription import SILENCE, Moment, StreamState
from engine.values import AssetBalance, Clock
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class PushReport:
    """The state of one account's stream, at one moment."""

    account: str
    state: StreamState
    since: datetime
    """Since when it is in that state."""
    reason: str | None = None
    """Why it is not LIVE, for a person; while it subscribes, why it was not before."""
    frames: int = 0
    """How many frames came since the engine began."""
    gaps: int = 0
    """How often it was LIVE, and then something was or may have been missed."""
    connects: int = 0
    """How many connections were tried."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "account": self.account, "state": self.state.value, "since": self.since.isoformat(), "reason": self.reason,
            "frames": self.frames, "gaps": self.gaps, "connects": self.connects,
        }  # fmt: skip


_NOT_YET = "It has not connected yet."


class Pulse:
    """Shared by the push thread, which writes it, and any thread that reads. Thread-safe; nothing waits.

    What it says of silence is worked out from the clocks when it is asked: it needs no thread that still runs.
    """

    def __init__(self, account: str, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._live: tuple[float, Moment] | None = None
        self._totals = PushedTotals()
        self._report = PushReport(account, StreamState.DOWN, moment(clock.wall_ns()), _NOT_YET)

    def now(self) -> Moment:
        """This instant."""
        return Moment(self._clock.monotonic(), self._clock.wall_ns() / 1e9)

    @property
    def report(self) -> PushReport:
        """What is told of it."""
        return self._report

    @property
    def is_live(self) -> bool:
        """Whether it is believed now."""
        live = self._live
        return live is not None and self.now().since(live[1]) <= SILENCE

    def confirmed(self, as_of: float) -> float | None:
        """Seconds since the stream last said, by saying nothing else, that a balance of `as_of` has not changed.

        as_of: when it was requested, by the monotonic clock. `None`: the stream says nothing of it.
        """
        live = self._live
        if live is None or as_of < live[0]:
            return None
        age = self.now().since(live[1])
        return age if age <= SILENCE else None

    def heard(self, at: Moment) -> None:
        """A frame other than a pong has come."""
        live = self._live
        if live is not None:
            self._live = (live[0], at)

    def counted(self, *, frames: int = 0, connects: int = 0) -> None:
        """Count frames, and connections that were tried. In the push thread."""
        report = self._report
        self._report = replace(report, frames=report.frames + frames, connects=report.connects + connects)

    def changed(self, state: StreamState, at: Moment, reason: str | None = None) -> None:
        """It is in another state, or for another reason. In the push thread.

        A new try keeps the reason why the last one failed until it is LIVE: it may fail for the same reason.
        """
        report = self._report
        if reason is None and state is StreamState.SUBSCRIBING and report.reason != _NOT_YET:
            reason = report.reason
        was_live, is_live = report.state is StreamState.LIVE, state is StreamState.LIVE
        self._live = (at.monotonic, at) if is_live else None
        since = report.since if state is report.state else moment(self._clock.wall_ns())
        gaps = report.gaps + (was_live and not is_live)
        self._report = replace(report, state=state, since=since, reason=reason, gaps=gaps)

    def told(self, totals: Mapping[str, Decimal | None], at: float, *, is_snapshot: bool) -> None:
        """The stream has told totals."""
        with self._lock:
            self._totals = self._totals.told(totals, at, is_snapshot=is_snapshot)

    def forget_totals(self) -> None:
        """What the stream has told counts no longer."""
        with self._lock:
            self._totals = PushedTotals(ignored=self._totals.ignored)

    def is_ahead_of(self, assets: Mapping[str, AssetBalance]) -> bool:
        """Whether the stream has told what REST does not tell yet."""
        with self._lock:
            self._totals, is_behind = self._totals.compared(assets, self._clock.monotonic())
            return is_behind
