"""What may have replaced an order that was canceled is looked for among the open orders and those that are over."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.errors import CallError, CallUnknown
from engine.rules.order.following import follow
from tests.rules.order.test_outcome import PLACED
from tests.rules.order.test_reconciliation import run

LOST = CallUnknown("No answer came.")
EMPTY = {"closed": {}, "count": 0}


def gone(closed: Any = Decimal("1000.5"), **more: Any) -> dict[str, Any]:
    times = {} if closed is None else {"closetm": closed}
    return {"status": "canceled", "vol_exec": "0", **times, **more}


def opened(*txids: str) -> dict[str, Any]:
    return {"open": {txid: {"status": "open", "vol_exec": "0"} for txid in txids}}


def test_what_was_opened_as_the_order_ended_is_asked_for_by_the_time_of_opening() -> None:
    over = {"closed": {"B": gone(opentm=Decimal("1000.6"))}, "count": 1}
    calls, look = run(follow(["A"], replaced=["A"]), opened("C"), {"A": gone()}, over)
    assert calls[2] == ("ClosedOrders", {"closetime": "open", "start": 998, "end": 1002, "ofs": 0})
    assert set(look.others) == {"C", "B"}
    assert set(look.searched) == {"A"}
    assert look.error is None


@pytest.mark.parametrize("row", [{**gone(), "status": "closed"}, {**gone(), "status": "open"}, {"vol_exec": "0"}])
def test_nothing_replaces_an_order_that_was_not_canceled(row: dict[str, Any]) -> None:
    calls, look = run(follow(["A"], replaced=["A"]), opened(), {"A": row})
    assert [endpoint for endpoint, _ in calls] == ["OpenOrders", "QueryOrders"]
    assert not look.searched


def test_nothing_is_looked_for_that_cannot_have_been_replaced() -> None:
    calls, look = run(follow(["A"]), opened("C"), {"A": gone()})
    assert len(calls) == 2
    assert set(look.others) == {"C"}
    assert not look.searched


@pytest.mark.parametrize(
    ("changes", "is_witness"),
    [
        ({}, (False, True, True)),
        ({"edits": ("A",)}, (False, False, True)),
        ({"edits": ("A",), "cancel_wanted": True}, (False, False, True)),
        ({"recheck": True}, (False, False, True)),
        ({"edits": ("B",), "cancel_wanted": True}, (True, True, True)),
        ({"cancel_wanted": True}, (True, True, True)),
    ],
)
def test_that_an_order_is_over_is_told_by_a_look_for_what_may_be_in_its_stead(
    changes: dict[str, Any], is_witness: tuple[bool, bool, bool]
) -> None:
    """Without the open orders; with all of them; and with those besides that are over."""
    placement = replace(PLACED, **changes)
    _, without = run(follow(["A"], replaced=["A"]), LOST, {"A": gone()})
    _, opened_only = run(follow(["A"]), opened("C"), {"A": gone()})
    _, whole = run(follow(["A"], replaced=["A"]), opened("C"), {"A": gone()}, EMPTY)
    assert tuple(look.is_witness(placement) for look in (without, opened_only, whole)) == is_witness


@pytest.mark.parametrize("status", ["open", "closed"])
def test_an_order_that_was_not_canceled_needs_no_other_witness(status: str) -> None:
    _, look = run(follow(["A"]), LOST, {"A": {**gone(), "status": status}})
    assert look.is_witness(replace(PLACED, edits=("A",), recheck=True))


ODD_ROW: dict[str, Any] = {"open": {"C": "odd"}}


@pytest.mark.parametrize("first", [LOST, {"open": "odd"}, ODD_ROW])
def test_without_all_of_the_open_orders_nothing_is_told_of_what_replaced_one(first: Any) -> None:
    calls, look = run(follow(["A"], replaced=["A"]), first, {"A": gone()})
    assert len(calls) == 2
    assert not look.searched
    assert (look.error is None) == (not isinstance(first, CallError))


@pytest.mark.parametrize("over", [LOST, {**EMPTY, "count": 2}, {"closed": {}}])
def test_without_all_of_those_that_are_over_neither(over: Any) -> None:
    _, look = run(follow(["A", "Z"], replaced=["A", "Z"]), opened(), {"A": gone(), "Z": gone(None)}, over)
    assert set(look.searched) == {"Z"}
    assert look.error is not None


def test_an_order_whose_end_is_not_told_has_its_successor_among_the_open_ones_alone() -> None:
    calls, look = run(follow(["A"], replaced=["A"]), opened(), {"A": gone(None)})
    assert len(calls) == 2
    assert set(look.searched) == {"A"}


def test_orders_that_ended_together_are_looked_for_in_one_list_and_later_ones_the_next_time() -> None:
    rows = {"A": gone(Decimal(1000)), "B": gone(Decimal(1060)), "C": gone(Decimal("1060.1"))}
    calls, look = run(follow(["C", "B", "A"], replaced=["C", "B", "A"]), opened(), rows, EMPTY)
    assert calls[2][1] == {"closetime": "open", "start": 998, "end": 1061, "ofs": 0}
    assert len(calls) == 3
    assert set(look.searched) == {"A", "B"}
