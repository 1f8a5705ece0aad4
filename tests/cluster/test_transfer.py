"""From a state directory into a lane and back: no mark falls, no order gets lost or another id, no lockout is over."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import Account, Engine
from engine.actors.backing.file_backing import FileBacking
from engine.actors.backing.journal_file import FILE_NAME
from engine.cluster.backing import LaneBacking
from engine.cluster.leases import Leases
from engine.cluster.transfer import Moved, export_state, import_state
from engine.errors import ConfigError, StoreError, StoreInUse
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent
from engine.simulator import Simulator
from engine.store.backing import Documents, Marks
from engine.values import SYSTEM_CLOCK
from tests.app.test_place import RESTS
from tests.cluster.lanes import claimed
from tests.cluster.test_journal_rows import opened, placement
from tests.conftest import QUICK
from tests.crash.torture import Warnings

SETTINGS = replace(QUICK, follow_every=60.0)
LIVE, OVER, RETRIED = placement(1, "live"), opened(placement(2, "over"), "TX2"), placement(3, "retried")
OVER = OVER.after(OrderEvent.FOUND_CANCELED, 70.0)
ELSEWHERE = placement(4, "other", account="BOB")
LOCKED = {"calls": {"level": 3.0, "at": 500.0}, "guard": {"locked_until": 900.0}, "accepted": True}


class Kept:
    """What an engine keeps, opened to be looked at or filled."""

    def __init__(self, backing: FileBacking | LaneBacking, accounts: Sequence[Account], undo: ExitStack) -> None:
        owner: Any = backing.own([(each.name, each.key_id) for each in accounts], Warnings())
        undo.callback(owner.release)
        self.marks: Marks = backing.open_marks(owner, SYSTEM_CLOCK, Warnings())
        undo.callback(self.marks.close)
        self.limits: Documents = backing.open_documents("limits", owner)[0]
        undo.callback(self.limits.close)
        self.journal = backing.open_journal()
        undo.callback(self.journal.close)

    def rows(self) -> dict[str, Placement]:
        return {row.cl_ord_id: row for part in self.journal.parts() for row in part}


@contextmanager
def in_directory(directory: Path, accounts: Sequence[Account]) -> Iterator[Kept]:
    with ExitStack() as undo:
        yield Kept(FileBacking(directory), accounts, undo)


@contextmanager
def in_lane(leases: Leases, accounts: Sequence[Account], local: Path) -> Iterator[Kept]:
    lease = claimed(leases, "node")
    with ExitStack() as undo:
        undo.callback(lease.release)
        yield Kept(LaneBacking(lease, local), accounts, undo)


@pytest.fixture
def master() -> Account:
    return Account("MASTER", os.urandom(16).hex(), "c2VjcmV0")


@pytest.fixture
def directory(tmp_path: Path, master: Account) -> Path:
    """As an engine has left it, with a second account that goes to another lane."""
    path = tmp_path / "state"
    with in_directory(path, [master]) as kept:
        kept.marks.reserve(master.key_id, 1000)
        kept.limits.put(master.key_id, LOCKED)
        for row in (LIVE, OVER, ELSEWHERE):
            kept.journal.begin(row, None)
        kept.journal.keep([OVER])
        first = replace(RETRIED.after(OrderEvent.NOT_SENT, 5.0), may_repeat=True)
        kept.journal.begin(first, None)
        kept.journal.begin(replace(RETRIED, cl_ord_id="5" * 32, times={"planned": 6.0}), first)
        kept.journal.keep_switch("MASTER", 60)
        kept.journal.keep_switch("ALICE", 60)
        kept.journal.keep_pause("MASTER", 10.0)
    return path


def taken(directory: Path, leases: Leases, *accounts: Account) -> Moved:
    return import_state(directory, leases, "one", accounts, Warnings())


def given_back(directory: Path, leases: Leases, *accounts: Account) -> Moved:
    return export_state(directory, leases, "one", accounts, Warnings())


def test_a_lane_takes_what_the_directory_has_of_its_accounts(
    directory: Path, leases: Leases, master: Account, tmp_path: Path
) -> None:
    assert taken(directory, leases, master) == Moved(
        marks=1, limits=1, orders=3, older=0, left=("ALICE", "BOB"), switches=1, pauses=1
    )
    with in_lane(leases, [master], tmp_path) as lane:
        assert lane.marks.inherited(master.key_id) >= 1000
        assert lane.limits.documents() == {master.key_id: LOCKED}
        assert lane.rows().keys() == {LIVE.cl_ord_id, OVER.cl_ord_id, "5" * 32}
        assert lane.journal.find("MASTER", "live") == LIVE
        assert lane.journal.find("MASTER", "TX2") == OVER
        assert {row.id for row in lane.journal.live} == {"live", "retried"}
        found = lane.journal.find("MASTER", "retried")
        assert found is not None
        assert found.cl_ord_id == "5" * 32
        assert [row.id for row in lane.journal.of_client("MASTER", "bot", "userref", 7)] == ["retried", "over", "live"]
        assert (lane.journal.switches, lane.journal.pauses) == ({"MASTER": 60}, {"MASTER": 10.0})
    with in_directory(directory, [master]) as kept:
        assert len(kept.rows()) == 4, "nothing is taken away"


def test_to_take_it_twice_changes_nothing(directory: Path, leases: Leases, master: Account) -> None:
    taken(directory, leases, master)
    nothing = Moved(marks=0, limits=0, orders=0, older=0, left=("ALICE", "BOB"), same=3)
    assert taken(directory, leases, master) == nothing
    assert given_back(directory, leases, master) == replace(nothing, left=())


def test_what_the_lane_has_done_since_comes_back_and_is_not_undone(
    directory: Path, leases: Leases, master: Account, tmp_path: Path
) -> None:
    taken(directory, leases, master)
    amended = replace(LIVE, description="amended")
    later = opened(placement(7, "later"), "TX7")
    again = replace(OVER, reason="found once more", times={**OVER.times, "canceled": 80.0})
    with in_lane(leases, [master], tmp_path) as lane:
        lane.marks.reserve(master.key_id, 5000)
        lane.journal.keep([amended, again])
        lane.journal.begin(later, None)
        lane.journal.forget_pause("MASTER")
        lane.limits.put(master.key_id, {"calls": {"level": 1.0, "at": 600.0}, "guard": {}, "accepted": True})
    assert taken(directory, leases, master).older == 2, "the directory is older"
    with in_lane(leases, [master], tmp_path) as lane:
        assert lane.marks.durable(master.key_id) == 5000
        assert lane.rows()[LIVE.cl_ord_id] == amended
        assert lane.journal.pauses == {"MASTER": 10.0}, "who paused it in the directory means it"
        lockout = {"calls": {"level": 1.0, "at": 600.0}, "guard": {"locked_until": 900.0}, "accepted": True}
        assert lane.limits.documents() == {master.key_id: lockout}
    assert given_back(directory, leases, master) == Moved(marks=1, limits=1, orders=3, older=0, left=(), same=1)
    with in_directory(directory, [master]) as kept:
        assert kept.marks.inherited(master.key_id) == 5000
        assert kept.rows()[LIVE.cl_ord_id] == amended
        assert kept.journal.find("MASTER", "later") == later
        assert kept.journal.find("MASTER", "TX2") == again
        assert kept.journal.find("BOB", "other") == ELSEWHERE


def test_a_lane_goes_into_a_new_directory(directory: Path, leases: Leases, master: Account, tmp_path: Path) -> None:
    taken(directory, leases, master)
    given_back(tmp_path / "new", leases, master)
    with in_directory(tmp_path / "new", [master]) as kept, in_lane(leases, [], tmp_path) as lane:
        assert kept.rows() == lane.rows()


def test_it_is_refused_while_an_engine_has_the_directory_or_a_node_the_lane(
    directory: Path, leases: Leases, master: Account, tmp_path: Path
) -> None:
    with in_directory(directory, []), pytest.raises(StoreInUse, match="The state directory") as caught:
        taken(directory, leases, master)
    assert caught.value.pid == os.getpid()
    with in_directory(tmp_path / "other", [master]), pytest.raises(StoreInUse, match="The API key of account MASTER"):
        taken(directory, leases, master)
    with in_lane(leases, [], tmp_path), pytest.raises(StoreInUse, match="Lane one is served by node node"):
        taken(directory, leases, master)
    with pytest.raises(ConfigError, match="There is no engine's state in"):
        taken(tmp_path / "none", leases, master)
    assert taken(directory, leases, master).orders == 3, "nothing is held by a try that was refused"


def test_a_journal_that_was_damaged_is_not_taken(directory: Path, leases: Leases, master: Account) -> None:
    (directory / FILE_NAME).write_bytes(b"x" * 8192)
    with pytest.raises(StoreError, match="The journal of orders was damaged"):
        taken(directory, leases, master)


def test_the_same_id_is_the_same_order_in_the_lane_and_back(sim: Simulator, leases: Leases, tmp_path: Path) -> None:
    master = Account.of(sim.accounts[0])
    directory = tmp_path / "state"
    options: dict[str, Any] = {"url": sim.url, "settings": SETTINGS, "live": True, "balances": ()}
    with Engine([master], state_dir=directory, **options) as engine:
        receipt = engine.place("MASTER", RESTS, id="one")
    taken(directory, leases, master)
    lease = claimed(leases, "node")
    with Engine.over(LaneBacking(lease, tmp_path / "local"), [master], **options) as engine:
        assert engine.place("MASTER", RESTS, id="one").txids == receipt.txids
        second = engine.place("MASTER", RESTS, id="two")
    lease.release()
    given_back(directory, leases, master)
    with Engine([master], state_dir=directory, **options) as engine:
        assert engine.place("MASTER", RESTS, id="two").txids == second.txids
    assert len(sim.placements("MASTER")) == 2
    assert sim.refused_nonces == 0
