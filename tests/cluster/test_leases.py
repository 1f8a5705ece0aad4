"""Who owns a lane: one node at a time, by the database's clock alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.cluster.database import Database
from engine.cluster.lease import RENEW_AFTER, Lease
from engine.cluster.leases import Leases
from engine.errors import ConfigError, OwnershipLost, StoreError
from tests.cluster.lanes import Clock, claimed, expire
from tests.cluster.postgresql import Server, frozen
from tests.stopwatch import LONG, PATIENCE


def test_a_lane_has_one_owner_until_its_lease_is_over(leases: Leases) -> None:
    first = claimed(leases)
    assert first.epoch == 1
    assert leases.claim("one", "b", None, ["MASTER"]) is None
    assert claimed(leases, "b", "two").epoch == 1, "another lane is free"
    expire(leases)
    second = claimed(leases, "b")
    assert second.epoch == 2
    assert leases.claim("one", "a", None, ["MASTER"]) is None


def test_a_lane_that_was_released_is_free_at_once_and_its_old_owner_writes_no_more(leases: Leases) -> None:
    first = claimed(leases)
    first.release()
    first.release()
    second = claimed(leases, "b")
    assert second.epoch > first.epoch
    assert not first.renew()
    for refused in (first.check, first.verify, lambda: first.reserve(1)):
        with pytest.raises(OwnershipLost, match="The lane one is not this node's any more"):
            refused()


def test_nothing_of_an_earlier_epoch_is_written(leases: Leases) -> None:
    first = claimed(leases)
    expire(leases)
    first.check()
    second = claimed(leases, "b")
    with pytest.raises(OwnershipLost):
        first.reserve(10**19 // 10)
    assert second.mark == 0
    assert leases.database.run("SELECT mark FROM kraken_engine.lane") == [(0,)]
    with pytest.raises(OwnershipLost):
        first.check()
    assert not first.renew()
    first.release()  # says nothing, and takes nothing from the other
    assert second.renew()
    second.verify()


def test_a_lease_that_another_clock_has_given_for_hours_does_not_keep_others_out(leases: Leases) -> None:
    first = claimed(leases)
    later = "UPDATE kraken_engine.lane SET lease_until = lease_until + interval '1 hour'"
    leases.database.run(later)
    first.reserve(1)
    assert leases.claim("one", "b", None, []) is None, "its owner is there, and has renewed it"
    leases.database.run(later)
    assert claimed(leases, "b").epoch == 2


def test_a_lease_that_ran_out_and_that_nobody_claimed_goes_on(leases: Leases) -> None:
    first = claimed(leases)
    expire(leases)
    first.verify()
    first.reserve(5)
    assert leases.claim("one", "b", None, []) is None


def test_a_mark_is_durable_with_the_lease_and_a_successor_has_it(leases: Leases) -> None:
    now = Clock()
    first = Lease(leases.database, "one", claimed(leases).epoch, 0, now.value, monotonic=now.monotonic)
    first.reserve(9)
    first.reserve(8)
    assert (first.writes, first.mark) == (1, 9), "a mark is never lowered"
    now.value += RENEW_AFTER / 2
    assert first.renew()
    assert first.writes == 1, "the reservation renewed it a moment ago"
    now.value += RENEW_AFTER / 2
    assert first.renew()
    assert (first.writes, first.mark) == (2, 9)
    expire(leases)
    assert claimed(leases, "b").mark == 9


def test_the_owner_is_sure_of_the_lane_for_less_long_than_the_database(leases: Leases) -> None:
    now = Clock()
    lease = Lease(leases.database, "one", claimed(leases).epoch, 0, now.value, monotonic=now.monotonic)
    now.value += 1.9
    lease.check()
    lease.reserve(1)
    now.value += 1.9
    lease.check()
    now.value += 0.1
    with pytest.raises(OwnershipLost):
        lease.check()
    assert lease.renew(), "nobody else has claimed it"
    lease.check()


def test_a_frozen_server_is_an_error_and_not_a_lost_lane(server: Server, leases: Leases, dsn: str) -> None:
    now = Clock()
    database = Database(dsn)
    lease = Lease(database, "one", claimed(leases).epoch, 0, now.value, monotonic=now.monotonic)
    now.value += RENEW_AFTER
    with frozen(server), pytest.raises(StoreError) as caught:
        lease.renew()
    database.close()
    assert not isinstance(caught.value, OwnershipLost)
    assert not lease.is_lost


def test_lanes_and_nodes_are_listed(leases: Leases) -> None:
    claimed(leases)
    claimed(leases, "b", "two").release()
    leases.attend("a", "http://a:8710", ["one", "two"])
    leases.attend("b", None, ["two"])
    one, two = leases.lanes()
    assert (one.id, one.epoch, one.owner, one.url, one.accounts, one.wanted) == (
        "one", 1, "a", "http://a:8710", ["MASTER"], None,
    )  # fmt: skip
    assert 0 < one.seconds_left <= leases.ttl
    assert (two.id, two.owner, two.seconds_left) == ("two", None, 0)
    a, b = leases.nodes()
    assert (a.name, a.url, a.lanes, a.draining) == ("a", "http://a:8710", ["one", "two"], False)
    assert 0 <= b.seconds_since_seen < 60
    leases.leave("a")
    assert [each.name for each in leases.nodes()] == ["b"]


def test_a_lane_is_moved_and_a_node_drained_by_name(leases: Leases) -> None:
    claimed(leases)
    leases.attend("a", None, ["one"])
    leases.move("one", "b")
    leases.drain("a")
    assert leases.lanes()[0].wanted == "b"
    leases.attend("a", None, ["one"])
    assert leases.nodes()[0].draining, "it goes on draining, whatever it says itself"
    leases.undrain("a")
    leases.move("one", None)
    assert not leases.nodes()[0].draining
    assert leases.lanes()[0].wanted is None
    with pytest.raises(ConfigError, match="There is no lane 'three' in the cluster: it has one"):
        leases.move("three", "a")
    with pytest.raises(ConfigError, match="There is no node 'c' in the cluster: it has a"):
        leases.drain("c")


def test_of_many_that_claim_a_lane_at_once_one_has_it(leases: Leases, dsn: str) -> None:
    nodes = [Leases(Database(dsn, patience=PATIENCE), ttl=LONG) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for turn in range(1, 21):
            won = [each for each in pool.map(_claim, nodes, "abcdefgh") if each is not None]
            assert [each.epoch for each in won] == [turn]
            expire(leases)
    for each in nodes:
        each.database.close()


def _claim(leases: Leases, owner: str) -> Lease | None:
    return leases.claim("one", owner, None, [])


def test_how_long_ago_a_lease_ran_out_is_told(leases: Leases) -> None:
    """Whoever was seen since then is there, though it has let that lease run out."""
    claimed(leases, "a")
    assert leases.lanes()[0].seconds_over == 0
    expire(leases)
    assert leases.lanes()[0].seconds_over > 0
