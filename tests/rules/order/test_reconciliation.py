"""How it is found out what became of an order: which calls are made, and what their answers mean (promise G9)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import CallUnknown
from engine.rules.order.reconciliation import PAGE, Found, LookupSteps, event_of, follow, joined, look_up
from engine.rules.order.states import OrderEvent

NAME = "0123456789abcdef0123456789abcdef"
UUID = "01234567-89AB-cdef-0123-456789abcdef"


def row(status: str = "open", name: str | None = NAME, **more: Any) -> dict[str, Any]:
    return {"status": status, "cl_ord_id": name, "vol_exec": "0.5", "cost": "10", "fee": "0.1", **more}


def run(steps: LookupSteps, *answers: Any) -> tuple[list[tuple[str, dict[str, Any]]], Any]:
    """The calls that an steps makes when it gets these answers, and what it returns."""
    calls = [next(steps)]
    for answer in answers:
        try:
            calls.append(steps.send(answer))
        except StopIteration as end:
            return calls, end.value
    return calls, None


def closed(first: int, count: int, total: int, **named: Any) -> dict[str, Any]:
    rows = {f"O{number}": row("closed", None) for number in range(first, first + count)}
    return {"closed": {**rows, **named}, "count": total}


def test_open_orders_come_first_and_are_enough() -> None:
    calls, found = run(look_up(NAME, 10_000.0, thorough=True), {"open": {"A": row(name=UUID), "B": row(name=None)}})
    assert calls == [("OpenOrders", {"cl_ord_id": NAME})]
    assert found == {"A": Found("A", OrderEvent.FOUND_OPEN, Decimal("0.5"), Decimal(10), Decimal("0.1"), None, None)}


def test_every_page_of_the_closed_orders_is_read() -> None:
    pages = (closed(0, PAGE, 101), closed(PAGE, PAGE, 101), closed(0, 0, 101, X=row("canceled")))
    calls, found = run(look_up(NAME, 10_000.0, thorough=False), {"open": {}}, *pages)
    assert [params["ofs"] for endpoint, params in calls[1:]] == [0, 50, 100]
    assert {params["start"] for endpoint, params in calls[1:]} == {6400}
    assert found["X"].event is OrderEvent.FOUND_CANCELED


def test_a_trade_leads_to_an_order_that_no_list_shows() -> None:
    trades = {"trades": {"T1": {"ordertxid": "X"}, "T2": {"ordertxid": "Y"}}, "count": 2}
    answers: tuple[Any, ...] = ({"open": {}}, closed(0, 0, 0), trades, {"X": row("closed"), "Y": row("closed", None)})
    calls, found = run(look_up(NAME, 10_000.0, thorough=True), *answers)
    assert calls[2][0] == "TradesHistory"
    assert calls[3] == ("QueryOrders", {"txid": "X,Y"})
    assert set(found) == {"X"}


def test_absence_takes_all_the_lists() -> None:
    answers: tuple[Any, ...] = ({"open": {}}, closed(0, 1, 1), {"trades": {}, "count": 0})
    calls, found = run(look_up(NAME, 10_000.0, thorough=True), *answers)
    assert [endpoint for endpoint, _ in calls] == ["OpenOrders", "ClosedOrders", "TradesHistory"]
    assert found == {}


@pytest.mark.parametrize(
    "answers",
    [
        ({},),
        ({"open": []},),
        ({"open": {"A": "x"}},),
        ({"open": {"A": row("odd")}},),
        ({"open": {"A": row(vol_exec="NaN")}},),
        ({"open": {"A": row(vol_exec="x")}},),
        ({"open": {}}, {"closed": {}}),
        ({"open": {}}, closed(0, 50, 51), closed(0, 50, 51)),
        ({"open": {}}, closed(0, 0, 1)),
        ({"open": {}}, {"closed": {}, "count": True}),
    ],
)
def test_an_incomplete_answer_does_not_prove_absence(answers: tuple[Any, ...]) -> None:
    with pytest.raises(CallUnknown):
        run(look_up(NAME, 10_000.0, thorough=False), *answers)


def test_orders_that_are_no_longer_open_are_asked_for() -> None:
    names = [f"O{number}" for number in range(120)]
    calls, found = run(follow(names), {"open": {"O0": row(), "other": row()}}, {"O1": row("closed")}, {}, {})
    assert [endpoint for endpoint, _ in calls] == ["OpenOrders", "QueryOrders", "QueryOrders", "QueryOrders"]
    assert all(len(params["txid"].split(",")) <= PAGE for _, params in calls[1:])
    assert {txid: each.event for txid, each in found.items()} == {
        "O0": OrderEvent.FOUND_OPEN, "O1": OrderEvent.FOUND_CLOSED,
    }  # fmt: skip


def test_two_orders_of_one_placement_are_both_told_of() -> None:
    both = closed(0, 0, 2, A=row("closed"), B=row("canceled"))
    _, found = run(look_up(NAME, 0.0, thorough=False), {"open": {}}, both)
    assert event_of(found.values()) is OrderEvent.FOUND_CLOSED
    assert joined(found.values())["txids"] == ("A", "B")
    assert joined(found.values())["filled"] == 1
