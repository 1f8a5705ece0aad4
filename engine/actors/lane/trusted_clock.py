"""The clock that nonces follow: the machine's, unless it disagrees with Kraken's."""

from __future__ import annotations

from collections.abc import Callable

from engine.kraken.http_date import unix_time
from engine.rules.lane.clock import TOLERANCE, KnownTime, KrakenTime, is_believed, skew
from engine.values import SYSTEM_CLOCK, Clock

LEARN_EVERY = 5.0  # seconds; the header has whole seconds and the tolerance is minutes
OLD = 30.0  # seconds after which a wall clock that is not believed is compared with Kraken's time again


class TrustedClock:
    """A `Clock` that learns Kraken's time and does not trust a wall clock that is minutes off.

    Nor does it trust a single reply that is: that takes a second one (`rules.lane.clock`). One thread learns; any
    thread may read. `warn` is called once when the wall clock is not trusted any more, and once when it is again; and
    once for a reply that others contradict.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, warn: Callable[[str, str], None]) -> None:
        self._clock = clock
        self.monotonic = clock.monotonic
        """Seconds; never goes back."""
        self._warn = warn
        self._known = KnownTime()
        self._is_believed = True
        self._has_told_of_odd = False

    @property
    def wants_time(self) -> bool:
        """Whether Kraken has to be asked: its time is not known, or has differed from our clock for a while."""
        trusted = self._known.trusted
        if trusted is None:
            return True
        monotonic = self.monotonic()
        if trusted.lowest <= self._clock.wall_ns() - monotonic * 1e9 <= trusted.highest:
            return False
        return monotonic - trusted.monotonic > OLD

    @property
    def skew(self) -> float | None:
        """By how many seconds the wall clock is ahead of Kraken's time; `None` while unknown."""
        trusted = self._known.trusted
        return None if trusted is None else skew(self._clock.wall_ns(), trusted.now_ns(self._clock.monotonic()))

    @property
    def kraken(self) -> float | None:
        """Kraken's time in Unix seconds, late by up to a second and the reply's way here; `None` while unknown."""
        told = self._known.trusted
        return None if told is None else told.told_ns / 1e9 + self._clock.monotonic() - told.monotonic

    def wall_ns(self) -> int:
        """Nanoseconds since 1970: of the wall clock when it is trusted, else of Kraken."""
        now, known = self._clock.wall_ns(), self._known
        told, monotonic = known.trusted, self.monotonic()
        if told is None:
            return now if known.claimed is None else known.now_ns(now, monotonic)
        if self._is_believed and told.lowest <= now - monotonic * 1e9 <= told.highest:
            return now
        self._judge(skew(now, told.now_ns(monotonic)))
        return known.now_ns(now, monotonic)

    def learn_date(self, header: str | None) -> None:
        """Take in a reply's ``Date`` header; one that cannot be read is ignored."""
        trusted = self._known.trusted
        is_sure = trusted is not None and self._known.claimed is None
        if trusted is not None and is_sure and self._clock.monotonic() - trusted.monotonic < LEARN_EVERY:
            return
        told = unix_time(header)
        if told is not None:
            self.learn(told)

    def learn(self, unix_seconds: float, header: str | None = None) -> None:
        """Take in what one reply says of Kraken's time, once. Of its body and its date the earlier one counts."""
        date = unix_time(header)
        earlier = unix_seconds if date is None else min(unix_seconds, date)
        wall, before = self._clock.wall_ns(), self._known
        told = KrakenTime(int(earlier * 1e9), self._clock.monotonic())
        self._known = before.after(told, wall)
        odd = before.claimed if self._known.claimed is not before.claimed else None
        if odd is not None and abs(skew(odd.now_ns(told.monotonic), told.told_ns)) > TOLERANCE:
            self._tell_of_odd(skew(odd.now_ns(told.monotonic), told.told_ns))

    def _tell_of_odd(self, ahead: float) -> None:
        if self._has_told_of_odd:
            return
        self._has_told_of_odd = True
        direction = "ahead of" if ahead > 0 else "behind"
        self._warn(
            "kraken-time-odd",
            f"One answer told a time that is {abs(ahead):,.0f} seconds {direction} the next one's and is not believed. "
            "This machine's clock is not the cause. If there is a proxy on the way to Kraken, look at it.",
        )

    def _judge(self, ahead: float) -> None:
        believed = is_believed(ahead)
        if believed == self._is_believed:
            return
        self._is_believed = believed
        if believed:
            self._warn("clock-right-again", "This machine's clock agrees with Kraken's again; nonces follow it.")
        else:
            direction = "ahead of" if ahead > 0 else "behind"
            self._warn(
                "clock-wrong",
                f"This machine's clock is {abs(ahead):,.0f} seconds {direction} Kraken's and is not trusted: nonces "
                "follow Kraken's time. Set the clock (timedatectl, ntp).",
            )
