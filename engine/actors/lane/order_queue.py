"""The queue of orders, from which a cancel takes the placements it covers without searching the queue."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from engine.actors.lane.queued_call import QueuedCall
from engine.rules.lane.priority import COVERS_ALL, names_of

Key = tuple[str, str | None]  # an account, and the name of one of its orders


class OrderQueue(OrderedDict[int, Any]):
    """Envelopes by their number of arrival. It is used like a deque, and finds placements by the names of their orders.

    Every step takes the same time however long the queue is. Not thread-safe: the mailbox holds its lock.
    """

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[int, tuple[Key, ...]] = {}
        self._named: dict[Key, dict[int, None]] = {}
        self._number = itertools.count()

    def append(self, envelope: Any) -> None:
        """Put one in at the end."""
        number, keys = next(self._number), _keys(envelope.message)
        self[number] = envelope
        self._keys[number] = keys
        for key in keys:
            self._named.setdefault(key, {})[number] = None

    def extend(self, envelopes: Iterable[Any]) -> None:
        """Put several in at the end."""
        for envelope in envelopes:
            self.append(envelope)

    def popleft(self) -> Any:
        """Take the first one out. Raises `StopIteration` when it is empty."""
        return self._take(next(super().__iter__()))

    def clear(self) -> None:
        """Take all out."""
        super().clear()
        self._keys.clear()
        self._named.clear()

    def take_covered(self, cancel: QueuedCall) -> list[QueuedCall]:
        """Take out the placements that a cancel covers (see `COVERS_ALL`), in order of arrival."""
        account, params = cancel.call.account, cancel.call.params
        names: Iterable[str | None] = [_ALL] if cancel.call.endpoint == COVERS_ALL else names_of(params)
        numbers = {number for name in names for number in self._named.get((account, name), ())}
        return [self._take(number).message for number in sorted(numbers)]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values())

    def _take(self, number: int) -> Any:
        envelope = self.pop(number)
        for key in self._keys.pop(number):
            named = self._named[key]
            del named[number]
            if not named:
                del self._named[key]
        return envelope


_ALL = None  # instead of a name: every placement of the account


def _keys(message: Any) -> tuple[Key, ...]:
    """The names under which a cancel may look for it; none unless it is a placement."""
    if not isinstance(message, QueuedCall) or not message.endpoint.places:
        return ()
    account = message.call.account
    return tuple((account, name) for name in (_ALL, *names_of(message.call.params)))
