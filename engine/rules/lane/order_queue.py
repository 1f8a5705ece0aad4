"""The queue of orders, in which a cancel finds the placements that it covers without searching (promise G4).

An item is in the queue from `append` until exactly one of `popleft`, `take_covered` and `clear` takes it out. While it
is there, it is found under each name by which a cancel may refer to its order; afterwards under none.
"""

from __future__ import annotations

import itertools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

COVERS_ALL = "CancelAll"
"""Covers every placement of its account; any other cancel covers those with which it shares one of `names_of`."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")

T = TypeVar("T")
Key = tuple[str, str | None]  # an account, and the name of one of its orders


class QueuedPlacement(NamedTuple):
    """What the queue has to know of a placement: whose it is, and the parameters that name its orders."""

    account: str
    params: Mapping[str, Any]


class OrderQueue(OrderedDict[int, T]):
    """Items by their number of arrival. It is used like a deque, and finds placements by the names of their orders.

    `placement` reads an item; `None`: no cancel covers it. Every step takes the same time however long the queue is.
    Not thread-safe.
    """

    def __init__(self, placement: Callable[[T], QueuedPlacement | None]) -> None:
        super().__init__()
        self._placement = placement
        self._keys: dict[int, tuple[Key, ...]] = {}
        self._named: dict[Key, dict[int, None]] = {}
        self._number = itertools.count()

    def append(self, item: T) -> None:
        """Put one in at the end."""
        number, keys = next(self._number), _keys(self._placement(item))
        self[number], self._keys[number] = item, keys
        for key in keys:
            self._named.setdefault(key, {})[number] = None

    def extend(self, items: Iterable[T]) -> None:
        """Put several in at the end."""
        for item in items:
            self.append(item)

    def popleft(self) -> T:
        """Take the first one out. Raises `StopIteration` when it is empty."""
        return self._take(next(super().__iter__()))

    def clear(self) -> None:
        """Take all out."""
        super().clear()
        self._keys.clear()
        self._named.clear()

    def take_covered(self, account: str, endpoint: str, params: Mapping[str, Any]) -> list[T]:
        """Take out the placements that a cancel covers, in order of arrival."""
        names: Iterable[str | None] = [_ALL] if endpoint == COVERS_ALL else names_of(params)
        numbers = {number for name in names for number in self._named.get((account, name), ())}
        return [self._take(number) for number in sorted(numbers)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def _take(self, number: int) -> T:
        for key in self._keys.pop(number):
            named = self._named[key]
            del named[number]
            if not named:
                del self._named[key]
        return self.pop(number)


def names_of(params: Mapping[str, Any]) -> set[str]:
    """Every name by which the parameters of a call refer to an order."""
    found = {_normal(params[name]) for name in ("txid", "cl_ord_id", "userref") if params.get(name) is not None}
    for name in ("orders", "cl_ord_ids"):
        for each in _listed(params.get(name)):
            found |= names_of(each) if isinstance(each, Mapping) else {_normal(each)}
    return found


_ALL = None  # instead of a name: every placement of the account


def _keys(placement: QueuedPlacement | None) -> tuple[Key, ...]:
    """The names under which a cancel may look for it."""
    if placement is None:
        return ()
    return tuple((placement.account, name) for name in (_ALL, *names_of(placement.params)))


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


def _normal(value: Any) -> str:
    """Kraken stores a `cl_ord_id` as a number, so a UUID is the same with and without hyphens (AddOrder reference)."""
    text = str(value)
    return text.replace("-", "").lower() if _UUID.fullmatch(text) else text
