"""Documents of a lane: durable, fenced, and never undone by a write that was given up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from engine.cluster.database import Database
from engine.cluster.documents import AT_ONCE, LaneDocuments
from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.errors import OwnershipLost, StoreDamaged, StoreError
from tests.cluster.lanes import claimed, expire
from tests.cluster.postgresql import eventually


def test_what_was_written_is_found_by_the_next_owner(leases: Leases) -> None:
    first = LaneDocuments(claimed(leases), "limits")
    first.put_all({"b": [1, 2.5, None], "a": {"x": "\u0000 \ud800 ü"}, "c": 2**70})
    first.put("b", "changed")
    first.remove(["c", "nothing"])
    first.put_all({})
    first.remove([])
    expire(leases)
    second = LaneDocuments(claimed(leases, "b"), "limits")
    assert second.documents() == {"a": {"x": "\u0000 \ud800 ü"}, "b": "changed"}
    assert second.named(["b", "z"]) == {"b": "changed"}
    assert second.named([]) == {}
    second.put("a", 1)
    assert second.documents()["a"] == 1, "a new epoch begins its numbers anew"


def test_documents_are_found_in_the_order_of_their_bytes(leases: Leases) -> None:
    documents = LaneDocuments(claimed(leases), "orders")
    names = ["a/1", "a/2", "a0", "aa", "b", "Z", "~"]
    documents.put_all(dict.fromkeys(names))
    assert list(documents.between("a/", "a0")) == ["a/1", "a/2"]
    assert list(documents.between("", "~~")) == sorted(names)
    assert documents.names("", "~~", 2) == ["Z", "a/1"]
    assert documents.names("a/", "a0") == ["a/1", "a/2"]


def test_groups_and_lanes_are_apart_and_many_documents_are_read_whole(leases: Leases) -> None:
    lease = claimed(leases)
    one, two = LaneDocuments(lease, "limits"), LaneDocuments(lease, "orders")
    other = LaneDocuments(claimed(leases, "a", "two"), "limits")
    many = {f"{number:05}": number for number in range(2 * AT_ONCE + 1)}
    one.put_all(many)
    two.put("a", 2)
    other.put("a", 3)
    assert (one.documents(), two.documents(), other.documents()) == (many, {"a": 2}, {"a": 3})
    one.remove([*many])
    assert one.documents() == {}
    assert two.documents() == {"a": 2}


def test_an_old_epoch_writes_nothing(leases: Leases) -> None:
    first = LaneDocuments(claimed(leases), "limits")
    first.put("a", 1)
    expire(leases)
    claimed(leases, "b")
    with pytest.raises(OwnershipLost):
        first.put("a", 2)
    with pytest.raises(OwnershipLost):
        LaneDocuments(Lease(leases.database, "one", 1, 0, 0.0), "limits").put("b", 2)
    with pytest.raises(OwnershipLost):
        LaneDocuments(Lease(leases.database, "one", 1, 0, 0.0), "limits").remove(["a"])
    assert leases.database.run("SELECT name FROM kraken_engine.document") == [("a",)]
    assert first.documents() == {"a": 1}


def test_a_write_that_was_given_up_does_not_undo_a_later_one(leases: Leases, dsn: str) -> None:
    impatient = Database(dsn)
    held = claimed(leases)
    lease = Lease(impatient, held.lane, held.epoch, 0, held.sure_until - held.ttl, ttl=held.ttl)
    documents = LaneDocuments(lease, "limits")
    eventually(lambda: documents.put("a", 0) or True)
    with psycopg.connect(dsn) as other:
        other.execute("SELECT * FROM kraken_engine.file FOR UPDATE")
        with pytest.raises(StoreError, match="does not answer"):
            documents.put("a", "given up")  # and waits in the server for its turn
        assert len(leases.database.run(_WAITING)) == 1
        other.execute("UPDATE kraken_engine.file SET version = version + 2")  # a later write that came first
        other.execute("UPDATE kraken_engine.document SET body = 'later'")
    eventually(lambda: not leases.database.run(_WAITING))
    assert leases.database.run("SELECT body FROM kraken_engine.document") == [("later",)]
    impatient.close()


_WAITING = """
SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


def test_a_document_that_somebody_changed_is_damaged(leases: Leases) -> None:
    documents = LaneDocuments(claimed(leases), "limits")
    documents.put_all({"a": 1, "b": 2})
    leases.database.run("UPDATE kraken_engine.document SET body = replace(body, '1}', '7}') WHERE name = 'a'")
    with pytest.raises(StoreDamaged, match=r"^The document 'a' in limits of lane one is damaged: PostgreSQL holds"):
        documents.documents()
    assert documents.named(["b"]) == {"b": 2}
    saved, damage = documents.begin()
    assert saved is None
    assert "limits of lane one is damaged" in str(damage)
    assert documents.begin() == ({}, None)


def test_threads_that_write_at_once_lose_nothing(leases: Leases) -> None:
    documents = LaneDocuments(claimed(leases), "limits")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: documents.put(f"{number}", number), range(80)))
    assert len(documents.documents()) == 80
