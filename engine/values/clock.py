"""Where time comes from."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from; tests hand in one that they turn themselves."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970 by the wall clock, which may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from some start; never goes back."""
        ...


class SystemClock:
    """The machine's clocks."""

    wall_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


SYSTEM_CLOCK: Clock = SystemClock()
