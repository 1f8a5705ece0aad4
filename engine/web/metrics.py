"""The metrics at `/metrics`, in Prometheus' conventions: base units, totals, few labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from engine.app.status import EngineStatus
from engine.version import __version__
from engine.web.account_samples import account_samples
from engine.web.cluster_metrics import cluster_metrics
from engine.web.event_counters import EventCounters
from engine.web.feed.feed import Feed
from engine.web.gateway.gateway import Gateway
from engine.web.push_metrics import push_metrics
from engine.web.subject import Cluster

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Reads an engine's status, and what its events have added up to, at each scrape."""

    def __init__(
        self, status: Callable[[], EngineStatus], counters: EventCounters, feed: Feed, gateway: Gateway,
        cluster: Cluster | None = None,
    ) -> None:  # fmt: skip
        self._status, self._cluster = status, cluster
        self._counters = counters
        self._feed, self._gateway = feed, gateway

    def text(self) -> bytes:
        """All metrics in the text format; the manual lists them (help service)."""
        status, registry = self._status(), CollectorRegistry(auto_describe=False)
        registry.register(_Scrape(self._families(status)))
        return generate_latest(registry) + account_samples(status, self._feed.orders.unsettled()).encode()

    def _families(self, status: EngineStatus) -> Iterator[Metric]:
        """The metrics that are not by account (those are in `account_samples`)."""
        yield from _engine(status)
        yield from _lane(status)
        if status.push_prices is not None:
            yield from push_metrics(status.push_prices)
        if self._cluster is not None:
            yield from cluster_metrics(self._cluster.status())
        yield from self._counters.collect()
        yield _gauge("dashboard_clients", "Dashboards that listen.", self._feed.clients)
        yield _total("gateway_requests", "Private calls through the gateway.", "outcome", self._gateway.answered)


class _Scrape(Collector):
    """The metrics of one scrape."""

    def __init__(self, families: Iterator[Metric]) -> None:
        self._families = families

    def describe(self) -> Iterable[Metric]:
        """Empty, so that registering collects nothing."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Called once."""
        return self._families


def _engine(status: EngineStatus) -> Iterator[Metric]:
    yield InfoMetricFamily("kraken_engine_build", "The engine's version.", {"version": __version__})
    yield _gauge("up", "1 while the engine runs.", status.running)
    yield _gauge("live", "1 when calls may change something at Kraken.", status.live)
    yield _gauge("dead_threads", "Threads that should run and do not.", len(status.dead))
    yield _by("queue_depth", "Private calls that wait, by class.", "class", status.waiting)
    yield _gauge("calls_under_way", "Private calls under way: 0 or 1.", status.under_way is not None)
    yield CounterMetricFamily("kraken_engine_cuts", "Hung calls that were cut for a more urgent one.", status.cuts)
    drift = CounterMetricFamily(
        "kraken_engine_drift", "What of Kraken's replies was new, missing or odd.", labels=["endpoint", "field", "what"]
    )
    for each in status.drift:
        drift.add_metric([each.endpoint, each.field, each.what], each.count)
    yield drift


def _lane(status: EngineStatus) -> Iterator[Metric]:
    lane = status.lane
    if lane is None:
        return
    yield CounterMetricFamily("kraken_engine_nonce_reservations", "Nonce marks made durable.", lane.reservations)
    yield SummaryMetricFamily(
        "kraken_engine_store_write_seconds", "What making a nonce mark durable took.",
        count_value=lane.reservations, sum_value=lane.write_seconds,
    )  # fmt: skip
    if lane.skew is not None:
        yield _gauge("clock_skew_seconds", "By how much this machine's clock is ahead of Kraken's.", lane.skew)


def _gauge(name: str, description: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"kraken_engine_{name}", description, float(value))


def _by(name: str, description: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"kraken_engine_{name}", description, labels=[label])
    for each, value in values.items():
        family.add_metric([each], float(value))
    return family


def _total(name: str, description: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"kraken_engine_{name}", description, labels=[label])
    for each, value in sorted(values.items()):
        family.add_metric([each], value)
    return family
