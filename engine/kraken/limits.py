"""How Kraken counts: the REST counter of a key and the trading counters of an account's pairs.

The numbers are those of Kraken's rate-limit pages (developer docs, August 2026: Spot REST and Spot trading engine).
Kraken reports neither the counters nor the tier over REST, so these count along. They err on the high side: a
call is charged when its reply arrives, the age of an order counts from the reply to its placement, and a counter that
cannot be read counts as full.

Seconds are those of the caller's one monotonic clock. Nothing here is thread-safe: each counter has one owner.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any

from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """What Kraken grants an account.

    calls, calls_decay: the most points of a key's REST counter, and how many it loses in a second.
    trades, trades_decay: the same for the trading counter of one pair.
    open_orders: the most open orders on one pair.
    """

    calls: float
    calls_decay: float
    trades: float
    trades_decay: float
    open_orders: int


# Kraken's support page no longer lists Starter, and calls the other two Standard and "with higher limits".
TIERS: Mapping[str, Tier] = MappingProxyType(
    {
        "starter": Tier(calls=15, calls_decay=0.33, trades=60, trades_decay=1, open_orders=60),
        "intermediate": Tier(calls=20, calls_decay=0.5, trades=125, trades_decay=2.34, open_orders=80),
        "pro": Tier(calls=20, calls_decay=1, trades=180, trades_decay=3.75, open_orders=225),
    }
)

_NO_WAIT = 1e-6  # a shorter wait is a rounding error


class _Falling:
    """A counter that decays continuously, stored as the moment at which it is empty."""

    __slots__ = ("_ceiling", "_decay", "_empty_at", "maximum")

    def __init__(self, maximum: float, decay: float, *, ceiling: float) -> None:
        self.maximum = maximum
        self._decay = decay
        self._ceiling = ceiling
        self._empty_at = -math.inf

    def level(self, now: float) -> float:
        """The points now: never below 0."""
        return min(max(0.0, (self._empty_at - now) * self._decay), self._ceiling)

    @property
    def moment(self) -> float:
        """What the counter is now, for `level_of`. Any thread."""
        return self._empty_at

    def level_of(self, moment: float, now: float) -> float:
        """The points at `now` of this counter as it was at an earlier `moment`, whatever it has counted since."""
        return min(max(0.0, (moment - now) * self._decay), self._ceiling)

    def room(self, now: float) -> float:
        """The points that may still be spent now: never below 0."""
        return max(0.0, self.maximum - self.level(now))

    def wait_for(self, cost: float, now: float, *, kept: float = 0.0) -> float:
        """Seconds until `cost` fits and leaves `kept` points of room; 0 when it does now.

        A cost that exceeds the whole counter waits until it is empty, not for ever.
        """
        most = max(0.0, self.maximum - kept - cost)
        wait = self._empty_at - most / self._decay - now
        return wait if wait > _NO_WAIT else 0.0

    def charge(self, cost: float, now: float) -> None:
        """Count a call that reached Kraken, or may have."""
        if cost:
            emptied_at = max(self._empty_at, now) + cost / self._decay
            self._empty_at = min(emptied_at, now + self._ceiling / self._decay)

    def snap(self, now: float) -> None:
        """Kraken refused a call for its rate limit: the counter is at its maximum, whatever was counted here."""
        self._set(max(self.level(now), self.maximum), now)

    def _set(self, level: float, now: float) -> None:
        self._empty_at = now + min(level, self._ceiling) / self._decay


class CallCounter(_Falling):
    """The REST counter of one API key, which starts at 0 (Kraken's rate-limit page: per key, cost per call, decay).

    Guarantees: ``0 <= level <= maximum``. Kraken's decay is assumed to be continuous; it may come in steps.
    """

    __slots__ = ()

    def __init__(self, tier: Tier) -> None:
        super().__init__(tier.calls, tier.calls_decay, ceiling=tier.calls)

    def to_dict(self, now: float, wall: float) -> dict[str, float]:
        """The level and the time by the wall clock (Unix seconds), as JSON takes it."""
        return {"level": self.level(now), "at": wall}

    @classmethod
    def from_dict(cls, document: Any, tier: Tier, now: float, wall: float) -> CallCounter:
        """The counter after a restart: the level saved, less what decayed by the wall clock since.

        A level from the future, or a malformed document, counts as full.
        """
        counter = cls(tier)
        level, at = (_number(document, name) for name in ("level", "at"))
        if level is None or at is None or level < 0 or at > wall:
            counter.snap(now)
        else:
            counter.charge(max(0.0, min(level, tier.calls) - (wall - at) * tier.calls_decay), now)
        return counter


def _number(document: Any, name: str) -> float | None:
    value = document.get(name) if isinstance(document, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


class Action(Enum):
    """The actions on orders that Kraken's trading engine counts."""

    ADD = "add"
    AMEND = "amend"
    EDIT = "edit"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Penalty:
    """The points of an action: a fixed part, and more for a young order.

    `bands`: pairs of an age in seconds and the points for an order younger than that; the dearest first.
    """

    fixed: float
    bands: tuple[tuple[float, float], ...] = ()

    def points(self, age: float | None) -> float:
        """The points for an order of that age; the most if the age is unknown."""
        younger = (points for below, points in self.bands if age is None or age < below)
        return self.fixed + next(younger, 0.0)


# Age is that since the order was made or last amended. The fixed part is due even when the order is then refused.
PENALTIES: Mapping[Action, Penalty] = MappingProxyType(
    {
        Action.ADD: Penalty(1),
        Action.AMEND: Penalty(1, ((5, 3), (10, 2), (15, 1))),
        Action.EDIT: Penalty(1, ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))),
        Action.CANCEL: Penalty(0, ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))),
    }
)


def batch_points(orders: int) -> float:
    """The points of an `AddOrderBatch`: half of what its orders would cost singly."""
    return orders * PENALTIES[Action.ADD].fixed / 2


class TradingCounter:
    """The trading counters of one account, one for each pair, and the ages of its orders.

    Pairs and orders go by the names that the caller gives them, always the same one for the same pair or order.
    Guarantees: no level is below 0; it may exceed the threshold, since Kraken accepts cancels that overflow
    it. Memory is bounded: the oldest of more than `remember` orders is forgotten, and so is an idle pair.
    """

    def __init__(self, tier: Tier, *, remember: int = 10_000) -> None:
        self._tier = tier
        self._remember = remember
        self._pairs: dict[str, _Falling] = {}
        self._orders: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def level(self, pair: str, now: float) -> float:
        """The points of that pair now."""
        return self._pair(pair).level(now)

    @property
    def maximum(self) -> float:
        """The threshold of every pair."""
        return self._tier.trades

    def moments(self) -> tuple[tuple[str, _Falling, float], ...]:
        """What every pair's counter is now, for `levels_of`. The one method that any thread may call."""
        return tuple((pair, kept, kept.moment) for pair, kept in tuple(self._pairs.items())) if self._pairs else ()

    @staticmethod
    def levels_of(moments: Iterable[tuple[str, _Falling, float]], now: float) -> Mapping[str, float]:
        """The points at `now` of every pair that was not idle."""
        return {pair: level for pair, kept, moment in moments if (level := kept.level_of(moment, now)) > 0}

    def points(self, action: Action, now: float, order: str | None = None) -> float:
        """The cost of an action now. An unknown order counts as new, which costs most."""
        return PENALTIES[action].points(self._age(order, now))

    def wait_for(self, points: float, pair: str, now: float) -> float:
        """Seconds until `points` fit under the threshold of that pair; 0 when they do now."""
        return self._pair(pair).wait_for(points, now)

    def charge(self, points: float, pair: str, now: float) -> None:
        """Count what reached Kraken, or may have."""
        self._keep(pair, now).charge(points, now)

    def charge_cancels(self, now: float, orders: Iterable[str] | None = None) -> None:
        """Count a cancel of those orders (`None`: of all); unknown orders, whose pair is unknown, are not counted."""
        for order in self._orders if orders is None else dict.fromkeys(orders):
            pair = self.pair_of(order)
            if pair is not None:
                self.charge(self.points(Action.CANCEL, now, order), pair, now)

    def snap(self, pair: str, now: float) -> None:
        """Kraken answered `EOrder:Rate limit exceeded`: the pair's counter is at least at its threshold."""
        self._keep(pair, now).snap(now)

    def born(self, order: str, pair: str, now: float) -> None:
        """Kraken has made or amended this order: its age starts again."""
        self._orders[order] = (pair, now)
        self._orders.move_to_end(order)
        if len(self._orders) > self._remember:
            self._orders.popitem(last=False)

    def gone(self, order: str) -> None:
        """The order is not open any more. Does nothing for an unknown one."""
        self._orders.pop(order, None)

    def forget(self, orders: Iterable[str] | None = None) -> None:
        """Those orders (`None`: all) are not open any more."""
        for order in tuple(self._orders) if orders is None else tuple(orders):
            self.gone(order)

    def pair_of(self, order: str) -> str | None:
        """The pair that a known order is on."""
        return self._orders[order][0] if order in self._orders else None

    def _age(self, order: str | None, now: float) -> float | None:
        known = None if order is None else self._orders.get(order)
        return None if known is None else now - known[1]

    def _pair(self, pair: str) -> _Falling:
        """The counter of a pair to look at; an idle pair has a new one, which is empty."""
        found = self._pairs.get(pair)
        return found or _Falling(self._tier.trades, self._tier.trades_decay, ceiling=math.inf)

    def _keep(self, pair: str, now: float) -> _Falling:
        """The counter of a pair to write to; those that have fallen to 0 are forgotten."""
        if pair not in self._pairs:
            self._pairs = {name: kept for name, kept in self._pairs.items() if kept.level(now) > 0}
        return self._pairs.setdefault(pair, self._pair(pair))
