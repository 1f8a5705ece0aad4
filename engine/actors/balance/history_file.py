"""Reading the file in which the archive keeps the history of balances. Read-only; works while the archive writes it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from engine.rules.balance.history import (
    YEAR,
    BalanceMark,
    BalancePoint,
    hour_of,
    hour_places,
    merged,
)
from engine.store import read_group, read_range

logger = logging.getLogger(__name__)

HISTORY_NAME = "history.sqlite"


class Kept(NamedTuple):
    """A point of an account's history on disk: its number, the id of the key that fetched it, and its amounts."""

    number: int
    key_id: str
    point: BalancePoint | None


def read_history(
    directory: Path, account: str, key_id: str | None = None, *, days: float = YEAR
) -> tuple[BalancePoint, ...]:
    """The points of an account's history, the newest last: of the last so many days, counted from the newest.

    The one before these is there as well. Only those that the key `key_id` fetched; `None`: the key of the newest
    point. Read-only; works while an engine owns the directory. Raises `StoreError`.
    """
    path = directory / HISTORY_NAME
    fine = _read_points(path, account)
    newest = next((each.point for each in reversed(fine) if each.point is not None), None)
    if newest is None:
        return ()
    key_id = key_id or fine[-1].key_id
    by_hour = _read_hours(path, account, days, newest.as_of)
    points = merged(_of_key(by_hour, key_id), _of_key(fine, key_id))
    start = newest.as_of - timedelta(days=days)
    before = [each for each in points if each.as_of < start]
    return (*before[-1:], *(each for each in points if each.as_of >= start))


def read_marks(directory: Path, account: str) -> tuple[BalanceMark, ...]:
    """What happened to an account, the newest last. Read-only. Raises `StoreError`."""
    return tuple(mark for _, mark in read_numbered_marks(directory / HISTORY_NAME, account))


def _of_key(points: Iterable[Kept], key_id: str | None) -> list[BalancePoint]:
    return [each.point for each in points if each.point is not None and each.key_id == key_id]


def hourly(account: str) -> str:
    """The group of an account's hourly points. No name of an account has a space."""
    return f"{account} hourly"


def marked(account: str) -> str:
    """The group of an account's marks."""
    return f"{account} marks"


def read_numbered_marks(path: Path, account: str) -> list[tuple[int, BalanceMark]]:
    """What happened to an account, with the number of each mark, the newest last. Raises `StoreError`."""
    found = []
    for document in read_group(path, marked(account)).values():
        try:
            found.append((int(document["number"]), BalanceMark.from_dict(document)))
        except (KeyError, TypeError, ValueError):
            logger.warning("A stored mark in the history of account %s cannot be read and is left out.", account)
    return sorted(found, key=lambda each: each[0])


def read_newest(path: Path, account: str) -> Kept:
    """An account's newest point; number 0 when it has none. Raises `StoreError`."""
    points = _read_points(path, account)
    return points[-1] if points else Kept(0, "", None)


def _read_points(path: Path, account: str) -> list[Kept]:
    """An account's points by number; one that cannot be read is left out."""
    return _kept(account, read_group(path, account).values())


def _read_hours(path: Path, account: str, days: float, now: datetime) -> list[Kept]:
    """An account's hourly points of the last so many days; one that is a year older is still there, and left out."""
    group, oldest = hourly(account), hour_of(now) - int(days * 24) - 2
    found = (
        read_range(path, f"{group}/{each.start:04}", f"{group}/{each.stop - 1:04}~") for each in hour_places(days, now)
    )
    points = _kept(account, (document for part in found for document in part.values()))
    return [each for each in points if each.number >= oldest]


def _kept(account: str, documents: Iterable[Any]) -> list[Kept]:
    found = []
    for document in documents:
        try:
            found.append(Kept(int(document["number"]), document["key"], BalancePoint.from_dict(document)))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            logger.warning("A stored point in the history of account %s cannot be read and is left out.", account)
    return sorted(found, key=lambda each: each.number)
