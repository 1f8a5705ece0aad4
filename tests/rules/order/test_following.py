"""What may have replaced an order that was canceled is looked for among the open orders and those that are over."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import CallError, CallUnknown
from engine.rules.order.following import follow
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
