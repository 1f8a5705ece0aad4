"""The journal of a lane in PostgreSQL: the next owner finds what was written, and an old one writes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from engine.cluster.database import Database
from engine.cluster.journal_rows import LaneJournal
from engine.cluster.lease import Lease
from engine.cluster.leases import Leases
from engine.errors import OwnershipLost, StoreError
from engine.rules.order.order import Order
from engine.rules.order.placement import REMEMBERED, Placement
from engine.rules.order.states import OrderEvent, OrderState
from tests.cluster.lanes import claimed, expire
from tests.cluster.postgresql import Server, frozen

ORDER = Order("XBTUSD", "buy", "limit", "1", "30000", userref=7)


def placement(number: int, name: str, **changes: object) -> Placement:
    row = Placement(
        account="MASTER", id=name, named=True, cl_ord_id=f"{number:032x}", key_id="k", order=ORDER, fitted=ORDER,
        pair="XXBTZUSD", params={"pair": "XXBTZUSD", "volume": "1"}, reserved=("ZUSD", Decimal("30120.5")),
        times={"planned": float(number)}, client="bot",
    )  # fmt: skip
    return replace(row, **changes)  # type: ignore[arg-type]


def opened(row: Placement, txid: str, now: float = 50.0) -> Placement:
    sent = row.after(OrderEvent.SENT, now, deadline=60.0)
    return sent.after(OrderEvent.ACCEPTED, now, txids=(txid,))


def handed_over(leases: Leases) -> LaneJournal:
    """The journal as the next owner opens it."""
    expire(leases)
    return LaneJournal(claimed(leases, "b"))


def test_what_is_live_goes_to_the_next_owner_with_switches_and_pauses(leases: Leases) -> None:
    first = LaneJournal(claimed(leases))
    assert (first.live, first.switches, first.pauses, first.damage, first.obstacle) == ([], {}, {}, None, None)
    live, over = placement(1, "a"), placement(2, "b")
    first.begin(live, None)
    first.begin(over, None)
    first.send(live.after(OrderEvent.SENT, 50.0, deadline=60.0))
    first.keep([opened(over, "OVER").after(OrderEvent.FOUND_CANCELED, 51.0)])
    first.keep_switch("MASTER", 60)
    first.keep_switch("ALICE", 60)
    first.forget_switch("ALICE")
    first.keep_pause("BOB", 1000.5)
    first.keep_pause("ALICE", 1000.5)
    first.forget_pause("ALICE")
    first.close()
    second = handed_over(leases)
    assert [(row.id, row.state, row.deadline) for row in second.live] == [("a", OrderState.SENT, 60.0)]
    assert (second.switches, second.pauses) == ({"MASTER": 60}, {"BOB": 1000.5})
    assert second.find("MASTER", "OVER") == second.get(over.cl_ord_id)


def test_nothing_of_an_old_epoch_is_written(leases: Leases) -> None:
    first = LaneJournal(claimed(leases))
    row = placement(1, "a")
    first.begin(row, None)
    second = handed_over(leases)
    writes: tuple[Callable[[], None], ...] = (
        lambda: first.begin(placement(2, "b"), None), lambda: first.send(row), lambda: first.keep([row]),
        lambda: first.keep_switch("MASTER", 60), lambda: first.forget_switch("MASTER"),
        lambda: first.keep_pause("MASTER", 1.0), lambda: first.forget_pause("MASTER"),
    )  # fmt: skip
    for write in writes:
        with pytest.raises(OwnershipLost):
            write()
    assert [each.id for each in second.live] == ["a"]
    names = leases.database.run("SELECT name FROM kraken_engine.document ORDER BY name")
    assert len(names) == len({"row", "id", "live", "cl_ord_id of the client", "userref"}) - 1
    third = handed_over(leases)
    assert (third.switches, third.pauses) == ({}, {})


def test_a_placement_is_found_by_every_name(leases: Leases) -> None:
    journal = LaneJournal(claimed(leases))
    first, second = placement(1, "a", client_id="c1"), placement(2, "b")
    journal.begin(first, None)
    journal.begin(second, None)
    over = opened(second, "TX2").after(OrderEvent.FOUND_CANCELED, 51.0)
    journal.keep([opened(first, "TX1"), over])
    assert journal.find("MASTER", "a") == journal.find("MASTER", first.cl_ord_id) == opened(first, "TX1")
    assert journal.find("MASTER", "TX2") == over
    assert journal.find("ALICE", "a") is None
    assert journal.find_all("MASTER", {"TX2": None, "TX1": first.cl_ord_id, "TX3": None}) == {
        "TX2": over, "TX1": opened(first, "TX1"),
    }  # fmt: skip
    assert journal.of_client("MASTER", "bot", "userref", 7) == [over, opened(first, "TX1")]
    assert journal.of_client("MASTER", "bot", "cl_ord_id", "c1") == [opened(first, "TX1")]
    assert journal.of_client("MASTER", None, "userref", 7) == []


def test_an_id_that_was_not_sent_goes_to_the_next_placement(leases: Leases) -> None:
    journal = LaneJournal(claimed(leases))
    first = placement(1, "a").after(OrderEvent.NOT_SENT, 50.0, may_repeat=True)
    journal.begin(placement(1, "a"), None)
    journal.keep([first])
    again = placement(2, "a")
    journal.begin(again, first)
    assert journal.find("MASTER", "a") == again
    assert journal.get(first.cl_ord_id) is None
    assert [row.cl_ord_id for row in handed_over(leases).live] == [again.cl_ord_id]


def test_what_is_over_is_forgotten_in_time_and_leaves_nothing(leases: Leases) -> None:
    journal = LaneJournal(claimed(leases))
    row, later = placement(1, "a", client_id="c1"), placement(2, "b")
    for each, txid in ((row, "TX1"), (later, "TX2")):
        journal.begin(each, None)
        journal.keep([opened(each, txid)])
    journal.keep([opened(row, "TX1").after(OrderEvent.FOUND_CANCELED, 100.0)])
    journal.forget(100.0 + REMEMBERED - 1)
    assert journal.find("MASTER", "a") is not None
    journal.forget(101.0 + REMEMBERED)
    assert journal.find("MASTER", "a") is None
    assert journal.find("MASTER", "TX1") is None
    assert journal.find("MASTER", "b") is not None
    left = leases.database.run("SELECT name FROM kraken_engine.document WHERE name LIKE '%%a%%' AND name LIKE 'id/%%'")
    assert left == []


def test_a_live_placement_that_cannot_be_read_blocks_new_ones_until_a_person_says_so(leases: Leases) -> None:
    first = LaneJournal(claimed(leases))
    rows = [placement(number, f"{number}") for number in range(1, 4)]
    for row in rows:
        first.begin(row, None)
    leases.database.run("UPDATE kraken_engine.document SET body = '{}' WHERE name = %s", [rows[0].cl_ord_id])
    leases.database.run("DELETE FROM kraken_engine.document WHERE name = %s", [rows[1].cl_ord_id])
    second = handed_over(leases)
    assert [row.id for row in second.live] == ["3"]
    assert second.damage == second.obstacle
    assert "2 of its live placements cannot be read" in str(second.obstacle)
    for row in rows[:2]:
        assert second.obstacle is not None
        assert f"'live/{row.cl_ord_id}'" in second.obstacle
        leases.database.run("DELETE FROM kraken_engine.document WHERE name = %s", [f"live/{row.cl_ord_id}"])
    assert second.obstacle is None
    assert handed_over(leases).damage is None


def test_a_frozen_server_is_an_error_and_changes_nothing(server: Server, leases: Leases, dsn: str) -> None:
    held = claimed(leases)
    database = Database(dsn)
    journal = LaneJournal(Lease(leases.database, held.lane, held.epoch, 0, 0.0))
    journal.begin(placement(1, "a"), None)
    impatient = LaneJournal(lease := Lease(leases.database, held.lane, held.epoch, 0, 0.0))
    lease.database = database
    with frozen(server):
        with pytest.raises(StoreError):
            impatient.keep_pause("MASTER", 1.0)
        with pytest.raises(StoreError):
            impatient.get(placement(1, "a").cl_ord_id)
    assert impatient.pauses == {}
    database.close()
