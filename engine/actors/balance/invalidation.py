"""When an order, a cancel or a fill of ours last changed what an account holds."""

from __future__ import annotations

import threading


class Invalidation:
    """The moment, by the monotonic clock, after which a reply has to be requested to count. Thread-safe.

    All snapshots of the account refer to it, so every one of them is STALE from that moment on.
    """

    __slots__ = ("_at", "_lock")

    def __init__(self, lock: threading.Lock | None = None) -> None:
        """`lock` may be shared by many: it is held for a moment."""
        self._at = float("-inf")
        self._lock = lock or threading.Lock()

    def note(self, at: float) -> None:
        """The balance changed at that time; the latest counts."""
        with self._lock:
            self._at = max(self._at, at)

    def at(self) -> float:
        """The moment; minus infinity when nothing has changed the balance."""
        return self._at
