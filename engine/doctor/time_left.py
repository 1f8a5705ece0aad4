"""The time limit of an examination."""

from __future__ import annotations

from engine.values import Clock


class TimeLeft:
    """The time that all checks share."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def seconds(self, most: float) -> float:
        """The seconds that a check may take, at most `most`; 0 when none are left."""
        return max(0.0, min(most, self._end - self._clock.monotonic()))

    def part(self, most: float) -> TimeLeft:
        """A time limit for one check."""
        return TimeLeft(self._clock, self.seconds(most))

    @property
    def deadline(self) -> float:
        """Its end by the clock's `monotonic()`."""
        return self._end

    def __call__(self) -> float:
        """The seconds left, for callers that wait in slices. Raises `TimeoutError` if none are left."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
