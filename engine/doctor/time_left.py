"""The time that an examination may take."""

from __future__ import annotations

from engine.values import Clock


class TimeLeft:
    """A stretch of time that all checks share."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + seconds

    def seconds(self, most: float) -> float:
        """What a check may take that wants `most`; 0 when nothing is left."""
        return max(0.0, min(most, self._end - self._clock.monotonic()))

    def part(self, most: float) -> TimeLeft:
        """A stretch of its own for one check."""
        return TimeLeft(self._clock, self.seconds(most))

    @property
    def deadline(self) -> float:
        """Its end by the clock's `monotonic()`."""
        return self._end

    def __call__(self) -> float:
        """The seconds left, for those who wait in slices. Raises `TimeoutError` when there are none."""
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return left
