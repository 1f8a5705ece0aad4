"""The nonce marks of a lane: durable, fenced, one for all its keys, and few writes (promise G1 across machines)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.cluster.database import Database
from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.cluster.marks import AHEAD, LaneMarks
from engine.cluster.owner import LaneOwner
from engine.errors import OwnershipLost, StoreError
from engine.rules.lane.nonce import SECOND, NonceSequence
from tests.cluster.lanes import Clock, claimed, expire
from tests.cluster.postgresql import Server, frozen
from tests.stopwatch import LONG


class Keys:
    """The keys of a lane under one owner, with their nonces."""

    def __init__(self, leases: Leases, clock: Clock, *, owner: str = "a", keys: int = 3) -> None:
        held = claimed(leases, owner)
        self.lease = Lease(
            leases.database, held.lane, held.epoch, held.mark, clock.monotonic(), ttl=LONG, monotonic=clock.monotonic
        )
        self.clock, self.warnings, self.queued = clock, list[str](), list[Callable[[], None]]()
        self.owner = LaneOwner(self.lease, [(f"ACCOUNT{n}", f"key-{n}") for n in range(keys)], self.warn)
        self.marks = LaneMarks(self.lease, clock, self.warn)
        self.lines = {f"key-{n}": NonceSequence.above(self.marks.inherited(f"key-{n}")) for n in range(keys)}

    def warn(self, code: str, sentence: str) -> None:
        self.warnings.append(code)

    def issue(self, key_id: str) -> int:
        """A nonce, which is at most the durable mark."""
        nonce = self.lines[key_id].issue(
            self.clock.wall_ns(),
            lambda mark: self.marks.reserve(key_id, mark),
            lambda mark, wanted: self.marks.renew(self.queued.append, key_id, mark, wanted),
            lambda: self.marks.durable(key_id),
        )
        assert nonce <= self.marks.durable(key_id)
        return nonce

    def run_queued(self) -> None:
        """What the disk thread does."""
        while self.queued:
            self.queued.pop(0)()


def test_the_keys_of_a_lane_cost_three_writes_a_second_however_many_they_are(leases: Leases) -> None:
    clock = Clock()
    keys = Keys(leases, clock, keys=100)
    counted = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'lane'"
    began, seconds, waited = keys.lease.writes, 10, 0
    for tick in range(seconds * 40):
        before = keys.lease.writes
        keys.issue(f"key-{tick * 37 % 100}")
        keys.issue("key-0")
        waited += keys.lease.writes - before
        keys.run_queued()
        if tick % 10 == 9:
            assert keys.lease.renew()
        clock.value += 1 / 40
    assert keys.lease.writes - began <= 3 * seconds
    assert waited == 1, "only the very first call waits for PostgreSQL"
    leases.database.run("SELECT pg_stat_force_next_flush()")
    assert leases.database.run(counted)[0][0] <= 3 * seconds + 10


def test_a_successor_starts_above_every_nonce_wherever_its_clock_is(leases: Leases) -> None:
    first = Clock()
    used = Keys(leases, first)
    highest = max(used.issue(f"key-{n}") for n in (0, 1, 2, 0))
    expire(leases)
    behind = Clock()
    behind.value -= 3600
    successor = Keys(leases, behind, owner="b")
    assert all(successor.issue(f"key-{n}") > highest for n in range(3))
    with pytest.raises(OwnershipLost):
        used.marks.reserve("key-0", used.lease.mark + 1)
    assert all(successor.marks.durable(f"key-{n}") > highest for n in range(3))


def test_an_owner_that_opens_the_marks_once_more_starts_above_what_it_has_used(leases: Leases) -> None:
    keys = Keys(leases, Clock())
    used = [keys.issue("key-0") for _ in range(3)]
    again = LaneMarks(keys.lease, keys.clock, keys.warn)
    assert again.inherited("key-0") >= used[-1]


def test_a_key_that_is_far_ahead_of_the_clock_takes_no_other_along(leases: Leases) -> None:
    clock = Clock()
    keys = Keys(leases, clock)
    far = clock.wall_ns() + AHEAD + SECOND
    keys.lines["key-1"].skip_to(far, lambda mark: keys.marks.reserve("key-1", mark))
    assert keys.issue("key-1") == far + 1
    assert keys.issue("key-2") == clock.wall_ns()
    assert keys.lease.mark <= clock.wall_ns() + SECOND
    expire(leases)
    successor = Keys(leases, clock, owner="b")
    assert successor.issue("key-1") > far + 1
    assert successor.issue("key-2") <= clock.wall_ns() + 2 * SECOND
    with pytest.raises(OwnershipLost):
        keys.marks.reserve("key-1", far + 10 * SECOND)


def test_a_mark_of_a_key_that_went_to_another_lane_is_not_written(leases: Leases) -> None:
    clock = Clock()
    keys = Keys(leases, clock)
    leases.database.run("UPDATE kraken_engine.key SET lane = NULL WHERE key_id = 'key-1'")
    with pytest.raises(OwnershipLost, match="belongs to another lane"):
        keys.marks.reserve("key-1", clock.wall_ns() + 2 * AHEAD)


def test_a_frozen_server_is_told_once_and_nothing_above_the_mark_is_used(
    server: Server, leases: Leases, dsn: str
) -> None:
    clock = Clock()
    keys = Keys(leases, clock)
    keys.issue("key-0")
    database = keys.lease.database
    keys.lease.database = Database(dsn)
    mark = keys.lease.mark
    with frozen(server):
        for _ in range(2):
            with pytest.raises(StoreError, match="does not answer"):
                keys.marks.reserve("key-0", mark + SECOND)
    keys.lease.database.close()
    keys.lease.database = database
    assert keys.warnings == ["nonces-failing"]
    keys.marks.reserve("key-0", mark + SECOND)
    assert keys.marks.durable("key-0") == mark + SECOND
    assert keys.marks.reservations == 2
    assert keys.marks.write_seconds > 0


def test_a_renewal_for_which_there_is_no_thread_is_asked_for_again(leases: Leases) -> None:
    keys = Keys(leases, Clock())
    asked: list[Callable[[], None]] = []

    def no_thread(work: Callable[[], None]) -> None:
        asked.append(work)
        raise RuntimeError

    for _ in range(2):
        assert keys.marks.renew(no_thread, "key-0", 0, SECOND) == 0
    assert len(asked) == 2
    assert keys.marks.renew(asked.append, "key-0", 0, SECOND) == 0
    assert keys.marks.renew(asked.append, "key-1", 0, SECOND) == 0
    assert len(asked) == 3, "one renewal is under way for all keys"
    asked[-1]()
    assert keys.marks.renew(asked.append, "key-1", 0, SECOND) == SECOND
    keys.marks.close()
