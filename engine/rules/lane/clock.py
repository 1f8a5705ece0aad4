"""Whose time counts: the machine's clock, unless it disagrees with Kraken's.

A clock that runs far ahead would drive the nonces of a key ahead for ever, and one far behind is as wrong. A wall clock
that disagrees with Kraken's time by more than five minutes is not believed; the nonces then follow Kraken's time.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLERANCE = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class KrakenTime:
    """Kraken's time as it was told once, carried on by the monotonic clock."""

    told_ns: int
    """What Kraken said, in nanoseconds since 1970; whole seconds."""
    monotonic: float
    """When it was said, by our monotonic clock."""

    def now_ns(self, monotonic: float) -> int:
        """Kraken's time now."""
        return self.told_ns + int((monotonic - self.monotonic) * 1e9)


def skew(wall_ns: int, kraken_ns: int) -> float:
    """By how many seconds the wall clock is ahead of Kraken's time."""
    return (wall_ns - kraken_ns) / 1e9


def is_believed(skew_seconds: float | None) -> bool:
    """Whether a wall clock that is so far ahead may be used; with Kraken's time not known, it has to be."""
    return skew_seconds is None or abs(skew_seconds) <= TOLERANCE
