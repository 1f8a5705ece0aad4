"""The clock that nonces follow: the machine's, unless it disagrees with Kraken's."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime

from engine.rules.lane.clock import KrakenTime, is_believed, skew
from engine.values import SYSTEM_CLOCK, Clock

LEARN_EVERY = 5.0  # seconds; the header has whole seconds and the tolerance is minutes


class TrustedClock:
    """A `Clock` that learns Kraken's time and does not trust a wall clock that is minutes off.

    One thread learns; any thread may read. `warn` is called once when the wall clock is not trusted any more, and once
    when it is again.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, *, warn: Callable[[str, str], None]) -> None:
        self._clock = clock
        self._warn = warn
        self._kraken: KrakenTime | None = None
        self._is_believed = True

    @property
    def is_told(self) -> bool:
        """Whether Kraken's time is known at all."""
        return self._kraken is not None

    @property
    def skew(self) -> float | None:
        """By how many seconds the wall clock is ahead of Kraken's time; `None` while unknown."""
        if self._kraken is None:
            return None
        return skew(self._clock.wall_ns(), self._kraken.now_ns(self._clock.monotonic()))

    @property
    def kraken(self) -> float | None:
        """Kraken's time in Unix seconds, late by up to a second and the reply's way here; `None` while unknown."""
        told = self._kraken
        return None if told is None else told.told_ns / 1e9 + self._clock.monotonic() - told.monotonic

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        return self._clock.monotonic()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970: of the wall clock when it is trusted, else of Kraken."""
        now, told = self._clock.wall_ns(), self._kraken
        if told is None or (self._is_believed and told.lowest <= now - self._clock.monotonic() * 1e9 <= told.highest):
            return now
        kraken = told.now_ns(self._clock.monotonic())
        ahead = skew(now, kraken)
        self._judge(ahead)
        return now if is_believed(ahead) else kraken

    def learn_date(self, header: str | None) -> None:
        """Take in a reply's ``Date`` header; one that cannot be read is ignored."""
        if self._kraken is not None and self._clock.monotonic() - self._kraken.monotonic < LEARN_EVERY:
            return
        try:
            told = parsedate_to_datetime(header or "").timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        if self._contradicts(told):
            return
        self.learn(told)

    def _contradicts(self, told: float) -> bool:
        """Whether a date is far from the time that Kraken told before, while the wall clock is near it."""
        if self._kraken is None or not is_believed(self.skew):
            return False
        return not is_believed(skew(int(told * 1e9), self._kraken.now_ns(self._clock.monotonic())))

    def learn(self, unix_seconds: float) -> None:
        """Take in Kraken's time."""
        self._kraken = KrakenTime(int(unix_seconds * 1e9), self._clock.monotonic())

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
