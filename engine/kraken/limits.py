"""How Kraken counts: the REST counter of a key, and the trading counters of an account's pairs with its orders' ages.

The numbers are those of Kraken's rate-limit pages (developer docs, August 2026: Spot REST and Spot trading engine).
Kraken reports neither the counters nor the tier over REST, so `engine.rules.lane.admission` counts along. The age of an
order counts from the reply to its placement, so that it never costs less here than at Kraken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from enum import Enum
from types import MappingProxyType

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


class OrderAges:
    """When the orders of one account were made or last amended, and on which pair. Not thread-safe: it has one owner.

    Pairs and orders go by the names that the caller gives them, always the same one for the same pair or order. Memory
    is bounded: the oldest of more than `remember` orders is forgotten.
    """

    __slots__ = ("_orders", "_remember")

    def __init__(self, *, remember: int = 10_000) -> None:
        self._remember = remember
        self._orders: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._orders)

    def points(self, action: Action, now: float, order: str | None = None) -> float:
        """The cost of an action now. An unknown order counts as new, which costs most."""
        known = None if order is None else self._orders.get(order)
        return PENALTIES[action].points(None if known is None else now - known[1])

    def cancel_points(self, now: float, orders: Iterable[str] | None = None) -> list[tuple[str, float]]:
        """The pairs and points of a cancel of those orders (`None`: of all); unknown orders, whose pair is unknown,
        are not counted."""
        named = dict.fromkeys(self._orders if orders is None else orders)
        known = [(self.pair_of(order), order) for order in named]
        return [(pair, self.points(Action.CANCEL, now, order)) for pair, order in known if pair is not None]

    def born(self, order: str, pair: str, now: float) -> None:
        """Kraken has made or amended this order: its age starts again."""
        self._orders[order] = (pair, now)
        self._orders.move_to_end(order)
        if len(self._orders) > self._remember:
            self._orders.popitem(last=False)

    def forget(self, orders: Iterable[str] | None = None) -> None:
        """Those orders (`None`: all) are not open any more. Unknown ones are passed over."""
        for order in tuple(self._orders if orders is None else orders):
            self._orders.pop(order, None)

    def pair_of(self, order: str) -> str | None:
        """The pair that a known order is on."""
        return self._orders[order][0] if order in self._orders else None
