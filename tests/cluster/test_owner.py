"""An API key belongs to one lane at a time (promise G2 across machines)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.cluster.owner import LaneOwner
from engine.errors import OwnershipLost, StoreInUse
from tests.cluster.lanes import claimed, expire
from tests.stopwatch import AT_ONCE, Stopwatch, again_if_stalled

KEYS = [("MASTER", "key-1"), ("ALICE", "key-2")]


def owner_of(lease: Lease, keys: list[tuple[str, str]], warn: Callable[[str, str], None] | None = None) -> LaneOwner:
    return LaneOwner(lease, keys, warn or (lambda code, sentence: None))


@again_if_stalled
def test_a_key_of_two_lanes_is_refused_at_once_and_by_name(leases: Leases) -> None:
    owner_of(claimed(leases, "a", "one"), KEYS)
    second = claimed(leases, "b", "two")
    with Stopwatch() as watch, pytest.raises(StoreInUse) as caught:
        owner_of(second, [("BOB", "key-3"), ("ALICE", "key-2")])
    assert watch.wall < AT_ONCE
    assert str(caught.value) == (
        "The API key of account ALICE is in use by lane one, owned by node a: configure it in one lane only, or make "
        "another key."
    )
    first, second = (Lease(leases.database, each.id, each.epoch, 0, 0.0) for each in leases.lanes())
    first.release()
    second.release()


def test_the_keys_of_a_lane_go_to_its_next_owner_with_their_marks(leases: Leases) -> None:
    first = owner_of(claimed(leases), KEYS)
    assert first.lease.key_marks == {"key-1": 0, "key-2": 0}
    leases.database.run("UPDATE kraken_engine.key SET mark = 9223372036854775807 WHERE key_id = 'key-1'")
    expire(leases)
    second = owner_of(claimed(leases, "b"), KEYS)
    assert second.lease.key_marks == {"key-1": 2**63 - 1, "key-2": 0}
    with pytest.raises(OwnershipLost):
        first.claim_key("BOB", "key-3")
    assert leases.database.run("SELECT count(*) FROM kraken_engine.key") == [(2,)]


def test_a_key_that_is_claimed_again_in_its_lane_keeps_the_mark_that_covered_it(leases: Leases) -> None:
    owner = owner_of(claimed(leases), KEYS)
    owner.lease.reserve(100)
    owner.lease.key_marks.clear()
    owner.claim_key("ALICE", "key-2")
    assert owner.lease.key_marks == {"key-2": 100}


def test_a_key_that_was_given_back_goes_to_another_lane_with_the_marks_of_both(leases: Leases) -> None:
    one, two = owner_of(claimed(leases, "a", "one"), KEYS), owner_of(claimed(leases, "b", "two"), [])
    one.lease.reserve(100)
    with pytest.raises(StoreInUse):
        two.claim_key("ALICE", "key-2")
    one.release_key("key-2")
    two.claim_key("ALICE", "key-2")
    assert two.lease.key_marks == {"key-2": 100}
    with pytest.raises(StoreInUse, match="by lane two, owned by node b"):
        one.claim_key("ALICE", "key-2")


def test_a_key_of_a_lane_without_an_owner_is_taken_from_it_and_its_last_owner_is_fenced(leases: Leases) -> None:
    one, two = owner_of(claimed(leases, "a", "one"), KEYS), owner_of(claimed(leases, "b", "two"), [])
    one.lease.reserve(100)
    expire(leases, "one")
    two.claim_key("ALICE", "key-2")
    assert two.lease.key_marks == {"key-2": 100}, "what the other lane may have used is not used again"
    with pytest.raises(OwnershipLost):
        one.lease.reserve(200)
    with pytest.raises(StoreInUse, match="ALICE is in use by lane two"):
        owner_of(claimed(leases, "a", "one"), KEYS)


def test_a_lost_lane_is_told_once_and_every_look_refuses(leases: Leases) -> None:
    told: list[str] = []
    owner = owner_of(claimed(leases), KEYS, lambda code, sentence: told.append(code))
    owner.check()
    owner.verify("key-1")
    expire(leases)
    claimed(leases, "b")
    with pytest.raises(OwnershipLost):
        owner.lease.verify()
    for _ in range(2):
        with pytest.raises(OwnershipLost):
            owner.check()
        with pytest.raises(OwnershipLost):
            owner.verify("key-1")
    owner.release_key("key-1")
    owner.release()
    assert told == ["ownership-lost"]
    assert leases.database.run("SELECT count(*) FROM kraken_engine.key WHERE lane = 'one'") == [(2,)]
