"""Marks and journal rows of both backings, against models: one owner after another, in order or not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from engine.errors import OwnershipLost
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent, OrderState
from engine.store.backing import JournalRows, Marks
from engine.store.nonces import Nonces
from tests.cluster.backings import Files, Home, Lanes
from tests.cluster.test_journal_rows import placement
from tests.crash.torture import NOW, TurnedClock

MakeHome = Callable[[], Home]

SECOND = 1_000_000_000
FEW = settings(max_examples=25, stateful_step_count=20)
KEYS = ("first", "second")
IDS = ("a", "b", "c")


@pytest.fixture(params=["files", "PostgreSQL"])
def make_home(request: pytest.FixtureRequest, tmp_path: Path) -> MakeHome:
    if request.param == "files":
        return lambda: Files(tmp_path)
    leases = request.getfixturevalue("leases")
    return lambda: Lanes(leases, tmp_path)


class MarksMachine(RuleBasedStateMachine):
    """Every nonce of a key is higher than all before, whoever issued it and wherever the clocks are."""

    def __init__(self, make_home: MakeHome) -> None:
        super().__init__()
        self.home = make_home()
        self.clock = TurnedClock()
        self.ids = {name: os.urandom(16).hex() for name in KEYS}
        self.highest = dict.fromkeys(KEYS, 0)
        self.later: list[Callable[[], None]] = []
        self.marks: Marks | None = None

    @initialize()
    def start(self) -> None:
        self._take_over()

    @rule()
    def take_over(self) -> None:
        self._take_over()

    def _take_over(self) -> None:
        """The next owner; the one before notices with its first reservation, and has written nothing."""
        old, owner_before = self.marks, getattr(self.home, "owner", None)
        before = {name: old.durable(self.ids[name]) for name in KEYS} if old is not None else {}
        keys = [(name.upper(), self.ids[name]) for name in KEYS]
        backing = self.home.open(keys)
        if old is not None:
            for name in KEYS:
                with pytest.raises(OwnershipLost):
                    old.reserve(self.ids[name], before[name] + 1)
            assert owner_before is not None
            assert owner_before.is_lost
            old.close()
        self.later.clear()
        self.marks = backing.open_marks(self.home.owner, self.clock, self.home.warnings)
        for name in KEYS:
            assert self.marks.inherited(self.ids[name]) >= max(self.highest[name], before.get(name, 0))
        self.nonces = Nonces(self.marks, clock=self.clock, soon=self.later.append)

    @rule(name=st.sampled_from(KEYS), times=st.integers(1, 5))
    def issue(self, name: str, times: int) -> None:
        assert self.marks is not None
        for _ in range(times):
            nonce = self.nonces.issue(self.ids[name])
            assert self.highest[name] < nonce <= self.marks.durable(self.ids[name])
            self.highest[name] = nonce

    @rule(name=st.sampled_from(KEYS), ahead=st.integers(0, 10_000))
    def skip(self, name: str, ahead: int) -> None:
        """A person raises the nonces of a key, also far above the clock."""
        nonce = self.clock.now + ahead * SECOND
        self.nonces.skip_to(self.ids[name], nonce)
        self.highest[name] = max(self.highest[name], nonce)

    @rule(seconds=st.integers(-7200, 7200))
    def turn_clock(self, seconds: int) -> None:
        self.clock.now = NOW + seconds * SECOND

    @rule()
    def renew(self) -> None:
        """The other thread has its turn."""
        for each in self.later:
            each()
        self.later.clear()

    @rule(name=st.sampled_from(KEYS))
    def let_another_have_the_key(self, name: str) -> None:
        self.home.owner.release_key(self.ids[name])
        self.home.owner.claim_key(name.upper(), self.ids[name])
        self.nonces.came_back(self.ids[name])

    @invariant()
    def nothing_was_said(self) -> None:
        assert set(self.home.warnings.codes()) <= {"ownership-lost"}

    def teardown(self) -> None:
        if self.marks is not None:
            self.marks.close()
            self.home.end()


def test_nonces_rise_over_all_owners(make_home: MakeHome) -> None:
    class Machine(MarksMachine):
        def __init__(self) -> None:
            super().__init__(make_home)

    run_state_machine_as_test(Machine, settings=FEW)


class JournalMachine(RuleBasedStateMachine):
    """What was written is there for every later owner, under each of its names."""

    def __init__(self, make_home: MakeHome) -> None:
        super().__init__()
        self.home = make_home()
        self.rows: dict[str, Placement] = {}
        self.switches: dict[str, int] = {}
        self.pauses: dict[str, float] = {}
        self.number = 0
        self.journal: JournalRows | None = None

    @property
    def opened(self) -> JournalRows:
        assert self.journal is not None
        return self.journal

    @initialize()
    def start(self) -> None:
        self._take_over()

    @rule()
    def take_over(self) -> None:
        self._take_over()

    def _take_over(self) -> None:
        old = self.journal
        self.home.open()
        if old is not None:
            with pytest.raises(OwnershipLost):
                old.begin(placement(1_000_000, "of nobody"), None)
            old.close()
        self.journal = self.home.backing.open_journal()
        live = {row.cl_ord_id: row for row in self.rows.values() if row.is_live}
        assert {row.cl_ord_id: row for row in self.opened.live} == live
        assert (self.opened.switches, self.opened.pauses) == (self.switches, self.pauses)
        assert (self.opened.damage, self.opened.obstacle) == (None, None)
        assert self.opened.find("MASTER", "of nobody") is None

    @rule(name=st.sampled_from(IDS))
    def begin(self, name: str) -> None:
        """A new placement, or another try of one that was not sent."""
        before = self.rows.get(name)
        if before is not None and not before.may_repeat:
            return
        self.number += 1
        row = placement(self.number, name)
        self.opened.begin(row, before)
        self.rows[name] = row

    @rule(name=st.sampled_from(IDS), event=st.sampled_from(OrderEvent), again=st.booleans())
    def hear(self, name: str, event: OrderEvent, again: bool) -> None:
        row = self.rows.get(name)
        if row is None:
            return
        if event is OrderEvent.SENT:
            if row.state is OrderState.PLANNED:
                self.rows[name] = row.after(event, 50.0, deadline=60.0)
                self.opened.send(self.rows[name])
            return
        with contextlib.suppress(Exception):  # it cannot happen to this one
            row = row.after(event, 50.0, txids=(f"TX{self.number}",) if event is OrderEvent.ACCEPTED else row.txids)
            row = replace(row, may_repeat=again and event is OrderEvent.NOT_SENT)
        self.opened.keep([row])
        self.rows[name] = row

    @rule(account=st.sampled_from(("MASTER", "ALICE")), seconds=st.sampled_from((0, 60, 120)))
    def switch(self, account: str, seconds: int) -> None:
        self.opened.keep_switch(account, seconds)
        self.switches[account] = seconds

    @rule(account=st.sampled_from(("MASTER", "ALICE")))
    def disarm(self, account: str) -> None:
        self.opened.forget_switch(account)
        self.switches.pop(account, None)

    @rule(account=st.sampled_from(("MASTER", "ALICE")), pauses=st.booleans())
    def pause(self, account: str, pauses: bool) -> None:
        if pauses:
            self.opened.keep_pause(account, 1000.5)
            self.pauses[account] = 1000.5
        else:
            self.opened.forget_pause(account)
            self.pauses.pop(account, None)

    @rule()
    def forget(self) -> None:
        """Too early for all of them."""
        self.opened.forget(50.0, 100)

    @invariant()
    def everything_is_found_by_its_names(self) -> None:
        for name, row in self.rows.items():
            assert self.opened.get(row.cl_ord_id) == row
            assert self.opened.find("MASTER", name) == row
            for txid in row.txids if not row.is_live else ():
                assert self.opened.find_all("MASTER", {txid: None})[txid] == row
        assert self.opened.find("ALICE", "a") is None
        newest = sorted(self.rows.values(), key=lambda row: row.cl_ord_id, reverse=True)
        assert self.opened.of_client("MASTER", "bot", "userref", 7) == newest

    def teardown(self) -> None:
        if self.journal is not None:
            self.journal.close()
            self.home.end()


def test_what_is_written_is_found_by_every_later_owner(make_home: MakeHome) -> None:
    class Machine(JournalMachine):
        def __init__(self) -> None:
            super().__init__(make_home)

    run_state_machine_as_test(Machine, settings=FEW)
