"""Which orders a host may be about to send again: those whose outcome it was not told."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

REMEMBERED = 600.0
"""Seconds for which a host's retry with the same parameters means the same order."""
AT_MOST = 10_000

_VARIES = frozenset({"nonce", "otp", "deadline"})  # what differs between two tries of one order


class Intents:
    """The names of placements whose outcome the host does not know, by what it asked for. Thread-safe.

    A host that is told nothing certain sends its order again. Its second call takes the name of the first one, so that
    both are one placement. A call that begins while another with the same parameters is still under way is a second
    order: its host was told nothing wrong about the first.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: OrderedDict[str, deque[tuple[str, float]]] = OrderedDict()

    def take(self, key: str) -> str | None:
        """The oldest placement that a call with these parameters may be a retry of; it is forgotten here."""
        oldest = self._now() - REMEMBERED
        with self._lock:
            names = self._open.get(key, deque())
            while names:
                name, told = names.popleft()
                if told >= oldest:
                    return name
            self._open.pop(key, None)
        return None

    def keep(self, key: str, name: str) -> None:
        """The host was not told how this placement ended."""
        with self._lock:
            self._open.setdefault(key, deque()).append((name, self._now()))
            self._open.move_to_end(key)
            while len(self._open) > AT_MOST:
                self._open.popitem(last=False)


def key_of(endpoint: str, params: Mapping[str, Any]) -> str:
    """What is the same in each try of one order."""
    return repr((endpoint, sorted((name, _plain(value)) for name, value in params.items() if name not in _VARIES)))


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return repr(sorted((str(name), _plain(each)) for name, each in value.items()))
    if isinstance(value, list | tuple):
        return repr([_plain(each) for each in value])
    return str(value)
