"""The journal of placements as a state machine: crash and reopen at any moment (promise G9)."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.actors.backing.journal_file import FILE_NAME, JournalFile
from engine.actors.order.journal import FORGET_AT_MOST, Journal, PlacedAlready
from engine.errors import CallNotSent, ConfigError, IdInUse, PairUnsettled, StoreError
from engine.rules.order.order import Order
from engine.rules.order.placement import REMEMBERED, REMEMBERED_UNNAMED, Placement
from engine.rules.order.states import OrderEvent, OrderState, after
from engine.store import Store, read_documents
from tests.stopwatch import PATIENCE

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
        self.journal = Journal(JournalFile(self.directory), wall=lambda: 1000.0)

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

    @rule(name=st.sampled_from("def"), pair=st.sampled_from(sorted(MARKETS)))
    def intend(self, name: str, pair: str) -> None:
        """Taken in, and not written yet."""
        unsettled = any(MARKETS[each.pair] == MARKETS[pair] for each in self.journal.rows(S.UNKNOWN))
        known = self.model.get(name)
        if unsettled or (known is not None and not known[3]):
            return
        self.number += 1
        row = placement(self.number, name, ORDERS[0], pair=pair)
        self.journal.intend(row)
        self.model[name] = (row.cl_ord_id, ORDERS[0], S.PLANNED, False)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def write(self, data: st.DataObject) -> None:
        key, _, state, _ = self.model[data.draw(st.sampled_from(sorted(self.model)))]
        is_new = key not in self.durable
        self.journal.write(key)
        if is_new:
            self.durable[key] = state

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
            for other, _, state, _ in self.model.values():  # what is live and not written goes along, at best
                if not state.is_over and self.has_written(other, state):
                    self.durable[other] = state

    def has_written(self, key: str, state: OrderState) -> bool:
        document = read_documents(self.directory / FILE_NAME).get(key)
        return document is not None and document["state"] == state.value

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
        self.journal = Journal(JournalFile(self.directory), wall=lambda: 1000.0)
        recovered = {S.PLANNED: S.NOT_PLACED, S.SENT: S.UNKNOWN}
        for name, (key, order, state, _) in [*self.model.items()]:
            row = self.journal.row(key)
            if key not in self.durable:
                assert key not in self.ever_sent
                assert row is None
                self.forget(name)
                continue
            assert row is not None, "a row that was durable is gone"
            was = self.durable[key]
            assert row.state is recovered.get(was, was)
            assert not (state is not was and row.state.is_over and state is S.PLACED), "an accepted order is forgotten"
            self.model[name] = (key, order, row.state, row.may_repeat)
            if was is S.PLANNED:
                assert state in (S.PLANNED, S.NOT_PLACED)
        self.save()

    def forget(self, name: str) -> None:
        """It was never written. An earlier placement of its id, which was not sent, has it again."""
        before = self.journal.find("MASTER", name)
        del self.model[name]
        if before is not None:
            self.model[name] = (before.cl_ord_id, before.order, before.state, before.may_repeat)
            assert before.may_repeat

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


class Counting(Store):
    """Counts its writes."""

    writes = 0

    def put_all(self, documents: Mapping[str, Any]) -> None:
        self.writes += 1
        super().put_all(documents)


def counted(directory: Path) -> tuple[Journal, Counting]:
    """A journal, and the store that it writes."""
    stores: list[Counting] = []

    def open_store(path: Path, **how: Any) -> Store:
        stores.append(Counting(path, **how))
        return stores[-1]

    return Journal(JournalFile(directory, open_store), wall=lambda: 0.0), stores[0]


def test_what_goes_out_is_written_once_with_all_that_is_not_written(tmp_path: Path) -> None:
    """A crash then finds all of it, by every name."""
    (tmp_path / "state").mkdir()
    journal, store = counted(tmp_path / "state")
    for number, name in ((1, "a"), (2, "b"), (3, "c")):
        journal.intend(replace(placement(number, name, ORDERS[0]), client="MASTER.a", client_id=name))
    before = store.writes
    journal.send(f"{1:032x}", 50.0)
    assert store.writes == before + 1
    journal.note(f"{1:032x}", N.ACCEPTED, txids=("TX1",))
    journal.send(f"{2:032x}", 50.0)
    journal.save()
    assert store.writes == before + 2
    shutil.copytree(tmp_path / "state", tmp_path / "copy")
    journal.close()
    journal = Journal(JournalFile(tmp_path / "copy"), wall=lambda: 0.0)
    for name, state in (("a", S.PLACED), ("b", S.UNKNOWN), ("c", S.NOT_PLACED)):
        row = journal.find("MASTER", name)
        assert row is not None
        assert row.state is state
        assert journal.of_client("MASTER", "MASTER.a", "cl_ord_id", name) == [row]
    journal.close()


def test_those_that_go_out_together_are_written_together_or_none_of_them(tmp_path: Path) -> None:
    journal, store = counted(tmp_path)
    for number in (1, 2, 3):
        journal.plan(placement(number, f"id{number}", ORDERS[0]))
    before = store.writes
    journal.want_cancel(f"{3:032x}")
    with pytest.raises(CallNotSent, match="cancel"):
        journal.send_all({f"{number:032x}": 50.0 for number in (1, 2, 3)})
    assert len(journal.rows(S.PLANNED)) == 3
    sent = journal.send_all({f"{number:032x}": 50.0 + number for number in (1, 2)})
    assert store.writes == before + 1
    assert [row.deadline for row in sent] == [51.0, 52.0]
    assert journal.send_all({f"{number:032x}": 99.0 for number in (1, 2)}) == sent, "the first deadlines stay"
    written = read_documents(tmp_path / FILE_NAME)
    assert [written[f"{number:032x}"]["state"] for number in (1, 2, 3)] == ["sent", "sent", "planned"]
    journal.close()


def test_what_could_not_be_written_is_given_up_and_its_id_is_that_of_the_one_before(tmp_path: Path) -> None:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    journal.plan(placement(1, "a", ORDERS[0]))
    journal.note(f"{1:032x}", N.NOT_SENT, may_repeat=True)
    journal.close()
    journal.intend(placement(2, "a", ORDERS[0]))
    with pytest.raises(PlacedAlready):
        journal.intend(placement(3, "a", ORDERS[0]))
    with pytest.raises(CallNotSent, match="could not be written down"):
        journal.write(f"{2:032x}")
    with pytest.raises(CallNotSent, match="given up"):
        journal.send(f"{2:032x}", 50.0)
    row = journal.find("MASTER", "a")
    assert row is not None
    assert row.cl_ord_id == f"{1:032x}"


class Late(Store):
    """Is told to be late: then it says that the disk does not answer, and has written the first document alone."""

    is_late = has_written = False

    def put_all(self, documents: Mapping[str, Any]) -> None:
        if not (self.is_late and self.has_written):
            super().put_all(documents)
        self.has_written = self.is_late
        if self.is_late:
            raise StoreError("The disk does not answer.")


def late(directory: Path) -> tuple[Journal, Late]:
    """A journal, and the store that it writes."""
    stores: list[Late] = []

    def open_store(path: Path, **how: Any) -> Store:
        stores.append(Late(path, **how))
        return stores[-1]

    return Journal(JournalFile(directory, open_store), wall=lambda: 1.0), stores[0]


def test_what_was_given_up_and_written_late_is_never_sent_and_its_id_may_be_used_again(tmp_path: Path) -> None:
    """Its caller was told that it was not sent, and may have placed it again (promise G9)."""
    journal, store = late(tmp_path)
    for number in (1, 2):
        journal.intend(placement(number, "a", ORDERS[0]))
        store.is_late, store.has_written = True, False
        with pytest.raises(CallNotSent, match="could not be written down"):
            journal.write(f"{number:032x}")
        store.is_late = False
        assert f"{number:032x}" in read_documents(tmp_path / FILE_NAME)
        with pytest.raises(CallNotSent):
            journal.send(f"{number:032x}", 50.0)
    journal.plan(placement(3, "a", ORDERS[0]))
    for number in (1, 2):
        with pytest.raises(CallNotSent):
            journal.send(f"{number:032x}", 50.0)
    journal.send(f"{3:032x}", 50.0)
    assert [row.cl_ord_id for row in journal.rows(S.SENT)] == [f"{3:032x}"]
    journal.close()
    journal = Journal(JournalFile(tmp_path), wall=lambda: 2.0)
    found = journal.find("MASTER", "a")
    assert found is not None
    assert (found.cl_ord_id, found.state) == (f"{3:032x}", S.UNKNOWN)
    journal.close()


def test_what_the_lane_has_written_late_and_did_not_send_is_known_as_not_sent(tmp_path: Path) -> None:
    """In this run and the next: else nobody would look it up here, and there it would hold up its pair."""
    journal, store = late(tmp_path)
    journal.intend(placement(1, "a", ORDERS[0]))
    store.is_late = True
    with pytest.raises(CallNotSent, match="could not be written down"):
        journal.send(f"{1:032x}", 50.0)
    with pytest.raises(CallNotSent, match="could not be written down"):
        journal.write(f"{1:032x}")
    assert read_documents(tmp_path / FILE_NAME)[f"{1:032x}"]["state"] == "sent"
    journal.note(f"{1:032x}", N.NOT_SENT, may_repeat=True)  # the lane's answer
    with pytest.raises(StoreError):
        journal.save()
    store.is_late = False
    journal.close()
    for _ in range(2):
        journal = Journal(JournalFile(tmp_path), wall=lambda: 2.0)
        found = journal.find("MASTER", "a")
        assert found is not None
        assert (found.state, found.may_repeat) == (S.NOT_PLACED, True)
        journal.close()
    journal = Journal(JournalFile(tmp_path), wall=lambda: 3.0)
    journal.plan(placement(2, "a", ORDERS[0]))
    journal.close()


def test_whoever_waits_for_the_lane_to_write_is_told_when_it_has(tmp_path: Path) -> None:
    """And is told at once when another waits for its turn already: the lane is busy."""
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    journal.intend(placement(1, "a", ORDERS[0]))
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(journal.write, f"{1:032x}", PATIENCE)
        journal.send(f"{1:032x}", 50.0)
        writing.result(PATIENCE)
    for number in (2, 3):
        journal.plan(placement(number, f"id{number}", ORDERS[0]))
    journal.intend(placement(4, "b", ORDERS[0]))
    journal.write(f"{4:032x}", math.inf)
    assert f"{4:032x}" in read_documents(tmp_path / FILE_NAME)
    journal.close()


def test_what_cannot_be_written_is_not_sent(tmp_path: Path) -> None:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    journal.plan(placement(1, "a", ORDERS[0]))
    journal.close()
    with pytest.raises(CallNotSent):
        journal.plan(placement(2, "b", ORDERS[0]))
    with pytest.raises(CallNotSent):
        journal.send(f"{1:032x}", 50.0)
    assert journal.find("MASTER", "b") is None


def test_an_id_is_remembered_for_30_days_and_what_is_open_for_ever(tmp_path: Path) -> None:
    now = [0.0]
    journal = Journal(JournalFile(tmp_path), wall=lambda: now[0])
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
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    assert journal.damage is not None
    with pytest.raises(CallNotSent, match="damaged"):
        journal.plan(placement(1, "a", ORDERS[0]))
    journal.close()
    assert any("damaged" in name for name in os.listdir(tmp_path))


def finish(journal: Journal, number: int, *txids: str) -> None:
    journal.send(f"{number:032x}", 50.0)
    journal.note(f"{number:032x}", N.ACCEPTED, txids=txids)
    journal.note(f"{number:032x}", N.FOUND_CANCELED)
    journal.save()


def test_what_is_over_is_found_by_each_of_its_names_and_only_by_its_account(tmp_path: Path) -> None:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    journal.plan(placement(1, "a", ORDERS[0]))
    finish(journal, 1, "TX1", "TX2")
    journal.plan(placement(2, "TX1", ORDERS[1]))
    finish(journal, 2, "TX3")
    assert journal.rows() == []
    found = {name: journal.find("MASTER", name) for name in ("a", f"{1:032x}", "TX2", "TX1", "TX3", "generation", "b")}
    numbers = {name: row and int(row.cl_ord_id, 16) for name, row in found.items()}
    assert numbers == {"a": 1, f"{1:032x}": 1, "TX2": 1, "TX1": 2, "TX3": 2, "generation": None, "b": None}
    assert all(journal.find("ALICE", name) is None for name in found)
    journal.close()


def test_a_clients_orders_are_found_by_its_names_and_by_no_others(tmp_path: Path) -> None:
    now = [0.0]
    journal = Journal(JournalFile(tmp_path), wall=lambda: now[0])
    marked = Order("XBTUSD", "buy", "limit", "1", "30000", userref=-7)
    for number, client, name, order in (
        (1, "MASTER.a", "x", ORDERS[0]), (2, "MASTER.b", "x", ORDERS[0]), (3, "MASTER.a", "x", ORDERS[1]),
        (4, "MASTER.a", None, marked), (5, None, None, marked),
    ):  # fmt: skip
        row = placement(number, f"id {number}".replace(" ", "-"), order)
        journal.plan(replace(row, client=client, client_id=name))
        if number != 3:
            finish(journal, number, f"TX{number}")

    def numbers(client: str | None, param: str, value: str | int) -> list[int]:
        return [int(row.cl_ord_id, 16) for row in journal.of_client("MASTER", client, param, value)]

    for _ in range(2):
        assert numbers("MASTER.a", "cl_ord_id", "x") == [3, 1]
        assert numbers("MASTER.b", "cl_ord_id", "x") == [2]
        assert (numbers("MASTER.a", "userref", -7), numbers(None, "userref", -7)) == ([4], [5])
        assert (numbers("MASTER.c", "cl_ord_id", "x"), numbers(None, "cl_ord_id", "x")) == ([], [])
        found = journal.find_all("MASTER", {"TX1": None, "TX4": None, "TX9": f"{3:032x}", "TX8": None})
        assert {txid: int(row.cl_ord_id, 16) for txid, row in found.items()} == {"TX1": 1, "TX4": 4, "TX9": 3}
        assert journal.find_all("ALICE", {"TX1": f"{1:032x}"}) == {}
        journal.close()
        journal = Journal(JournalFile(tmp_path), wall=lambda: now[0])
    assert [row.id for row in journal.open_of_client("MASTER", "MASTER.a", "cl_ord_id", "x")] == []
    now[0] = 2 * REMEMBERED
    journal.forget()
    journal.close()
    assert set(read_documents(tmp_path / FILE_NAME)) == {"generation"}, "nothing of them is left behind"


def test_an_id_may_be_the_txid_of_another(tmp_path: Path) -> None:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    journal.plan(placement(1, "a", ORDERS[0]))
    finish(journal, 1, "TX1")
    journal.plan(placement(2, "TX1", ORDERS[1]))
    row = journal.find("MASTER", "TX1")
    assert row is not None
    assert (row.id, row.state) == ("TX1", S.PLANNED)
    journal.close()


def test_an_order_that_is_over_may_still_learn_amounts_and_stays_over_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    journal.plan(placement(1, "a", ORDERS[0]))
    finish(journal, 1, "TX1")
    journal.note(f"{1:032x}", N.FOUND_CANCELED, filled=Decimal("0.5"))
    row = journal.find("MASTER", "a")
    assert row is not None
    assert row.filled == Decimal("0.5"), "before it is saved"
    journal.close()
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    assert journal.find("MASTER", "TX1") == row
    journal.close()


def test_an_id_that_was_not_sent_is_planned_again_also_after_a_restart(tmp_path: Path) -> None:
    """Nothing of the first try is left in the file."""
    for number in (1, 2, 3):
        journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
        journal.plan(placement(number, "a", ORDERS[0]))
        with pytest.raises(ConfigError):
            journal.plan(placement(9, "a", ORDERS[0]))
        journal.note(f"{number:032x}", N.NOT_SENT, may_repeat=True)
        journal.close()
    documents = read_documents(tmp_path / FILE_NAME)
    assert {name for name in documents if f"{1:032x}" in name or f"{2:032x}" in name} == set()
    assert documents["id/MASTER/a"] == f"{3:032x}"


def test_an_id_leads_to_the_newest_placement_also_when_an_older_one_was_written_after_all(tmp_path: Path) -> None:
    """Its writing was given up, since the disk or the database did not answer, and so it was not sent."""
    rows = JournalFile(tmp_path)
    rows.begin(placement(1, "a", ORDERS[0]), None)
    newest = placement(2, "a", ORDERS[0])
    rows.begin(newest, None)
    rows.keep([newest.after(N.SENT, 2.0, deadline=50.0).after(N.ACCEPTED, 2.0, txids=("TX1",))])
    rows.close()
    for _ in range(2):
        journal = Journal(JournalFile(tmp_path), wall=lambda: 3.0)
        found = journal.find("MASTER", "a")
        assert (found.cl_ord_id, found.state) == (newest.cl_ord_id, S.PLACED)
        with pytest.raises(ConfigError):
            journal.plan(placement(3, "a", ORDERS[0], pair="XETHZUSD"))
        journal.close()


def test_a_damaged_row_of_the_past_is_never_an_id_that_is_free(tmp_path: Path) -> None:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    for number in (1, 2):
        journal.plan(placement(number, f"id{number}", ORDERS[0]))
        finish(journal, number, f"TX{number}")
    journal.close()
    with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as disk:
        disk.execute("UPDATE documents SET value = replace(value, '30000', '30001') WHERE key = ?", (f"{1:032x}",))
    journal = Journal(JournalFile(tmp_path), wall=lambda: 0.0)
    assert journal.obstacle is None, "it is only read when somebody asks for it"
    with pytest.raises(CallNotSent, match="cannot be read"):
        journal.plan(placement(3, "id1", ORDERS[0]))
    with pytest.raises(CallNotSent, match="cannot be read"):
        journal.find("MASTER", "id1")
    assert journal.find("MASTER", "id2") is not None
    journal.close()


@pytest.mark.parametrize("document", [f"live/{1:032x}", f"{1:032x}"])
def test_a_damaged_row_that_is_live_is_damage_at_the_start(tmp_path: Path, document: str) -> None:
    """Also when it is gone altogether."""
    for damage in ("UPDATE documents SET value = replace(value, '\"doc\": ', '\"doc\": 1') WHERE key = ?",
                   "DELETE FROM documents WHERE key = ? AND key NOT LIKE 'live%'"):  # fmt: skip
        directory = tmp_path / str(len(damage))
        directory.mkdir()
        journal = Journal(JournalFile(directory), wall=lambda: 0.0)
        journal.plan(placement(1, "a", ORDERS[0]))
        journal.send(f"{1:032x}", 50.0)
        journal.close()
        with contextlib.closing(sqlite3.connect(directory / FILE_NAME, isolation_level=None)) as disk:
            changed = disk.execute(damage, (document,)).rowcount
        journal = Journal(JournalFile(directory), wall=lambda: 0.0)
        assert (journal.obstacle is not None) == (journal.damage is not None) == (changed == 1)
        journal.close()


def test_many_are_forgotten_a_few_at_a_time_and_what_is_looked_at_again_is_kept(tmp_path: Path) -> None:
    now = [0.0]
    journal = Journal(JournalFile(tmp_path), wall=lambda: now[0])
    for number in range(1, 3 * FORGET_AT_MOST // 2):
        journal.plan(placement(number, f"id{number}", ORDERS[0], named=number % 2 == 0))
        journal.note(f"{number:032x}", N.NOT_SENT)
    journal.save()
    now[0] = REMEMBERED + 1000.0
    looks = 0
    while any(journal.row(f"{number:032x}") for number in range(1, 3 * FORGET_AT_MOST // 2)):
        journal.forget()
        looks += 1
    assert looks == 2
    journal.close()
    assert set(read_documents(tmp_path / FILE_NAME)) == {"generation"}
