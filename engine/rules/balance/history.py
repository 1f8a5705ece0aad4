"""The balances of an account as points in time: which of them are kept, how many, and where.

The newest are kept finely, one for each change and one every five minutes; for a year there is one for each hour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values import Value
from engine.values.dataclass import dataclass

MOST = 1000
"""How many points of one account are kept: the newest."""
AT_LEAST_EVERY = 300.0
"""Seconds after which a point is kept even though nothing has changed."""
YEAR = 366.0
"""Days."""
HOURS = 366 * 24
"""How many hourly points of one account are kept: those of a year."""
MARKS = 500
"""How many marks of one account are kept: the newest."""
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class BalancePoint(Value):
    """What an account held at one moment. `available_cash` is `None` when holds were not known."""

    as_of: datetime
    cash: Decimal
    available_cash: Decimal | None
    assets: Mapping[str, Decimal] = field(repr=False)
    """Each asset's total, under its plain name."""
    cash_assets: tuple[str, ...] = ()
    """Which assets were counted as cash; empty in points of earlier releases."""

    @classmethod
    def of(cls, snapshot: BalanceSnapshot) -> BalancePoint | None:
        """The point of a snapshot; `None` when there never was a good reply."""
        if snapshot.as_of is None or snapshot.cash is None:
            return None
        totals = MappingProxyType({name: each.total for name, each in snapshot.assets.items()})
        return cls(snapshot.as_of, snapshot.cash, snapshot.available_cash, totals, snapshot.cash_assets)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> BalancePoint:
        """The point that `to_dict` wrote. Raises `KeyError`, `TypeError`, `ValueError` or `ArithmeticError`."""
        free = document["available_cash"]
        totals = {name: Decimal(total) for name, total in document["assets"].items()}
        return cls(
            datetime.fromisoformat(document["as_of"]), Decimal(document["cash"]),
            None if free is None else Decimal(free), MappingProxyType(totals),
            tuple(str(name) for name in document.get("cash_assets", ())),
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; amounts are strings."""
        free = self.available_cash
        return {
            "as_of": self.as_of.isoformat(),
            "cash": format(self.cash, "f"),
            "available_cash": None if free is None else format(free, "f"),
            "cash_assets": list(self.cash_assets),
            "assets": {name: format(total, "f") for name, total in self.assets.items()},
        }

    def says_more_than(self, last: BalancePoint) -> bool:
        """Whether it is kept after `last`: an amount differs, or enough time lies between them, in either direction."""
        amounts = (self.cash, self.available_cash, self.assets)
        if amounts != (last.cash, last.available_cash, last.assets):
            return True
        return abs((self.as_of - last.as_of).total_seconds()) >= AT_LEAST_EVERY


@dataclass(frozen=True, slots=True)
class BalanceMark(Value):
    """Something at one moment that explains a balance, or why there is none."""

    at: datetime
    kind: str
    """``not available``, ``available``, ``order`` for one that was placed, ``fill`` where something was traded."""
    text: str
    """What happened, for a person."""

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> BalanceMark:
        """The mark that `to_dict` wrote. Raises `KeyError`, `TypeError` or `ValueError`."""
        return cls(datetime.fromisoformat(document["at"]), str(document["kind"]), str(document["text"]))

    def to_dict(self) -> dict[str, str]:
        """JSON-ready."""
        return {"at": self.at.isoformat(), "kind": self.kind, "text": self.text}


def place(number: int) -> int:
    """Where an account's point of that number is kept: it replaces the one that is `MOST` points older."""
    return number % MOST


def hour_of(moment: datetime) -> int:
    """The hour that a point belongs to, counted from 1970."""
    return int(moment.timestamp()) // _HOUR


def hour_places(days: float, now: datetime) -> tuple[range, ...]:
    """Where the hourly points of the last so many days are kept; a point replaces the one that is `HOURS` older."""
    last = hour_of(now)
    number = min(HOURS, int(days * 24) + 2)
    first = (last - number + 1) % HOURS
    if first + number <= HOURS:
        return (range(first, first + number),)
    return range(first, HOURS), range(first + number - HOURS)


def hour_place(hour: int) -> int:
    """Where the point of that hour is kept."""
    return hour % HOURS


def merged(hourly: Sequence[BalancePoint], fine: Sequence[BalancePoint]) -> tuple[BalancePoint, ...]:
    """The fine points, and the hourly ones from before the first of them; the newest last."""
    ordered = sorted(hourly, key=lambda each: each.as_of)
    return (*(each for each in ordered if not fine or each.as_of < fine[0].as_of), *fine)
