"""Push in the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from engine.app.status import EngineStatus
from engine.rules.stream.subscription import StreamState
from engine.stream.pulse import PushReport


def push_metrics(status: EngineStatus) -> Iterator[Metric]:
    """The metrics of all streams, by account."""
    reports, now = status.push, status.as_of
    yield _gauge("push_live", "1 while the account's stream is believed.", reports,
                 lambda each: each.state is StreamState.LIVE)  # fmt: skip
    yield _gauge("push_state_seconds", "For how long the account's stream is in its state.", reports,
                 lambda each: max(0.0, (now - each.since).total_seconds()))  # fmt: skip
    yield _total("push_frames", "Frames of the account's stream.", reports, lambda each: each.frames)
    yield _total("push_gaps", "How often a stream was believed and then missed something, or may have.", reports,
                 lambda each: each.gaps)  # fmt: skip
    yield _total("push_connects", "Connections to the stream that were tried.", reports, lambda each: each.connects)


def _gauge(
    name: str, told: str, reports: Sequence[PushReport], value: Callable[[PushReport], float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"kraken_engine_{name}", told, labels=["account"])
    for each in reports:
        family.add_metric([each.account], float(value(each)))
    return family


def _total(
    name: str, told: str, reports: Sequence[PushReport], value: Callable[[PushReport], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"kraken_engine_{name}", told, labels=["account"])
    for each in reports:
        family.add_metric([each.account], value(each))
    return family
