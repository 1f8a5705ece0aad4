"""The lanes of a cluster on the page and in the metrics, as one of its nodes sees them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

pytest.importorskip("psycopg", reason="the extra [cluster] is not installed")

from engine.cluster.node_status import LaneStatus, NodeStatus, Takeover
from engine.web.cluster_metrics import cluster_metrics
from engine.web.page.document import page
from engine.web.page.seen import Seen
from engine.web.page.view import view_of
from tests.web.page.status import status_of

ONE = LaneStatus("one", 5, "red", "http://red:8710", 1.8, "serving", ("MASTER",), ("MASTER",), None, None)
TWO = LaneStatus("two", 3, "blue", "http://blue:8710", 1.5, "elsewhere", ("ALICE", "BOB"), (), "blue", None)
FREE = LaneStatus("three", 8, None, None, 0.0, "elsewhere", ("CAROL",), (), None, "its key is in use")
TAKEN = Takeover("one", 5, "blue", datetime(2026, 5, 12, 10, 0, tzinfo=UTC), 0.4)


def node_of(*lanes: LaneStatus, **facts: Any) -> NodeStatus:
    usual: dict[str, Any] = {
        "name": "red", "url": "http://red:8710", "running": True, "live": True, "nodes": {"red": 0.1, "blue": 0.2},
        "draining": (), "takeovers": (TAKEN,), "claims": {"one": 2}, "seen": 0.1, "trouble": None,
    }  # fmt: skip
    return NodeStatus(lanes=lanes, **(usual | facts))


def words(node: NodeStatus) -> tuple[str, dict[str, list[str]]]:
    """The sentence above the table, and the cells of each row."""
    view = view_of(Seen(status_of(), node=node))
    return view.cells["lanes-sum"].text, {row.key: [each.text for each in row.cells] for row in view.rows["lanes"]}


def test_each_lane_has_its_owner_epoch_lease_and_last_takeover() -> None:
    told, rows = words(node_of(ONE, TWO))
    assert told == "Node red has 1 of 2 lanes, none of them free; also there: blue"
    assert rows["one"][:2] == ["one", "red"]
    assert rows["one"][2:6:3] == ["5", "MASTER"]
    assert "after blue let its lease run out" in rows["one"][7]
    assert rows["two"][1] == "blue"
    assert rows["two"][5:] == ["ALICE, BOB", "blue", "", "http://blue:8710"]


def test_a_lane_of_nobody_is_bad_and_says_why() -> None:
    view = view_of(Seen(status_of(), node=node_of(ONE, FREE)))
    free = next(row for row in view.rows["lanes"] if row.key == "three")
    assert (free.state, free.cells[1].text, free.cells[4].text) == ("bad", "nobody", "its key is in use")
    assert view.cells["lanes-sum"].state == "warn"


def test_that_postgresql_does_not_answer_is_told() -> None:
    told, _ = words(node_of(ONE, trouble="PostgreSQL does not answer."))
    assert told == "Node red: PostgreSQL does not answer."


def test_only_a_node_has_the_table() -> None:
    status = status_of()
    assert "The lanes of the cluster" not in page(status, view_of(Seen(status)))
    assert "The lanes of the cluster" in page(status, view_of(Seen(status, node=node_of(ONE))))


def test_the_metrics_are_by_lane() -> None:
    class Once(Collector):
        def collect(self) -> Any:
            return cluster_metrics(node_of(ONE, TWO, FREE, trouble="It does not answer."))

    registry = CollectorRegistry()
    registry.register(Once())
    lines = generate_latest(registry).decode().splitlines()
    assert {
        'kraken_engine_lane_owner{lane="one",node="red"} 1.0', 'kraken_engine_lane_owner{lane="two",node="blue"} 1.0',
        'kraken_engine_lane_epoch{lane="three"} 8.0', 'kraken_engine_lane_lease_seconds_left{lane="one"} 1.8',
        'kraken_engine_lane_served_accounts{lane="one"} 1.0', 'kraken_engine_lane_served_accounts{lane="two"} 0.0',
        'kraken_engine_lane_takeovers_total{lane="one"} 2.0', 'kraken_engine_lane_takeovers_total{lane="two"} 0.0',
        "kraken_engine_cluster_reachable 0.0",
    } <= set(lines)  # fmt: skip
    assert not any(line.startswith('kraken_engine_lane_owner{lane="three"') for line in lines)
