"""The journal of placements as a state machine: crash and reopen at any moment (promise G9)."""

from __future__ import annotations

import os
import shutil
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.actors.order.journal import FILE_NAME, Journal
from engine.errors import CallNotSent, ConfigError, IdInUse, PairUnsettled
from engine.rules.order.order import Order
from engine.rules.order.placement import REMEMBERED, REMEMBERED_UNNAMED, Placement
from engine.rules.order.states import OrderEvent, OrderState, after
from engine.store import Store, read_documents

ORDERS = tuple(Order("XBTUSD", "buy", "limit", volume, "30000") for volume in ("1", "2"))
S, N = OrderState, OrderEvent
MARKETS = {
    "XXBTZUSD": "bitcoin", "XBT/USD": "bitcoin", "BTC/USD": "bitcoin", "XETHZUSD": "ether", "ETH/USD": "ether",
    "XBT/USD:BTNL": "bitcoin elsewhere",
}  # fmt: skip
"""By what a row may name its market: an earlier version wrote Kraken's id, or the name that a reply was keyed by."""


def placement(number: int, name: str, order: Order, *, pair: str = "XXBTZUSD", named: bool = True) -> Placement:
    return Placement(
        account="MASTER", id=name, named=named, cl_ord_id=f"{number:032x}", key_id="k", order=order, fitted=order,
        pair=pair, params={"pair": pair, "volume": "1"}, reserved=("ZUSD", Decimal("30120.5")),
        times={"planned": float(number)},
    )  # fmt: skip


class JournalMachine(RuleBasedStateMachine):
    """The model: for each id, its name at Kraken, its order, its state and whether another try is allowed."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.model: dict[str, tuple[str, Order, OrderState, bool]] = {}
        self.durable: dict[str, OrderState] = {}
        self.ever_sent: set[str] = set()
        self.number = 0

    @initialize()
    def open(self) -> None:
        self.journal = Journal(self.directory, wall=lambda: 1000.0)

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.directory)

    @rule(name=st.sampled_from("abc"), order=st.sampled_from(ORDERS), pair=st.sampled_from(sorted(MARKETS)))
    def plan(self, name: str, order: Order, pair: str) -> None:
        self.number += 1
        row = placement(self.number, name, order, pair=pair)
        known = self.model.get(name)
        unsettled = any(MARKETS[each.pair] == MARKETS[pair] for each in self.journal.rows(S.UNKNOWN))
        if known is not None and known[1] != order:
            with pytest.raises(IdInUse):
                self.journal.plan(row)
        elif known is not None and not known[3]:
            with pytest.raises(ConfigError):
                self.journal.plan(row)
        elif unsettled:
            with pytest.raises(PairUnsettled):
                self.journal.plan(row)
        else:
            self.journal.plan(row)
            note(f"planned {row.cl_ord_id[-2:]} as {name}")
            self.model[name] = (row.cl_ord_id, order, S.PLANNED, False)
            self.durable[row.cl_ord_id] = S.PLANNED

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def send(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        key, order, state, _ = self.model[name]
        row = self.journal.row(key)
        assert row is not None
        blocked = any(MARKETS[each.pair] == MARKETS[row.pair] for each in self.journal.rows(S.UNKNOWN))
        if state is S.SENT:
            assert self.journal.send(key, 99.0).deadline == 50.0, "the first deadline stays"
        elif state is not S.PLANNED or blocked:
            with pytest.raises(CallNotSent):
                self.journal.send(key, 50.0)
        else:
            assert key not in self.ever_sent, "nothing goes out twice"
            self.journal.send(key, 50.0)
            self.ever_sent.add(key)
            self.model[name] = (key, order, S.SENT, False)
            self.durable[key] = S.SENT

    @precondition(lambda self: self.model)
    @rule(data=st.data(), event=st.sampled_from(OrderEvent), again=st.booleans(), save=st.booleans())
    def hear(self, data: st.DataObject, event: OrderEvent, again: bool, save: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.model)))
        key, order, state, _ = self.model[name]
        if event is N.SENT:
            return
        may_repeat = again and event is N.NOT_SENT
        try:
            expected = after(state, event)
        except Exception as illegal:
            with pytest.raises(type(illegal)):
                self.journal.note(key, event)
            return
        self.journal.note(key, event, may_repeat=may_repeat)
        self.model[name] = (key, order, expected, may_repeat)
        if save:
            self.save()

    @rule()
    def save(self) -> None:
        self.journal.save()
        self.durable = {key: state for key, _, state, _ in self.model.values()}

    @rule()
    def crash(self) -> None:
        """What was durable is there again; what was sent and not answered is unknown; nothing is sent any more."""
        copy = Path(tempfile.mkdtemp())
        for file in self.directory.iterdir():
            shutil.copy(file, copy / file.name)
        self.journal.close()
        shutil.rmtree(self.directory)
        self.directory = copy
        self.journal = Journal(self.directory, wall=lambda: 1000.0)
        recovered = {S.PLANNED: S.NOT_PLACED, S.SENT: S.UNKNOWN}
        for name, (key, order, state, _) in self.model.items():
            row = self.journal.row(key)
            assert row is not None, "a row that was durable is gone"
            was = self.durable[key]
            assert row.state is recovered.get(was, was)
            assert not (state is not was and row.state.is_over and state is S.PLACED), "an accepted order is forgotten"
            self.model[name] = (key, order, row.state, row.may_repeat)
            if was is S.PLANNED:
                assert state in (S.PLANNED, S.NOT_PLACED)
        self.save()

    @invariant()
    def it_knows_what_the_model_knows(self) -> None:
        if not hasattr(self, "journal"):
            return
        for name, (key, order, state, may_repeat) in self.model.items():
            row = self.journal.find("MASTER", name)
            assert row is not None
            assert (row.cl_ord_id, row.order, row.state, row.may_repeat) == (key, order, state, may_repeat)
        unsettled = sum(not state.is_settled for _, _, state, _ in self.model.values())
        assert self.journal.reserved("MASTER").get("ZUSD", Decimal(0)) == unsettled * Decimal("30120.5")


TestJournalMachine = JournalMachine.TestCase
TestJournalMachine.settings = settings(max_examples=15, stateful_step_count=25)


def test_what_cannot_be_written_is_not_sent(tmp_path: Path) -> None:
    journal = Journal(tmp_path, wall=lambda: 0.0)
    journal.plan(placement(1, "a", ORDERS[0]))
    journal.close()
    with pytest.raises(CallNotSent):
        journal.plan(placement(2, "b", ORDERS[0]))
    with pytest.raises(CallNotSent):
        journal.send(f"{1:032x}", 50.0)
    assert journal.find("MASTER", "b") is None


def test_an_id_is_remembered_for_30_days_and_what_is_open_for_ever(tmp_path: Path) -> None:
    now = [0.0]
    journal = Journal(tmp_path, wall=lambda: now[0])
    for number, (name, named) in enumerate([("named", True), ("ours", False), ("open", True)], 1):
        journal.plan(placement(number, name, ORDERS[0], named=named))
        if name != "open":
            journal.note(f"{number:032x}", N.NOT_SENT)
    journal.save()
    for seconds, left in ((REMEMBERED_UNNAMED + 10, {1, 3}), (REMEMBERED + 10, {3})):
        now[0] = seconds
        journal.forget()
        assert {number for number in (1, 2, 3) if journal.row(f"{number:032x}") is not None} == left
        assert (journal.find("MASTER", "named") is not None) == (1 in left)
    journal.close()
    kept = set(read_documents(tmp_path / FILE_NAME))
    assert kept == {f"{3:032x}", f"live/{3:032x}", "id/MASTER/open", "generation"}, "nothing else is left behind"


def test_a_sealed_row_of_another_version_stops_placing(tmp_path: Path) -> None:
    store = Store(tmp_path / FILE_NAME)
    store.put("x", {"what": "ever"})
    store.close()
    journal = Journal(tmp_path, wall=lambda: 0.0)
    assert journal.damage is not None
    with pytest.raises(CallNotSent, match="damaged"):
        journal.plan(placement(1, "a", ORDERS[0]))
    journal.close()
    assert any("damaged" in name for name in os.listdir(tmp_path))
