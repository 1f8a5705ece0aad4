"""What an engine relies on, whether it keeps it in a state directory or in a lane: one contract for both backings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.cluster.leases import Leases
from engine.errors import OwnershipLost, StoreInUse
from engine.rules.order.states import OrderEvent, OrderState
from engine.store.nonces import Nonces
from engine.values import SYSTEM_CLOCK
from tests.cluster.backings import Files, Home, Lanes
from tests.cluster.test_journal_rows import opened, placement
from tests.crash.torture import NOW, TurnedClock

NAME = "limits"


@pytest.fixture(params=["files", "PostgreSQL"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    made = Files(tmp_path) if request.param == "files" else Lanes(request.getfixturevalue("leases"), tmp_path)
    yield made
    made.end()


@pytest.fixture
def key() -> str:
    """No other test on this machine has it."""
    return os.urandom(16).hex()


def test_a_mark_is_durable_and_never_lower(home: Home, key: str) -> None:
    marks = home.open([("MASTER", key)]).open_marks(home.owner, SYSTEM_CLOCK, home.warnings)
    assert marks.durable(key) == marks.inherited(key) == 0
    marks.reserve(key, 1000)
    marks.reserve(key, 999)
    assert marks.durable(key) == 1000
    assert marks.reservations == 1
    assert marks.write_seconds > 0
    marks.close()
    again = home.open([("MASTER", key)]).open_marks(home.owner, SYSTEM_CLOCK, home.warnings)
    assert again.durable(key) == again.inherited(key) == 1000
    again.close()
    assert home.warnings == []


def test_a_mark_is_renewed_in_another_thread_and_only_when_it_is_needed(home: Home, key: str) -> None:
    marks = home.open([("MASTER", key)]).open_marks(home.owner, SYSTEM_CLOCK, home.warnings)
    marks.reserve(key, 1000)
    later: list[Callable[[], None]] = []
    assert marks.renew(later.append, key, 500, 2000) == 1000, "somebody has renewed it"
    assert later == []
    for _ in range(2):
        assert marks.renew(later.append, key, 1000, 2000) == 1000
    assert len(later) == 1, "once is enough"
    later[0]()
    assert marks.durable(key) == 2000
    marks.close()


def test_a_key_has_one_owner(home: Home, key: str) -> None:
    other = home.elsewhere()
    home.open([("MASTER", key)])
    with pytest.raises(StoreInUse, match="The API key of account ALICE is in use"):
        other.open([("ALICE", key)])
    other.open()
    with pytest.raises(StoreInUse, match="The API key of account ALICE is in use"):
        other.owner.claim_key("ALICE", key)
    home.owner.release_key(key)
    other.owner.claim_key("ALICE", key)
    with pytest.raises(StoreInUse):
        home.owner.claim_key("MASTER", key)
    other.end()


def test_a_key_goes_on_above_the_nonces_of_the_lane_that_had_it_meanwhile(
    leases: Leases, tmp_path: Path, key: str
) -> None:
    home, clock = Lanes(leases, tmp_path), TurnedClock()
    other, highest = home.elsewhere(), 0
    nonces = Nonces(home.open([("MASTER", key)]).open_marks(home.owner, clock, home.warnings), clock=clock)
    theirs = Nonces(other.open().open_marks(other.owner, clock, other.warnings), clock=clock)
    for hours in (0, 1, -1):
        clock.now = NOW + hours * 3600 * 1_000_000_000
        for owner, mine in ((home.owner, nonces), (other.owner, theirs)):
            owner.claim_key("MASTER", key)
            mine.came_back(key)
            nonce = mine.issue(key)
            assert nonce > highest
            highest = nonce
            owner.release_key(key)
    home.end()
    other.end()


def test_documents_are_kept_by_group_and_name(home: Home) -> None:
    backing = home.open()
    kept, saved, damage = backing.open_documents(NAME, home.owner)
    assert (saved, damage) == ({}, None)
    kept.put("a", {"level": 1})
    kept.put_all({"b": None, "c": [1, "é"]})
    kept.remove(["b", "none"])
    kept.put("a", {"level": 2})
    assert kept.documents() == {"a": {"level": 2}, "c": [1, "é"]}
    kept.close()
    other, saved, _ = home.open().open_documents("other", home.owner)
    assert saved == {}
    other.close()
    again, saved, damage = home.backing.open_documents(NAME, home.owner)
    assert (saved, damage) == ({"a": {"level": 2}, "c": [1, "é"]}, None)
    again.close()


def test_nothing_of_damaged_documents_counts(home: Home) -> None:
    kept, _, _ = home.open().open_documents(NAME, home.owner)
    kept.put_all({"a": 1, "b": 2})
    kept.close()
    home.damage(NAME)
    again, saved, damage = home.open().open_documents(NAME, home.owner)
    assert saved is None
    assert damage is not None
    assert "is damaged" in damage
    again.put("a", 3)
    assert again.documents() == {"a": 3}
    again.close()


def test_the_journal_goes_on_where_it_was(home: Home) -> None:
    journal = home.open().open_journal()
    assert (journal.live, journal.switches, journal.pauses) == ([], {}, {})
    assert (journal.damage, journal.obstacle) == (None, None)
    live, over = placement(1, "a"), placement(2, "b")
    journal.begin(live, None)
    journal.begin(over, None)
    journal.send(live.after(OrderEvent.SENT, 50.0, deadline=60.0))
    journal.keep([opened(over, "TXID").after(OrderEvent.FOUND_CANCELED, 51.0)])
    journal.keep_switch("MASTER", 60)
    journal.keep_pause("BOB", 1000.5)
    journal.close()
    again = home.open().open_journal()
    assert [(row.id, row.state, row.deadline) for row in again.live] == [("a", OrderState.SENT, 60.0)]
    assert (again.switches, again.pauses) == ({"MASTER": 60}, {"BOB": 1000.5})
    assert again.find("MASTER", "TXID") == again.get(over.cl_ord_id)
    assert again.find_all("MASTER", {"TXID": None, "O2": live.cl_ord_id}).keys() == {"TXID", "O2"}
    assert [row.id for row in again.of_client("MASTER", "bot", "userref", 7)] == ["b", "a"]
    assert again.find("ALICE", "a") is None
    again.close()


def test_who_has_lost_it_writes_nothing(home: Home, key: str) -> None:
    backing = home.open([("MASTER", key)])
    old, row = home.owner, placement(1, "a")
    marks, journal = backing.open_marks(old, SYSTEM_CLOCK, home.warnings), backing.open_journal()
    marks.reserve(key, 1000)
    home.open([("MASTER", key)])
    writes: list[Callable[[], None]] = [
        lambda: marks.reserve(key, 2000), lambda: journal.begin(row, None), lambda: journal.send(row),
        lambda: journal.keep_switch("MASTER", 60), lambda: journal.keep_pause("MASTER", 1.0),
    ]  # fmt: skip
    for write in (*writes, journal.verify, old.check, old.verify):
        with pytest.raises(OwnershipLost):
            write()
    assert old.is_lost
    marks.close()
    journal.close()
    now = home.backing.open_marks(home.owner, SYSTEM_CLOCK, home.warnings)
    assert now.durable(key) == 1000
    now.close()
    journal = home.backing.open_journal()
    assert (journal.live, journal.switches, journal.pauses) == ([], {}, {})
    journal.close()
