"""The life of orders as a state machine, between journal and book: at the end each receipt equals Kraken's row (G9)."""

from __future__ import annotations

import contextlib
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.actors.backing.journal_file import FILE_NAME
from engine.actors.backing.journal_rows import GENERATION
from engine.actors.lane.messages import PrivateCall
from engine.actors.order.journal import Journal
from engine.actors.order.messages import (
    AllCanceled,
    CancelAllCame,
    CancelAllComes,
    CancelPlacement,
    EditComes,
    KeyReplaced,
)
from engine.errors import CallError, ConfigError
from engine.rules.order.states import OrderState
from engine.store import read_documents
from tests.machines.order_world import LISTS, World

IDS = "abcd"
CHANGES = ["good", "unheard", "lost", "late", "killed", "page"]
PLACES = st.sampled_from(["good", "lost", "late", "unheard", "busy"])
S = OrderState


class OrderMachine(RuleBasedStateMachine):
    """Orders are placed, filled, amended, edited and canceled, while replies are lost, lists lie and processes die."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.cl_ord_ids: dict[str, str] = {}
        self.canceled: set[str] = set()
        self.edited_elsewhere: set[str] = set()
        self.is_incomplete = False  # a journal was lost, and with it what it knew of orders

    def row(self, name: str) -> Any:
        return self.journal.find("MASTER", name)

    def rows(self) -> list[Any]:
        return [row for name in self.cl_ord_ids if (row := self.row(name)) is not None]

    @property
    def journal(self) -> Journal:
        return self.world.actor._journal

    def is_unseen(self, row: Any) -> bool:
        """Whether the order was edited elsewhere, and no look has seen that: it cannot be told from a cancel here."""
        if row is None or row.state not in (S.PLACED, S.UNKNOWN):
            return False
        return any(row.cl_ord_id == self.world.names().get(txid) or txid in row.txids for txid in self.edited_elsewhere)

    @rule(
        name=st.sampled_from(IDS), pair=st.sampled_from(["XBTUSD", "ETHUSD"]), price=st.integers(1000, 1900),
        fate=PLACES, wait=st.sampled_from([0.0, 0.3, 3.0]),
    )  # fmt: skip
    def place(self, name: str, pair: str, price: int, fate: str, wait: float) -> None:
        if self.world.key != "MASTER":
            return
        known = self.row(name)
        plan = self.world.plan(name, pair, str(price), "0.5")
        if known is not None:
            plan = self.world.plan(name, known.order.pair, str(known.order.price), "0.5")  # each try has its own name
        self.world.fates.insert(0, (lambda endpoint: endpoint == "AddOrder", fate))
        obstacle, orders = self.journal.obstacle, len(self.world.orders())
        try:
            self.world.place(plan)
        except (CallError, ConfigError) as error:
            assert len(self.world.orders()) == orders
            note(f"not placed: {error}")
            self.world.fates.pop(0)
            return
        if known is not None:
            self.world.fates.pop(0)
        assert known is not None or obstacle is None, "an order goes out although the journal was lost"
        self.cl_ord_ids.setdefault(name, plan.cl_ord_id)
        self.world.advance(wait)

    @precondition(lambda self: self.world.live())
    @rule(data=st.data(), part=st.sampled_from(["0.1", "0.2", "all"]))
    def fill(self, data: st.DataObject, part: str) -> None:
        txid = data.draw(st.sampled_from(self.world.live()))
        with self.world.exchange.customer("MASTER") as customer:
            left = next(order.left for order in customer.book.all() if order.txid == txid)
            customer.book.fill(txid, left if part == "all" else min(left, Decimal(part)))

    @precondition(lambda self: self.cl_ord_ids)
    @rule(data=st.data(), fates=st.lists(st.sampled_from(["lost", "unheard", "busy"]), max_size=3))
    def cancel(self, data: st.DataObject, fates: list[str]) -> None:
        """A cancel here of what was edited elsewhere before any look saw it is left out: see `is_unseen`."""
        name = data.draw(st.sampled_from(sorted(self.cl_ord_ids)))
        row = self.row(name)
        if row is None or self.is_unseen(row):
            return
        self.world.fates += [(lambda endpoint: endpoint == "CancelOrder", fate) for fate in fates]
        self.canceled.add(name)
        try:
            self.world.ask(CancelPlacement(row.cl_ord_id, 5.0))
        except CallError as error:
            note(f"cancel: {error}")

    @rule(fate=st.sampled_from(["good", "unheard", "lost"]))
    def cancel_all(self, fate: str) -> None:
        """Left out as in `cancel`."""
        if any(self.is_unseen(row) for row in self.rows()):
            return
        names = self.world.ask(CancelAllComes("MASTER"))
        self.canceled |= {row.id for row in self.rows() if row.cl_ord_id in names}
        count = None
        if self.world.key == "MASTER" and fate != "lost":
            count = self.world.execute("MASTER", "CancelAll", {})["count"]
            self.world.ask(AllCanceled("MASTER", self.world.clock.wall()))
        self.world.ask(CancelAllCame("MASTER", names, None if fate == "unheard" else count, 2.0))

    @precondition(lambda self: self.world.live() and self.world.key == "MASTER")
    @rule(
        data=st.data(), price=st.integers(1000, 1900), how=st.sampled_from(CHANGES),
        endpoint=st.sampled_from(["EditOrder", "AmendOrder"]),
    )  # fmt: skip
    def change(self, data: st.DataObject, price: int, how: str, endpoint: str) -> None:
        """Left out is an edit elsewhere of what is being canceled here, which looks as that cancel does, and an edit of
        what an edit elsewhere has made and no look has seen: with a cancel after it, that looks the same."""
        txid = data.draw(st.sampled_from(self.world.live()))
        pair = self.world.orders()[txid]["descr"]["pair"]
        asked = {"txid": txid, "pair": pair, "price": f"{price}.5"}
        if endpoint == "AmendOrder":
            asked = {"txid": txid, "limit_price": f"{price}.5"}
        row = self.row(txid) or self.row(self.world.names().get(txid, ""))
        is_hidden = row is None and (how == "page" or any(self.is_unseen(each) for each in self.rows()))
        if endpoint == "EditOrder" and (is_hidden or (how == "page" and row is not None and row.cancel_wanted)):
            return
        if how == "page":
            try:
                self.world.execute("MASTER", endpoint, asked)
            except CallError as error:
                note(f"not changed: {error}")
            else:
                self.edited_elsewhere |= {txid} if endpoint == "EditOrder" else set()
        elif how == "killed":
            self.world.ask(EditComes("MASTER", txid))
            with contextlib.suppress(CallError):
                self.world.execute("MASTER", endpoint, asked)
            self.world.restart(crash=True)
            return
        else:
            self.world.fates.insert(0, (lambda name: name == endpoint, how))
            self.world.tell(PrivateCall("MASTER", endpoint, asked))
            self.world.advance(1.0)
        self.world.advance(3.0)  # an edit elsewhere is told from what happens at the same moment

    @rule(
        endpoint=st.sampled_from(LISTS), fate=st.sampled_from(["lost", "odd", "full", "busy"]), times=st.integers(1, 3)
    )
    def spoil(self, endpoint: str, fate: str, times: int) -> None:
        self.world.fates += [(lambda name: name == endpoint, fate)] * times

    @rule(listing=st.sampled_from([0.0, 2.0]), closing=st.sampled_from([0.0, 3.0]))
    def lag(self, listing: float, closing: float) -> None:
        self.world.exchange.market.listing_lag, self.world.exchange.market.closing_lag = listing, closing

    @rule(room=st.sampled_from([0.0, 2.0, float("inf")]))
    def counter(self, room: float) -> None:
        self.world.room = room

    @rule(key=st.sampled_from(["MASTER", "OTHER"]))
    def other_key(self, key: str) -> None:
        self.world.key = key
        self.world.ask(KeyReplaced("MASTER"))

    @rule(seconds=st.sampled_from([0.2, 2.0, 8.0, 45.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(crash=st.booleans())
    def restart(self, crash: bool) -> None:
        self.world.restart(crash=crash)

    @invariant()
    def what_is_final_is_true(self) -> None:
        orders = self.world.orders()
        for row in self.rows():
            named = [txid for txid, order in orders.items() if order.get("cl_ord_id") == row.cl_ord_id]
            assert len(named) <= 1, "two orders for one placement"
            if row.state in (S.NOT_PLACED, S.REFUSED):
                assert not named, f"{row.id} is {row.state.value}, and Kraken has it"
            elif row.is_final:
                filled = sum(Decimal(orders[txid]["vol_exec"]) for txid in (*row.txids, *row.former))
                assert row.filled == filled, f"{row.id} is final with {row.filled} of {filled}"
            if row.state is S.UNKNOWN:
                assert self.journal.reserved("MASTER"), "nothing is reserved for an unknown order"

    def teardown(self) -> None:
        try:
            self._heal()
            self._compare()
        finally:
            self.world.close()

    def _heal(self) -> None:
        self.world.fates.clear()
        self.world.room = float("inf")
        self.lag(0.0, 0.0)
        self.other_key("MASTER")
        self.world.advance(300.0)

    def _compare(self) -> None:
        """The oracle: every receipt equals Kraken's row."""
        orders = self.world.orders()
        owned: set[str] = set()
        for row in self.rows():
            receipt = row.receipt
            named = [txid for txid, order in orders.items() if order.get("cl_ord_id") == row.cl_ord_id]
            if receipt.state in (S.NOT_PLACED, S.REFUSED):
                assert not named
                continue
            assert len(receipt.txids) == 1
            owned |= {*receipt.txids, *row.former}
            assert set(named) <= owned
            order = orders[receipt.txids[0]]
            state = {"open": S.PLACED, "closed": S.CLOSED, "canceled": S.CANCELED, "expired": S.CANCELED}
            assert receipt.state is state[order["status"]], (receipt, order)
            assert receipt.is_final == (order["status"] != "open")
            parts = [orders[txid] for txid in (*receipt.txids, *row.former)]
            for ours, theirs in (("filled", "vol_exec"), ("cost", "cost"), ("fee", "fee")):
                assert getattr(receipt, ours) == sum(Decimal(part[theirs]) for part in parts), (ours, receipt)
            assert receipt.sent is not None
            assert receipt.sent.volume == Decimal(order["vol"])
            assert receipt.sent.price == Decimal(order["descr"]["price"])
            assert not (row.id in self.canceled and order["status"] == "open"), "what was canceled is open"
        assert not self.journal.reserved("MASTER")
        if self.is_incomplete:
            return
        stray = {txid for txid, order in orders.items() if order["status"] == "open"} - owned
        assert not stray, f"{stray} are open, and no placement knows them"


class LossMachine(OrderMachine):
    """The same, and the journal's files are deleted, or older ones put back, while the engine is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.copy: Path | None = None

    @initialize()
    def begin(self) -> None:
        """There is something to lose."""
        self.place("a", "XBTUSD", 1500, "good", 3.0)

    @rule()
    def back_up(self) -> None:
        self.copy = self.world.copy_journal()

    @rule(crash=st.booleans(), fate=st.sampled_from(["gone", "put back", "without its log"]))
    def journal_is_lost(self, crash: bool, fate: str) -> None:
        """Its files are deleted between two runs, or those of the back-up are put in their place."""
        if fate == "put back" and self.copy is None:
            return
        before: list[int] = []
        self.world.restart(crash=crash, meanwhile=lambda: before.extend(self._lose(fate)))
        had, has = before
        if had > has or fate != "without its log":  # one that is gone may have held nothing that is missed
            assert (self.journal.damage is not None) == (had > has), (had, has, self.journal.damage)
        if self.journal.damage is not None:
            assert self.journal.obstacle is not None
        self.is_incomplete = True
        self.canceled.clear()

    def _lose(self, fate: str) -> tuple[int, int]:
        """Returns how far the journal had come before, and how far it has now."""
        main = self.world.directory / FILE_NAME
        had = _number(main)
        for each in self.world.journal_files():
            if fate != "without its log" or each != main:
                each.unlink()
        if fate == "put back":
            assert self.copy is not None
            shutil.copytree(self.copy, self.world.directory, dirs_exist_ok=True)
        return had, _number(main) if main.exists() else 0

    @precondition(lambda self: self.journal.obstacle)
    @rule()
    def a_person_looks(self) -> None:
        self.world.look_after_damage()
        assert self.journal.obstacle is None


def _number(journal: Path) -> int:
    """The generation of a journal that nobody has open."""
    document = read_documents(journal).get(GENERATION)
    return 0 if document is None else int(document["number"])


# The same examples in each default run; `-m torture` searches for new ones.
TestOrderMachine = OrderMachine.TestCase
TestOrderMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None, derandomize=True)
TestLossMachine = LossMachine.TestCase
TestLossMachine.settings = settings(max_examples=10, stateful_step_count=20, deadline=None, derandomize=True)


@pytest.mark.torture
@pytest.mark.parametrize("machine", [OrderMachine, LossMachine])
def test_the_life_of_orders_over_many_examples(machine: type[OrderMachine]) -> None:
    """G9: the same machines, at random and longer."""
    sizes = settings(max_examples=60, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(machine, settings=sizes)
