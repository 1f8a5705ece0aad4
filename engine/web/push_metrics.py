"""The public stream in the metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from engine.rules.stream.subscription import StreamState
from engine.stream.price_board import PricesReport


def push_metrics(report: PricesReport) -> Iterator[Metric]:
    """The metrics of the public stream; those of the accounts' streams are in `account_samples`."""
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
