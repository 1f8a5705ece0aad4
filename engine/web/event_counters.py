"""Counts what the engine's events tell, for the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric

from engine.actors.events import CallFinished, EngineWarning, PassFinished
from engine.errors import Outcome

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class EventCounters:
    """A subscriber that counts in a thread of the engine's. Any thread may read."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._calls = self._counter("calls", "Private calls that ended.", "class", "outcome")
        self._errors = self._counter("call_errors", "Private calls that were not done, by error class.", "category")
        self._gates = self._counter("gate_decisions", "What gates decided.", "gate", "decision")
        self._warnings = self._counter("warnings", "Warnings of the engine, by code.", "code")
        self._durations = self._histogram("call_duration_seconds", "Time under way of a private call.")
        self._waits = self._histogram("queue_wait_seconds", "Time in the queue of a private call.")
        self._found: dict[tuple[str, Outcome], tuple[Counter, Histogram, Histogram]] = {}

    def __call__(self, event: Any) -> None:
        """Count an event of the engine's."""
        if isinstance(event, CallFinished):
            self._count(event)
        elif isinstance(event, EngineWarning):
            self._warnings.labels(event.code).inc()
        elif isinstance(event, PassFinished):
            for each in event.report.results:
                self._gates.labels(each.gate, _label(each.state.value)).inc()

    def collect(self) -> Iterator[Metric]:
        """The metrics, without the times of their creation, which would double the number of series."""
        for metric in self._registry.collect():
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric

    def _count(self, event: CallFinished) -> None:
        calls, waits, durations = self._of(event.call_class, event.outcome)
        calls.inc()
        waits.observe(event.waited)
        durations.observe(event.seconds)
        if event.error is not None:
            self._errors.labels(type(event.error).__name__).inc()

    def _of(self, call_class: str, outcome: Outcome) -> tuple[Counter, Histogram, Histogram]:
        """The metrics of such a call; to find them by their labels takes as long as to count."""
        found = self._found.get((call_class, outcome))
        if found is None:
            found = self._found[call_class, outcome] = (
                self._calls.labels(call_class, _label(outcome.value)),
                self._waits.labels(call_class), self._durations.labels(call_class),
            )  # fmt: skip
        return found

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(f"kraken_engine_{name}", description, labels, registry=self._registry)

    def _histogram(self, name: str, description: str) -> Histogram:
        full_name = f"kraken_engine_{name}"
        return Histogram(full_name, description, ["class"], registry=self._registry, buckets=BUCKETS)


def _label(value: str) -> str:
    return value.replace(" ", "_")
