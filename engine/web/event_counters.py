"""Counts what the engine's events tell, for the metrics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from typing import Any

from engine.actors.events import CallFinished, EngineWarning, PassFinished

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """How many values fell under each of `BOUNDS`, and their sum."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """One value more."""
        self._counts[bisect_left(BOUNDS, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Bound and number of values up to it, the last one without a bound."""
        told: list[tuple[str, float]] = []
        total = 0
        for bound, count in zip([*map(str, BOUNDS), "+Inf"], self._counts, strict=True):
            total += count
            told.append((bound, total))
        return told


class EventCounters:
    """A subscriber that counts. Hears in a thread of the engine's; any thread may read under `lock`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = Counter[tuple[str, str]]()
        self.errors = Counter[str]()
        self.warnings = Counter[str]()
        self.gates = Counter[tuple[str, str]]()
        self.durations: dict[str, Histogram] = {}
        self.waits: dict[str, Histogram] = {}

    def __call__(self, event: Any) -> None:
        """Take in an event of the engine's."""
        with self.lock:
            if isinstance(event, CallFinished):
                self._count(event)
            elif isinstance(event, EngineWarning):
                self.warnings[event.code] += 1
            elif isinstance(event, PassFinished):
                self.gates.update((each.gate, each.state.value.replace(" ", "_")) for each in event.report.results)

    def _count(self, event: CallFinished) -> None:
        self.calls[event.call_class, event.outcome.value.replace(" ", "_")] += 1
        self.waits.setdefault(event.call_class, Histogram()).add(event.waited)
        self.durations.setdefault(event.call_class, Histogram()).add(event.seconds)
        if event.error is not None:
            self.errors[type(event.error).__name__] += 1
