"""How it is found out what became of an order: which calls are made, and what their answers mean (promise G9)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import CallError, CallUnknown
from engine.rules.order.following import follow
from engine.rules.order.found import Found, event_of, joined
from engine.rules.order.lists import PAGE, LookupSteps
from engine.rules.order.order import Order
from engine.rules.order.own_name import KrakenName
from engine.rules.order.reconciliation import look_up
from engine.rules.order.states import OrderEvent

NAME = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32
LOST = CallUnknown("No answer came.")
OURS = KrakenName("cl_ord_id", NAME)
UUID = "01234567-89AB-cdef-0123-456789abcdef"


def row(status: str = "open", name: str | None = NAME, **more: Any) -> dict[str, Any]:
    return {"status": status, "cl_ord_id": name, "vol_exec": "0.5", "cost": "10", "fee": "0.1", **more}


EMPTY: dict[str, Any] = {
    "OpenOrders": {"open": {}}, "ClosedOrders": {"closed": {}, "count": 0}, "QueryOrders": {}, "QueryTrades": {},
    "TradesHistory": {"trades": {}, "count": 0}, "Ledgers": {"ledger": {}, "count": 0},
}  # fmt: skip


def run(steps: LookupSteps, *answers: Any) -> tuple[list[tuple[str, dict[str, Any]]], Any]:
    """The calls that a look makes when it gets these answers, and then lists without a row, and what it returns."""
    calls, left = [next(steps)], list(answers)
    while True:
        answer = left.pop(0) if left else EMPTY[calls[-1][0]]
        try:
            calls.append(steps.throw(answer) if isinstance(answer, CallError) else steps.send(answer))
        except StopIteration as end:
            return calls, end.value


def closed(first: int, count: int, total: int, **named: Any) -> dict[str, Any]:
    rows = {f"O{number}": row("closed", None) for number in range(first, first + count)}
    return {"closed": {**rows, **named}, "count": total}


def test_open_orders_come_first_and_are_enough() -> None:
    calls, found = run(look_up(OURS, 10_000.0, thorough=True), {"open": {"A": row(name=UUID), "B": row(name=None)}})
    assert calls == [("OpenOrders", {"cl_ord_id": NAME})]
    assert found == {"A": Found("A", OrderEvent.FOUND_OPEN, Decimal("0.5"), Decimal(10), Decimal("0.1"), None, None)}


def test_every_page_of_the_closed_orders_is_read() -> None:
    pages = (closed(0, PAGE, 101), closed(PAGE, PAGE, 101), closed(0, 0, 101, X=row("canceled")))
    calls, found = run(look_up(OURS, 10_000.0, thorough=False), {"open": {}}, *pages)
    assert [params["ofs"] for endpoint, params in calls[1:]] == [0, 50, 100]
    assert {params["start"] for endpoint, params in calls[1:]} == {6400}
    assert found["X"].event is OrderEvent.FOUND_CANCELED


def test_a_trade_leads_to_an_order_that_no_list_shows() -> None:
    trades = {"trades": {"T1": {"ordertxid": "X"}, "T2": {"ordertxid": "Y"}}, "count": 2}
    answers: Any = ({"open": {}}, closed(0, 0, 0), trades, {"X": row("closed"), "Y": row("closed", None)})
    calls, found = run(look_up(OURS, 10_000.0, thorough=True), *answers)
    assert calls[2][0] == "TradesHistory"
    assert calls[3] == ("QueryOrders", {"txid": "X,Y"})
    assert set(found) == {"X"}


def test_absence_takes_all_the_lists() -> None:
    others = {"closed": {"O0": row("closed", OTHER)}, "count": 1}
    answers: tuple[Any, ...] = ({"open": {}}, others, {"trades": {}, "count": 0})
    calls, found = run(look_up(OURS, 10_000.0, thorough=True), *answers)
    assert [endpoint for endpoint, _ in calls] == ["OpenOrders", "ClosedOrders", "TradesHistory"]
    assert found == {}


@pytest.mark.parametrize(
    "answers",
    [
        ({},),
        ({"open": []},),
        ({"open": {"A": "x"}},),
        ({"open": {"A": None}},),
        (LOST,),
        ({"open": {}}, LOST),
        ({"open": {}}, {"closed": {}}),
        ({"open": {}}, closed(0, 50, 51), closed(0, 50, 51)),
        ({"open": {}}, closed(0, 50, 51), LOST),
        ({"open": {}}, closed(0, 0, 1)),
        ({"open": {}}, {"closed": {}, "count": True}),
        ({"open": {}}, {"closed": {}, "count": "0"}),
        ({"open": {}}, {"closed": {"A": row("closed", OTHER)}, "count": 0}),
        ({"open": {}}, {"closed": {"A": None}, "count": 1}),
    ],
)
@pytest.mark.parametrize("thorough", [True, False])
def test_an_incomplete_answer_does_not_prove_absence(answers: tuple[Any, ...], thorough: bool) -> None:
    with pytest.raises(CallUnknown):
        run(look_up(OURS, 10_000.0, thorough=thorough), *answers)


@pytest.mark.parametrize(
    "trades",
    [
        LOST, {"trades": {}}, {"trades": {}, "count": 1}, {"trades": {"T": {}}, "count": 1},
        {"trades": {"T": 1}, "count": 1},
    ],
)
def test_trades_that_are_not_whole_are_looked_for_in_the_ledger(trades: Any) -> None:
    """Such a reply is no absence; an order that the ledger leads to is found all the same."""
    with pytest.raises(CallUnknown):
        run(look_up(OURS, 10_000.0, thorough=True), {"open": {}}, EMPTY["ClosedOrders"], trades)
    ledger = {"ledger": {"L1": {"refid": "T1"}, "L2": {"refid": "T1"}, "L3": {}}, "count": 3}
    found_by = (ledger, {"T1": {"ordertxid": "X"}}, {"X": row("closed")})
    answers: Any = ({"open": {}}, EMPTY["ClosedOrders"], trades, *found_by)
    calls, found = run(look_up(OURS, 10_000.0, thorough=True), *answers)
    assert calls[3:] == [
        ("Ledgers", {"type": "trade", "start": 6400, "ofs": 0}), ("QueryTrades", {"txid": "T1"}),
        ("QueryOrders", {"txid": "X"}),
    ]  # fmt: skip
    assert found["X"].filled == Decimal("0.5")


@pytest.mark.parametrize("count", [0, 2, 2346, None, "1", True, -1])
def test_a_row_with_our_name_settles_it_whatever_the_count(count: Any) -> None:
    calls, found = run(look_up(OURS, 10_000.0, thorough=True), LOST, {"closed": {"X": row("closed")}, "count": count})
    assert found["X"].event is OrderEvent.FOUND_CLOSED
    assert [endpoint for endpoint, _ in calls] == ["OpenOrders", "ClosedOrders"]


@pytest.mark.parametrize("odd", [{"status": "odd"}, {"status": None}, {"vol_exec": "NaN"}, {"vol_exec": "x"}])
def test_an_odd_detail_of_our_row_voids_nothing_else_of_it(odd: dict[str, Any]) -> None:
    notes: list[tuple[str, str, str]] = []
    noter = lambda endpoint: lambda field, what: notes.append((endpoint, field, what))  # noqa: E731
    _, found = run(look_up(OURS, 10_000.0, thorough=True, noter=noter), {"open": {"A": {**row(), **odd}}})
    assert event_of(found.values()) is OrderEvent.FOUND_OPEN
    assert found["A"].filled == (None if "vol_exec" in odd else Decimal("0.5"))
    assert [endpoint for endpoint, *_ in notes] == ["OpenOrders"]


DESCR = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000"}
LIKE = Order("BTC/USD", "buy", "limit", "0.01", "30000")


@pytest.mark.parametrize("where", ["OpenOrders", "ClosedOrders"])
def test_a_row_without_a_name_is_asked_for_and_is_doubt_while_it_has_none(where: str) -> None:
    def look(again: Any) -> Any:
        nameless = {"A": row(name=None, vol="0.01", descr=DESCR, opentm=10_000)}
        listed = {"closed": nameless, "count": 1}
        shown = ({"open": nameless},) if where == "OpenOrders" else (EMPTY["OpenOrders"], listed)
        return run(look_up(OURS, 10_000.0, thorough=True, like=LIKE), *shown, again)[1]

    assert set(look({"A": row()})) == {"A"}
    assert look({"A": row(name=OTHER)}) == {}
    for doubtful in ({}, LOST, {"A": row(name=None)}, {"A": row(name=None, vol="0.01", descr=DESCR)}):
        with pytest.raises(CallUnknown):
            look(doubtful)


@pytest.mark.parametrize(
    ("more", "is_doubt"),
    [
        ({}, True),
        ({"opentm": 10_000.0 - 179}, True),
        ({"opentm": 10_000.0 - 181}, False),
        ({"vol": "0.02"}, False),
        ({"descr": {**DESCR, "type": "sell"}}, False),
        ({"descr": {**DESCR, "ordertype": "market"}}, False),
        ({"descr": {**DESCR, "pair": "ETHUSD"}}, False),
        ({"descr": {**DESCR, "pair": "XXBTZUSD"}}, True),
        ({"cl_ord_id": OTHER}, False),
    ],
)
def test_a_traded_order_without_a_name_is_doubt_only_where_it_may_be_ours(more: dict[str, Any], is_doubt: bool) -> None:
    """Most accounts have orders without a name, which were placed by hand: they are no doubt."""
    order = {**row("closed", None, vol="0.01", descr=DESCR, opentm=10_000.0), **more}
    trades = {"trades": {"T": {"ordertxid": "Y"}}, "count": 1}
    answers = (EMPTY["OpenOrders"], EMPTY["ClosedOrders"], trades, {"Y": order})
    look = look_up(OURS, 10_000.0, thorough=True, like=LIKE)
    if is_doubt:
        with pytest.raises(CallUnknown):
            run(look, *answers)
    else:
        assert run(look, *answers)[1] == {}


def test_a_cheap_look_asks_for_open_orders_alone_and_says_nothing_about_the_others() -> None:
    calls, found = run(look_up(OURS, 10_000.0, thorough=False, open_only=True), EMPTY["OpenOrders"])
    assert ([endpoint for endpoint, _ in calls], found) == (["OpenOrders"], {})


def test_what_one_list_does_not_tell_another_does() -> None:
    closed_ = {"closed": {"A": row("canceled"), "B": row("closed")}, "count": 7}
    calls, look = run(follow(["A", "B"], since=10_000.0), LOST, LOST, closed_)
    assert calls[2] == ("ClosedOrders", {"start": 6400, "ofs": 0})
    assert {txid: each.event for txid, each in look.found.items()} == {
        "A": OrderEvent.FOUND_CANCELED, "B": OrderEvent.FOUND_CLOSED,
    }  # fmt: skip
    assert (look.error, look.others, look.searched) == (LOST, {}, frozenset())


@pytest.mark.parametrize("odd", [None, "text", 1, []])
def test_a_row_that_cannot_be_read_holds_up_no_other(odd: Any) -> None:
    _, look = run(follow(["A", "B"]), {"open": {"A": odd, "B": row()}}, {"A": odd})
    assert set(look.found) == {"B"}


def test_orders_that_are_no_longer_open_are_asked_for() -> None:
    names = [f"O{number}" for number in range(120)]
    calls, look = run(follow(names), {"open": {"O0": row(), "other": row()}}, {"O1": row("closed")}, {}, {})
    assert [endpoint for endpoint, _ in calls] == ["OpenOrders", "QueryOrders", "QueryOrders", "QueryOrders"]
    assert all(len(params["txid"].split(",")) <= PAGE for _, params in calls[1:])
    assert {txid: each.event for txid, each in look.found.items()} == {
        "O0": OrderEvent.FOUND_OPEN, "O1": OrderEvent.FOUND_CLOSED,
    }  # fmt: skip


def test_two_orders_of_one_placement_are_both_told_of() -> None:
    both = closed(0, 0, 2, A=row("closed"), B=row("canceled"))
    _, found = run(look_up(OURS, 0.0, thorough=False), {"open": {}}, both)
    assert event_of(found.values()) is OrderEvent.FOUND_CLOSED
    assert joined(found.values())["txids"] == ("A", "B")
    assert joined(found.values())["filled"] == 1
