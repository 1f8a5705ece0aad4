"""Whose time counts: the machine's clock, unless it disagrees with Kraken's.

A clock that runs far ahead would drive the nonces of a key ahead for ever, and one far behind is as wrong. A wall clock
that disagrees with Kraken's time by more than five minutes is not believed; the nonces then follow Kraken's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TOLERANCE = 300.0  # seconds
_TOLERANCE_NS = int(TOLERANCE * 1e9)


@dataclass(frozen=True, slots=True)
class KrakenTime:
    """Kraken's time as it was told once, carried on by the monotonic clock."""

    told_ns: int
    """What Kraken said, in nanoseconds since 1970; whole seconds."""
    monotonic: float
    """When it was said, by our monotonic clock."""
    lowest: float = field(init=False, repr=False, compare=False)
    highest: float = field(init=False, repr=False, compare=False)
    """Between these, the wall clock less the monotonic clock (in nanoseconds) is believed."""

    def __post_init__(self) -> None:
        offset = self.told_ns - self.monotonic * 1e9
        object.__setattr__(self, "lowest", offset - _TOLERANCE_NS)
        object.__setattr__(self, "highest", offset + _TOLERANCE_NS)

    def now_ns(self, monotonic: float) -> int:
        """Kraken's time now."""
        return self.told_ns + int((monotonic - self.monotonic) * 1e9)


def skew(wall_ns: int, kraken_ns: int) -> float:
    """By how many seconds the wall clock is ahead of Kraken's time."""
    return (wall_ns - kraken_ns) / 1e9


def is_believed(skew_seconds: float | None) -> bool:
    """Whether a wall clock that is so far ahead may be used; with Kraken's time not known, it has to be."""
    return skew_seconds is None or abs(skew_seconds) <= TOLERANCE
