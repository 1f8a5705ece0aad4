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
from engine.web.cluster_metrics import cluster_metrics
from engine.web.event_counters import EventCounters
from engine.web.feed.feed import Feed
from engine.web.gateway.gateway import Gateway
from engine.web.push_metrics import push_metrics
from engine.web.subject import Cluster

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Reads an engine's status, and what its events have added up to, at each scrape."""

    def __init__(
        self, status: Callable[[], EngineStatus], counters: EventCounters, feed: Feed, gateway: Gateway,
        cluster: Cluster | None = None,
    ) -> None:  # fmt: skip
        self._status, self._cluster = status, cluster
        self._counters = counters
        self._feed, self._gateway = feed, gateway
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        """Empty, so that registering collects nothing."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every metric, by the names that the manual lists (help service)."""
        status = self._status()
        yield from _engine(status)
        yield from _lane(status)
        yield from _accounts(status)
        yield from push_metrics(status)
        if self._cluster is not None:
            yield from cluster_metrics(self._cluster.status())
        yield from self._counters.collect()
        unsettled = self._feed.orders.unsettled()
        yield _by("unsettled_orders", "Orders of which it is not known whether Kraken has them.", "account",
                  {each.account: unsettled[each.account] for each in status.accounts})  # fmt: skip
        yield _gauge("dashboard_clients", "Dashboards that listen.", self._feed.clients)
        yield _total("gateway_requests", "Private calls through the gateway.", "outcome", self._gateway.answered)


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
    nonces = CounterMetricFamily("kraken_engine_nonces_issued", "Nonces issued.", labels=["account"])
    for name, key in lane.keys.items():
        nonces.add_metric([name], key.nonces)
    yield nonces
    yield CounterMetricFamily("kraken_engine_nonce_reservations", "Nonce marks made durable.", lane.reservations)
    yield SummaryMetricFamily(
        "kraken_engine_store_write_seconds", "What making a nonce mark durable took.",
        count_value=lane.reservations, sum_value=lane.write_seconds,
    )  # fmt: skip
    keys = lane.keys.items()
    yield _by("nonce_lead_seconds", "By how much the next nonce is above the clock.", "account",
              {name: key.lead for name, key in keys})  # fmt: skip
    yield _by("rate_limit_used_points", "Points on Kraken's call counter, as counted here.", "account",
              {name: key.level for name, key in keys})  # fmt: skip
    yield _by("rate_limit_points", "The points at which Kraken refuses.", "account",
              {name: key.limit for name, key in keys})  # fmt: skip
    yield _total("rate_limited", "Calls that Kraken limited although the count here had room.", "account",
                 {name: key.limited for name, key in keys})  # fmt: skip
    if lane.skew is not None:
        yield _gauge("clock_skew_seconds", "By how much this machine's clock is ahead of Kraken's.", lane.skew)


def _accounts(status: EngineStatus) -> Iterator[Metric]:
    accounts = status.accounts
    yield _by("account_available", "1 while the account is available.", "account",
              {each.account: each.is_available for each in accounts})  # fmt: skip
    ages = {each.account: age for each in accounts if (age := each.age) is not None}
    yield _by("balance_age_seconds", "The age of the last good balance; absent without one.", "account", ages)
    yield _by("account_consecutive_errors", "Failures in a row.", "account",
              {each.account: each.error_count for each in accounts})  # fmt: skip
    yield _by("key_accepted", "1 while Kraken takes the account's key.", "account",
              {name: key.state in ("open", "product-refused") for name, key in status.keys.items()})  # fmt: skip


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
