"""The metrics of a node of a cluster, by lane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

if TYPE_CHECKING:  # its package needs an extra
    from engine.cluster.node_status import NodeStatus


def cluster_metrics(node: NodeStatus) -> Iterator[Metric]:
    """What the node knows of every lane of the cluster, and what it did itself."""
    owner = GaugeMetricFamily("kraken_engine_lane_owner", "1: the node that owns the lane.", labels=["lane", "node"])
    epoch = _by_lane("lane_epoch", "The epoch of the lane: it is higher for each owner.")
    left = _by_lane("lane_lease_seconds_left", "Until when its owner has the lane, unless it renews the lease.")
    serving = _by_lane("lane_served_accounts", "Accounts of the lane that this node serves now.")
    for each in node.lanes:
        if each.owner is not None:
            owner.add_metric([each.id, each.owner], 1)
        epoch.add_metric([each.id], each.epoch)
        left.add_metric([each.id], each.seconds_left)
        serving.add_metric([each.id], len(each.served))
    yield from (owner, epoch, left, serving)
    takeovers = CounterMetricFamily(
        "kraken_engine_lane_takeovers", "How often this node has taken the lane.", labels=["lane"]
    )
    for each in node.lanes:
        takeovers.add_metric([each.id], node.claims.get(each.id, 0))
    yield takeovers
    yield GaugeMetricFamily(
        "kraken_engine_cluster_reachable", "1 while PostgreSQL answers this node.", value=node.trouble is None
    )


def _by_lane(name: str, description: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"kraken_engine_{name}", description, labels=["lane"])
