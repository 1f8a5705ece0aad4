"""Which placements an edit may concern is written down before it goes out (promise G9)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.actors.backing.journal_file import JournalFile
from engine.actors.order.edits import Edits
from engine.actors.order.journal import Journal
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent
from tests.actors.order.test_journal import ORDERS, placement


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(JournalFile(tmp_path), wall=lambda: 1000.0)
    for number, name, pair in ((1, "x", "XXBTZUSD"), (2, "y", "XETHZUSD")):
        row = placement(number, name, ORDERS[0], pair=pair)
        journal.plan(row)
        journal.send(row.cl_ord_id, 1010.0)
        journal.note(row.cl_ord_id, OrderEvent.ACCEPTED, txids=(f"O{name.upper()}",))
    yield journal
    journal.close()


def row(journal: Journal, name: str) -> Placement:
    found = journal.find("MASTER", name)
    assert found is not None
    return found


def test_an_edit_is_written_down_with_the_placement_that_has_its_order(journal: Journal, tmp_path: Path) -> None:
    Edits(journal, journal.save).comes("MASTER", "OX")
    assert (row(journal, "x").edits, row(journal, "y").edits) == (("OX",), ())
    journal.close()
    again = Journal(JournalFile(tmp_path), wall=lambda: 1000.0)
    assert row(again, "x").edits == ("OX",)
    again.close()


def test_an_edit_of_an_order_of_nobody_concerns_those_only_that_may_have_it(journal: Journal) -> None:
    edits = Edits(journal, journal.save)
    edits.comes("MASTER", "OTHER")
    assert (row(journal, "x").edits, row(journal, "y").edits) == ((), ())
    edits.comes("MASTER", "OX")
    edits.comes("MASTER", "OTHER")
    assert (row(journal, "x").edits, row(journal, "y").edits) == (("OX", "OTHER"), ())
    edits.comes("SUB", "OX")
    assert row(journal, "x").edits == ("OX", "OTHER"), "of another account"


@pytest.mark.parametrize("what", ["unknown", "looked at once more"])
def test_it_may_be_the_order_of_one_that_is_not_settled_or_may_have_been_replaced(journal: Journal, what: str) -> None:
    name = row(journal, "y").cl_ord_id
    if what == "unknown":
        other = placement(3, "z", ORDERS[0], pair="XLTCZUSD")
        journal.plan(other)
        journal.send(other.cl_ord_id, 1010.0)
        journal.note(other.cl_ord_id, OrderEvent.NO_ANSWER)
        name = other.cl_ord_id
    else:
        journal.note(name, OrderEvent.FOUND_CANCELED, recheck=True)
    Edits(journal, journal.save).comes("MASTER", "OTHER")
    found = journal.row(name)
    assert found is not None
    assert found.edits == ("OTHER",)
    assert row(journal, "x").edits == ()


def test_an_edit_that_failed_is_taken_back_once(journal: Journal) -> None:
    edits = Edits(journal, journal.save)
    edits.comes("MASTER", "OX")
    edits.comes("MASTER", "OX")
    edits.failed("MASTER", "OX")
    assert row(journal, "x").edits == ("OX",)
    edits.failed("SUB", "OX")
    edits.failed("MASTER", "OY")
    assert row(journal, "x").edits == ("OX",)
    edits.failed("MASTER", "OX")
    assert row(journal, "x").edits == ()
