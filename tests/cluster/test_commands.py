"""`kraken-engine cluster` works from the table alone, with no node running."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.cli.program import main
from engine.cluster.leases import Leases
from tests.cluster.lanes import claimed, expire


@pytest.fixture
def known(leases: Leases, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Leases:
    """Two lanes of two nodes that are gone: one lease is still on, one has run out."""
    for name in ("KRAKEN_ENGINE_STATE", "KRAKEN_API_KEY", "KRAKEN_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KRAKEN_ENGINE_CLUSTER", dsn)
    for node in ("a", "b"):
        leases.attend(node, f"http://{node}:8710", ["one", "two"])
    Leases(leases.database, ttl=1_000.0).claim("one", "a", "http://a:8710", ["MASTER"])
    claimed(leases, "b", "two")
    expire(leases, "two")
    return leases


def _told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["cluster", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_status_tells_lanes_and_nodes_with_all_nodes_dead(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    told = _told(capsys, "status")
    one, two = told["lanes"]
    assert 0 < one.pop("seconds_left") <= 1_000
    assert two["claimed_at"] >= one["claimed_at"]
    assert (one["lane"], one["owner"], one["epoch"], one["url"]) == ("one", "a", 1, "http://a:8710")
    assert (one["accounts"], one["wanted"]) == (["MASTER"], None)
    assert (two["owner"], two["last_owner"], two["url"], two["seconds_left"]) == (None, "b", None, 0)
    assert [(each["node"], each["draining"], each["lanes"]) for each in told["nodes"]] == [
        ("a", False, ["one", "two"]), ("b", False, ["one", "two"]),
    ]  # fmt: skip


def test_status_tells_a_person(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "status"]) == 0
    out = capsys.readouterr().out
    assert "nobody, before b" in out
    assert "http://a:8710" in out


def test_a_lane_is_wanted_at_a_node_and_then_anywhere(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(capsys, "move", "one", "b") == {"lane": "one", "wanted": "b"}
    assert [each.wanted for each in known.lanes()] == ["b", None]
    assert _told(capsys, "move", "one", "--anywhere") == {"lane": "one", "wanted": None}
    assert [each.wanted for each in known.lanes()] == [None, None]


def test_a_lane_that_cannot_get_there_yet_is_told(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    known.attend("c", None, ["two"])
    assert main(["cluster", "move", "one", "nobody"]) == 0
    assert "No node 'nobody' has started yet, or it has left (there are a, b, c)" in capsys.readouterr().err
    assert main(["cluster", "move", "one", "c"]) == 0
    assert "Node c has not the keys of lane one" in capsys.readouterr().err


def test_a_node_is_drained_and_takes_lanes_again(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    assert _told(capsys, "drain", "a") == {"node": "a", "draining": True}
    assert [each.draining for each in known.nodes()] == [True, False]
    assert _told(capsys, "drain", "a", "--undo") == {"node": "a", "draining": False}
    assert [each.draining for each in known.nodes()] == [False, False]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("move", "nine", "a"), "There is no lane 'nine' in the cluster: it has one, two."),
        (("drain", "z"), "There is no node 'z' in the cluster: it has a, b."),
        (("move", "one"), "Say where the lane is wanted"),
        (("move", "one", "a", "--anywhere"), "Say where the lane is wanted"),
    ],
)
def test_what_is_not_there_is_named(
    known: Leases, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    assert main(["cluster", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_database_without_tables_is_left_as_it_is(
    dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KRAKEN_ENGINE_STATE", raising=False)
    monkeypatch.setenv("KRAKEN_ENGINE_CLUSTER", dsn)
    assert main(["cluster", "status"]) != 0
    assert "has no tables of a cluster yet" in capsys.readouterr().err


def test_without_a_cluster_it_is_said_how_one_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KRAKEN_ENGINE_CLUSTER", raising=False)
    assert main(["cluster", "status"]) == 2
    assert "KRAKEN_ENGINE_CLUSTER" in capsys.readouterr().err


def test_a_node_needs_a_cluster(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KRAKEN_ENGINE_CLUSTER", raising=False)
    monkeypatch.setenv("KRAKEN_API_KEY", "key")
    monkeypatch.setenv("KRAKEN_API_SECRET", "c2VjcmV0")
    assert main(["serve", "--cluster", "--port", "0"]) == 2
    assert "--cluster needs the DSN of a PostgreSQL" in capsys.readouterr().err


def test_the_marks_of_a_cluster_are_those_of_postgresql(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    """A node's own directory has none, and none that is written there would count."""
    lease = claimed(known, "a", "three")
    lease.reserve(41)
    known.database.run("INSERT INTO kraken_engine.key (key_id, lane, account, mark) VALUES ('k', 'three', 'BOB', 7)")
    assert main(["nonce", "show", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state_dir"] is None
    assert [(row["key_id"], row["mark"]) for row in told["keys"]] == [("k", "41")]


def test_no_mark_is_raised_in_a_directory_that_a_cluster_does_not_read(
    known: Leases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KRAKEN_API_KEY", "key")
    monkeypatch.setenv("KRAKEN_API_SECRET", "c2VjcmV0")
    assert main(["nonce", "raise", "MASTER", "41"]) == 2
    assert "cluster import STATE_DIR" in capsys.readouterr().err


def test_a_lane_that_no_node_takes_is_told_of(known: Leases, capsys: pytest.CaptureFixture[str]) -> None:
    """Lane one has an owner, and who could take lane two is draining."""
    known.attend("a", None, ["one"])
    known.drain("b")
    assert main(["cluster", "status"]) == 0
    assert "No node that is there now takes lane two: start one" in (told := capsys.readouterr().err)
    assert "lane one" not in told
    known.undrain("b")
    known.attend("b", None, ["two"])
    assert main(["cluster", "status"]) == 0
    assert capsys.readouterr().err == ""
