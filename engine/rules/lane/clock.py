"""Which clock the nonces follow: the machine's, unless it disagrees with Kraken's.

A clock that is far ahead would drive the nonces of a key ahead for ever, and with one far behind they would be refused.
A wall clock that disagrees with Kraken's time by more than five minutes is not trusted: nonces follow Kraken's then.

Nor is Kraken's time trusted on one reply alone: a proxy, a cache or a bad server may tell any time, and a nonce that is
years ahead binds its key for ever. Two witnesses have to agree: two replies, or one reply and the wall clock.
"""

from __future__ import annotations

from dataclasses import field, replace

from engine.values.dataclass import dataclass

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


@dataclass(frozen=True, slots=True)
class KnownTime:
    """What is known of Kraken's time.

    trusted: what two witnesses agree about. claimed: what one answer said since and nobody else; it moves no nonce
    ahead, no order's deadline, and is dropped when the next answer agrees with the others.
    """

    trusted: KrakenTime | None = None
    claimed: KrakenTime | None = None

    def after(self, told: KrakenTime, wall_ns: int) -> KnownTime:
        """What is known after one more answer, from another reply than the last one."""
        if _agree(told, self.trusted) or _agree(told, self.claimed) or self._is_confirmed_by(wall_ns, told):
            return KnownTime(told)
        return replace(self, claimed=told)

    def now_ns(self, wall_ns: int, monotonic: float) -> int:
        """The time that nonces follow: the wall clock's, unless it is not believed; never ahead on one word alone."""
        if self.trusted is not None:
            kraken = self.trusted.now_ns(monotonic)
            return wall_ns if is_believed(skew(wall_ns, kraken)) else kraken
        return wall_ns if self.claimed is None else min(wall_ns, self.claimed.now_ns(monotonic))

    def _is_confirmed_by(self, wall_ns: int, told: KrakenTime) -> bool:
        """The wall clock is a witness unless two answers have said that it is wrong."""
        if self.trusted is not None and not is_believed(skew(wall_ns, self.trusted.now_ns(told.monotonic))):
            return False
        return is_believed(skew(wall_ns, told.told_ns))


def _agree(told: KrakenTime, before: KrakenTime | None) -> bool:
    return before is not None and is_believed(skew(told.told_ns, before.now_ns(told.monotonic)))
