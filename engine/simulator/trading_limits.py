"""The exchange's trading counters: one for each pair of an account, and what each action adds to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.simulator.call_limits import Monotonic
from engine.simulator.refusal import Refused


class TierLimits(NamedTuple):
    """The limits of a tier."""

    calls: float
    calls_decay: float
    trades: float
    trades_decay: float
    open_orders: int


TIERS: Mapping[str, TierLimits] = {
    "starter": TierLimits(15, 0.33, 60, 1, 60),
    "intermediate": TierLimits(20, 0.5, 125, 2.34, 80),
    "pro": TierLimits(20, 1, 180, 3.75, 225),
}

# (younger than so many seconds, so many points), the youngest first
_AMEND = ((5, 3), (10, 2), (15, 1))
_EDIT = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))
_CANCEL = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))


class PairCounters:
    """Counts for one account. Without a tier it counts nothing and refuses nothing."""

    def __init__(self, tier: TierLimits | None, monotonic: Monotonic) -> None:
        self._tier = tier
        self._monotonic = monotonic
        self._levels: dict[str, tuple[float, float]] = {}

    def receive(self, pair: str, points: float) -> None:
        """Charge an order, or a batch at half a point each. Raises `Refused`; it is charged even then."""
        if self._tier is None:
            return
        level = self._level(pair)
        self._charge(pair, points)
        if level + points > self._tier.trades:
            raise Refused("EOrder:Rate limit exceeded")

    def check_open(self, open_orders: int) -> None:
        """Refuse another order on a pair with this many open orders."""
        if self._tier is not None and open_orders + 1 > self._tier.open_orders:
            raise Refused("EOrder:Orders limit exceeded")

    def cancel_all(self, pair: str) -> None:
        """Charge a cancel of all orders of the pair, which is always accepted."""
        self._change(pair, 1, overflows=True)

    def amend(self, pair: str, age: float) -> None:
        """Charge an amend of an order of that age in seconds. Raises `Refused`."""
        self._change(pair, 1 + _points(_AMEND, age))

    def edit(self, pair: str, age: float) -> None:
        """Charge an edit of an order of that age in seconds. Raises `Refused`."""
        self._change(pair, 1 + _points(_EDIT, age))

    def cancel(self, pair: str, age: float, *, overflows: bool = False) -> None:
        """Charge a cancel of an order of that age in seconds. Raises `Refused`, unless the counter may overflow."""
        self._change(pair, _points(_CANCEL, age), overflows=overflows)

    def _change(self, pair: str, points: float, *, overflows: bool = False) -> None:
        if self._tier is not None:
            if not overflows and self._level(pair) + points > self._tier.trades:
                raise Refused("EOrder:Rate limit exceeded")
            self._charge(pair, points)

    def _level(self, pair: str) -> float:
        level, since = self._levels.get(pair, (0.0, 0.0))
        decay = self._tier.trades_decay if self._tier else 0.0
        return max(0.0, level - (self._monotonic() - since) * decay)

    def _charge(self, pair: str, points: float) -> None:
        self._levels[pair] = (self._level(pair) + points, self._monotonic())


def _points(bands: tuple[tuple[int, int], ...], age: float) -> int:
    return next((points for seconds, points in bands if age < seconds), 0)
