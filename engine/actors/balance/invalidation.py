"""When something of ours last changed what an account holds."""

from __future__ import annotations

import threading


class Invalidation:
    """The moment, by the monotonic clock, that replies have to be asked for after. Thread-safe.

    All snapshots of the account ask it, so that every one of them is STALE from that moment on.
    """

    __slots__ = ("_at", "_lock")

    def __init__(self) -> None:
        self._at = float("-inf")
        self._lock = threading.Lock()

    def note(self, at: float) -> None:
        """It was changed at that time; the latest counts."""
        with self._lock:
            self._at = max(self._at, at)

    def at(self) -> float:
        """When; minus infinity when it never was."""
        return self._at
