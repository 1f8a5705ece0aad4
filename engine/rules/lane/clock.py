"""Which clock the nonces follow: the machine's, unless it disagrees with Kraken's.

A clock that is far ahead would drive the nonces of a key ahead for ever, and with one far behind they would be refused.
A wall clock that disagrees with Kraken's time by more than five minutes is not trusted: nonces follow Kraken's then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TOLERANCE = 300.0  # seconds
_TOLERANCE_NS = int(TOLERANCE * 1e9)


@dataclass(frozen=True, slots=True)
class KrakenTime:
    """Kraken's time as it was told once, continued by the monotonic clock."""

    told_ns: int
    """Kraken's time in nanoseconds since 1970; in whole seconds."""
    monotonic: float
    """When it was told, by our monotonic clock."""
    lowest: float = field(init=False, repr=False, compare=False)
    highest: float = field(init=False, repr=False, compare=False)
    """A wall clock is trusted while its difference to the monotonic clock, in nanoseconds, is between these two."""

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
    """Whether a wall clock that is so far ahead is trusted; it has to be while Kraken's time is unknown."""
    return skew_seconds is None or abs(skew_seconds) <= TOLERANCE
