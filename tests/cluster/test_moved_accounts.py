"""An account that is configured in another lane: no order of it is placed again there, and nothing is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cluster.backing import LaneBacking
from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.cluster.moved_accounts import bring_along
from engine.errors import OwnershipLost
from engine.rules.order.states import OrderEvent
from tests.cluster.lanes import claimed, expire
from tests.cluster.test_journal_rows import opened, placement
from tests.stopwatch import LONG

MASTER, ALICE = ("MASTER", "key-1"), ("ALICE", "key-2")
LIVE, OVER, OTHERS = placement(1, "a", account="ALICE"), placement(2, "b", account="ALICE"), placement(3, "a")
UNNAMED = placement(4, "d" * 32, account="ALICE", named=False)


def nothing(code: str, sentence: str) -> None:
    """Nobody is warned here."""


def filled(leases: Leases, directory: Path) -> Lease:
    """Lane one with orders, a pause and limits of ALICE, and an order of MASTER."""
    lease = claimed(leases, "a", "one")
    backing = LaneBacking(lease, directory)
    owner = backing.own([MASTER, ALICE], nothing)
    journal = backing.open_journal()
    for row in (LIVE, OVER, OTHERS, UNNAMED):
        journal.begin(row, None)
    journal.keep([opened(LIVE, "TX1"), opened(OVER, "TX2").after(OrderEvent.FOUND_CANCELED, 51.0)])
    journal.keep_pause("ALICE", 5.0)
    journal.keep_switch("ALICE", 60)
    journal.keep_pause("MASTER", 6.0)
    backing.open_documents("limits", owner)[0].put_all({"key-1": {"calls": 1}, "key-2": {"calls": 2}})
    return lease


def test_its_orders_safeguards_and_limits_come_along(leases: Leases, tmp_path: Path) -> None:
    filled(leases, tmp_path).release()
    backing = LaneBacking(claimed(leases, "b", "two"), tmp_path)
    owner = backing.own([ALICE], nothing)
    journal = backing.open_journal()
    assert {row.id for row in journal.live} == {LIVE.id, UNNAMED.id}
    assert journal.find("ALICE", "a") == opened(LIVE, "TX1")
    assert journal.find("ALICE", "TX2") == journal.get(OVER.cl_ord_id)
    assert journal.find("MASTER", "a") is None
    assert (journal.pauses, journal.switches) == ({"ALICE": 5.0}, {"ALICE": 60})
    assert backing.open_documents("limits", owner)[1] == {"key-2": {"calls": 2}}


def test_it_is_done_once_for_each_move_and_to_the_end(leases: Leases, tmp_path: Path) -> None:
    filled(leases, tmp_path).release()
    two = claimed(leases, "b", "two")
    backing = LaneBacking(two, tmp_path)
    backing.own([ALICE], nothing)
    journal = backing.open_journal()
    over = opened(LIVE, "TX1").after(OrderEvent.FOUND_CANCELED, 60.0)
    journal.keep([over])
    LaneBacking(two, tmp_path).own([ALICE], nothing)
    assert backing.open_journal().find("ALICE", "a") == over, "it is not overwritten by what the other lane knows"
    leases.database.run("UPDATE kraken_engine.account SET lane = 'one' WHERE name = 'ALICE'")
    bring_along(two, [ALICE])
    assert leases.database.run("SELECT lane FROM kraken_engine.account WHERE name = 'ALICE'") == [("two",)]


def test_it_may_come_back(leases: Leases, tmp_path: Path) -> None:
    filled(leases, tmp_path).release()
    two = claimed(leases, "b", "two")
    backing = LaneBacking(two, tmp_path)
    backing.own([ALICE], nothing)
    over = opened(LIVE, "TX1").after(OrderEvent.FOUND_CANCELED, 60.0)
    backing.open_journal().keep([over])
    two.release()
    back = LaneBacking(claimed(leases, "a", "one"), tmp_path)
    back.own([MASTER, ALICE], nothing)
    journal = back.open_journal()
    assert journal.find("ALICE", "a") == over
    assert {row.cl_ord_id for row in journal.live} == {OTHERS.cl_ord_id, UNNAMED.cl_ord_id}


def test_an_owner_that_has_lost_its_lane_brings_nothing_along(leases: Leases, tmp_path: Path) -> None:
    filled(leases, tmp_path).release()
    two = claimed(leases, "b", "two")
    expire(leases, "two")
    old = Lease(leases.database, "two", two.epoch, 0, two.sure_until - LONG, ttl=LONG)
    claimed(leases, "c", "two")
    with pytest.raises(OwnershipLost):
        bring_along(old, [ALICE])
    assert leases.database.run("SELECT lane FROM kraken_engine.account ORDER BY name") == [("one",), ("one",)]
