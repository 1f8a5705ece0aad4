"""A clock that stands still until the test turns it."""

from __future__ import annotations


class ManualClock:
    """A `Clock` whose time is `now`, in seconds; its wall clock began at `epoch`, in Unix seconds."""

    def __init__(self, now: float = 1000.0, *, epoch: float = 0.0) -> None:
        self.now, self._epoch = now, epoch

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        """Unix seconds."""
        return self._epoch + self.now

    def wall_ns(self) -> int:
        return int(self.wall() * 1e9)
