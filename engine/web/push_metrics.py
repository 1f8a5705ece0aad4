"""Push in the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from engine.app.status import EngineStatus
from engine.rules.stream.subscription import StreamState
from engine.stream.price_board import PricesReport
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
    if status.push_prices is not None:
        yield from _prices(status.push_prices)


def _prices(report: PricesReport) -> Iterator[Metric]:
    """The metrics of the public stream."""
    is_live = report.state is StreamState.LIVE
    yield GaugeMetricFamily("kraken_engine_push_prices_live", "1 while pushed prices are believed.", is_live)
    yield GaugeMetricFamily("kraken_engine_push_prices_pairs", "Pairs whose prices are pushed.", report.pairs)
    yield GaugeMetricFamily("kraken_engine_push_prices_refused", "Pairs that stay on REST although push is on.",
                            len(report.refused))  # fmt: skip
    for name, told, value in (
        ("frames", "Frames of the public stream.", report.frames),
        ("gaps", "How often prices were believed and then missed something, or may have.", report.gaps),
        ("connects", "Connections to the public stream that were tried.", report.connects),
    ):
        yield CounterMetricFamily(f"kraken_engine_push_prices_{name}", told, value)


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
