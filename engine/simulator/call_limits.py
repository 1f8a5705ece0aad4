"""Limits on a key that calls or fails too often."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Monotonic = Callable[[], float]

# Kraken's two pages disagree about the history calls, and its own client counts 2 for `OpenOrders`; these are the
# dearer ones.
COSTS: Mapping[str, float] = {
    "AddOrder": 0, "AddOrderBatch": 0, "AmendOrder": 0, "EditOrder": 0,
    "CancelOrder": 0, "CancelOrderBatch": 0,
    "OpenOrders": 2, "ClosedOrders": 4, "Ledgers": 4, "TradesHistory": 4,
    "QueryLedgers": 4, "QueryOrders": 4, "QueryTrades": 4,
}  # fmt: skip
USUAL_COST = 1.0

# What counts towards a lockout, and only when it comes again and again.
OFFENCES = frozenset({"EAPI:Invalid key", "EAPI:Invalid signature", "EAPI:Invalid nonce"})


class KeyCounter:
    """The call counter of one key: rises by each call's cost and falls all the time, or in steps `every` seconds."""

    def __init__(self, limit: float, decay: float, monotonic: Monotonic, *, every: float = 0.0) -> None:
        self._limit = limit
        self._decay = decay
        self._monotonic = monotonic
        self._every = every
        self._level = 0.0
        self._counted_at = self._now()

    def takes(self, cost: float) -> bool:
        """Count a call of this cost; returns false if it exceeds the limit."""
        now = self._now()
        self._level = max(0.0, self._level - (now - self._counted_at) * self._decay)
        self._counted_at = now
        if self._level + cost > self._limit:
            return False
        self._level += cost
        return True

    def _now(self) -> float:
        now = self._monotonic()
        return now - now % self._every if self._every else now


class Lockout:
    """Locks a key out for `seconds` after `after` failures in a row; further calls prolong it."""

    def __init__(self, after: int | None, seconds: float, monotonic: Monotonic) -> None:
        self._after = after
        self._seconds = seconds
        self._monotonic = monotonic
        self._offences: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def holds(self, key: str) -> bool:
        """Whether this key is locked out now."""
        now = self._monotonic()
        if now >= self._until.get(key, now):
            return False
        self._until[key] = now + self._seconds
        return True

    def note(self, key: str, error: str | None) -> None:
        """Record how a call of this key ended."""
        if self._after is None:
            return
        self._offences[key] = self._offences.get(key, 0) + 1 if error in OFFENCES else 0
        if self._offences[key] >= self._after:
            self._offences[key] = 0
            self._until[key] = self._monotonic() + self._seconds
