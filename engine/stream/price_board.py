"""The prices that Kraken's public stream tells, between the gates that ask for them and the push thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from engine.rules.balance.snapshot import moment
from engine.rules.stream.price_subscription import PriceSubscription, PushedPrice, still_refused
from engine.rules.stream.subscription import Moment, StreamState
from engine.values import Clock
from engine.values.dataclass import dataclass

ASKED_WITHIN = 600.0
"""Seconds: a pair that no pass has asked for in that time is unsubscribed."""
MOST_PAIRS = 200
"""Pairs at once: their prices may change thousands of times a second, and the push thread keeps the accounts' streams
as well. The others stay on REST."""
NOT_ASKED = "no gate asks for a price"


@dataclass(frozen=True, slots=True)
class PricesReport:
    """The state of the public stream, at one moment."""

    state: StreamState
    since: datetime
    """Since when it is in that state."""
    reason: str | None = None
    """Why it is not LIVE, for a person."""
    pairs: int = 0
    """How many pairs are subscribed."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """The pairs that are asked for by REST all the same, by Kraken's symbol, and why."""
    frames: int = 0
    """How many frames came since the engine began."""
    gaps: int = 0
    """How often it was LIVE, and then something was or may have been missed."""
    connects: int = 0
    """How many connections were tried."""

    @property
    def is_asked(self) -> bool:
        """Whether a gate has asked for a price lately."""
        return self.reason != NOT_ASKED

    @property
    def sentence(self) -> str:
        """How it is, for a person."""
        if self.state is StreamState.LIVE:
            others = f"; by REST: {', '.join(self.refused)}" if self.refused else ""
            return f"Prices are live ({self.pairs} {'pair' if self.pairs == 1 else 'pairs'}{others})."
        return f"Prices are {self.state.value}: {self.reason or 'not told yet'}; the gates ask for them by REST."

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "state": self.state.value, "since": self.since.isoformat(), "reason": self.reason, "pairs": self.pairs,
            "refused": dict(self.refused), "frames": self.frames, "gaps": self.gaps, "connects": self.connects,
        }  # fmt: skip


class PriceBoard:
    """Shared by the push thread, which writes it, and any thread that asks. Thread-safe; nothing waits.

    What it says of silence is worked out from the clocks when it is asked: it needs no thread that still runs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._asked: dict[str, float] = {}
        self._subscription = PriceSubscription()
        self._report = PricesReport(StreamState.DOWN, moment(clock.wall_ns()), NOT_ASKED)
        self._wake: Callable[[], object] | None = None

    def now(self) -> Moment:
        """This instant."""
        return Moment(self._clock.monotonic(), self._clock.wall_ns() / 1e9)

    def ask(self, symbols: Iterable[str], max_age: float) -> dict[str, PushedPrice]:
        """The prices of these pairs that are believed now and at most `max_age` seconds old, by Kraken's symbol.

        A price is as old as the stream's last sign of life. The pairs are subscribed from now on, if they are not yet.
        """
        symbols, now, subscription = tuple(symbols), self.now(), self._subscription
        with self._lock:
            for symbol in symbols:
                self._asked[symbol] = now.monotonic
            wake, self._wake = self._wake, None
        if wake is not None and symbols:
            wake()
        told = {symbol: subscription.price(symbol, now) for symbol in symbols}
        return {symbol: each for symbol, each in told.items() if each and now.monotonic - each.at <= max_age}

    @property
    def report(self) -> PricesReport:
        """What is told of it."""
        subscription = self._subscription
        refused = {symbol: each.why for symbol, each in still_refused(subscription.refused, self.now()).items()}
        return replace(self._report, pairs=len(subscription.pairs), refused=refused)

    # In the push thread

    def wanted(self) -> tuple[str, ...]:
        """The pairs that were asked for lately, those that have been asked for longest first."""
        now = self._clock.monotonic()
        with self._lock:
            self._asked = {symbol: at for symbol, at in self._asked.items() if now - at <= ASKED_WITHIN}
            return tuple(self._asked)[:MOST_PAIRS]

    def wake(self, call: Callable[[], object]) -> None:
        """Call this, in any thread, when a price is asked for the next time."""
        with self._lock:
            self._wake = call

    def counted(self, *, frames: int = 0, connects: int = 0) -> None:
        """Count frames, and connections that were tried."""
        report = self._report
        self._report = replace(report, frames=report.frames + frames, connects=report.connects + connects)

    def changed(self, subscription: PriceSubscription, reason: str | None = None, *, is_gap: bool = False) -> None:
        """It is another one now. `is_gap`: something may have been missed."""
        report, state = self._report, subscription.state
        self._subscription = subscription
        if state is not report.state or reason is not None:
            if reason is None and state is StreamState.SUBSCRIBING and report.reason != NOT_ASKED:
                reason = report.reason  # why the last try failed: this one may fail for the same reason
            since = report.since if state is report.state else moment(self._clock.wall_ns())
            self._report = replace(report, state=state, since=since, reason=reason, gaps=report.gaps + is_gap)
