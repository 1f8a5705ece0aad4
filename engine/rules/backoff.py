"""Exponential backoff: how long to pause after failures in a row."""

from __future__ import annotations

from engine.values.dataclass import dataclass

_DOUBLINGS_AT_MOST = 16  # beyond any longest pause, and far from where a float overflows


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double with each failure in a row. Seconds."""

    first: float
    longest: float

    def pause(self, failures: int, at_least: float | None = None) -> float:
        """The pause after that many earlier failures: `first` after none, never above `longest`.

        `at_least` is what somebody else asked for, such as Kraken's ``Retry-After``; it counts when it is longer.
        """
        doubled = self.first * 2.0 ** min(failures, _DOUBLINGS_AT_MOST)
        return max(at_least or 0.0, min(doubled, self.longest))
