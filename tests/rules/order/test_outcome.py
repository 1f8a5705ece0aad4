"""What rows of Kraken's mean for a placement: amounts are final only with a row that carries them (promise G9)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from engine.kraken.drift import unnoted
from engine.rules.order.found import Found, read_order
from engine.rules.order.order import Order
from engine.rules.order.outcome import outcome
from engine.rules.order.placement import Part, Placement
from engine.rules.order.replacement import Replacement, successor
from engine.rules.order.states import OrderEvent, OrderState

ORDER = Order("XBTUSD", "buy", "limit", "0.5", "30000")
DESCR = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000.0", "price2": "0"}
PLACED = Placement(
    account="MASTER", id="a", cl_ord_id="1" * 32, key_id="k", order=ORDER, fitted=ORDER, pair="XBT/USD", params={},
    reserved=("ZUSD", Decimal(1)), times={"planned": 1.0}, state=OrderState.PLACED, txids=("A",),
)  # fmt: skip
S, E = OrderState, OrderEvent


def found(status: str = "open", filled: str | None = "0", **more: Any) -> Found:
    cost = None if filled is None else str(Decimal(filled) * 30000)
    row = {"status": status, "vol_exec": filled, "cost": cost, "fee": "0.1", "vol": "0.5", "descr": DESCR}
    return read_order("A", {**row, **more}, unnoted)


def after(row: Placement, *orders: Found, read: dict[str, Found] | None = None) -> Placement:
    event, changes = outcome(row, orders, read or {})
    return row.after(event, 2.0, **changes)


@pytest.mark.parametrize(
    ("order", "state", "is_final"),
    [
        (found(), S.PLACED, False),
        (found("canceled"), S.CANCELED, True),
        (found("expired", "0.2"), S.CANCELED, True),
        (found("closed", "0.5"), S.CLOSED, True),
        (found("canceled", None), S.CANCELED, False),
        (found("canceled", "0.2", cost=None), S.CANCELED, False),
        (found("canceled", "0.2", cost=None, price="30000"), S.CANCELED, True),
        (found("canceled", "0.2", fee=None), S.CANCELED, True),
        (found("closed", "0"), S.CLOSED, False),
        (found("closed", None), S.CLOSED, False),
    ],
)
def test_a_row_is_final_when_it_is_over_and_carries_its_amounts(
    order: Found, state: OrderState, is_final: bool
) -> None:
    row = after(PLACED, order)
    assert (row.state, row.is_final, row.receipt.is_final) == (state, is_final, is_final)
    assert row.is_reserving == (state is not S.PLACED and not is_final)
    assert row.receipt.to_dict()["is_final"] is is_final


def test_less_than_was_told_before_is_the_row_of_a_moment_ago() -> None:
    row = after(after(PLACED, found("open", "0.3")), found("canceled", "0.2"))
    assert (row.filled, row.cost, row.state, row.is_final) == (Decimal("0.3"), 9000, S.CANCELED, False)
    assert after(row, found("canceled", "0.3")).is_final


def test_a_canceled_order_is_looked_at_until_two_looks_have_told_the_same() -> None:
    first = after(PLACED, found("canceled", "0"))
    assert (first.recheck, first.is_live) == (True, True)
    assert not after(first, found("canceled", "0")).is_live
    second = after(first, found("canceled", "0.2"))
    assert (second.filled, second.recheck) == (Decimal("0.2"), True)
    closed = after(first, found("closed", "0.5"))
    assert (closed.state, closed.filled, closed.is_live) == (S.CLOSED, Decimal("0.5"), False)


def test_what_kraken_said_of_a_cancel_is_no_witness() -> None:
    said = PLACED.after(E.SAID_CANCELED, 2.0, amounts_known=False)
    assert (said.state, said.is_final, said.is_reserving, said.is_live) == (S.CANCELED, False, True, True)
    assert after(said, found("open", "0.1")).state is S.PLACED
    assert after(said, found("canceled", "0.1")).is_final


def test_an_edited_order_is_the_sum_of_its_orders() -> None:
    edited = replace(PLACED, txids=("B",), former={"A": None}, filled=Decimal("0.1"), cost=Decimal(3000))
    new = replace(found("canceled", "0.2"), txid="B")
    waiting = after(edited, new)
    assert (waiting.is_final, waiting.unread, waiting.filled) == (False, ("A",), Decimal("0.2"))
    row = after(edited, new, read={"A": found("canceled", "0.1")})
    assert (row.filled, row.cost, row.is_final, row.unread) == (Decimal("0.3"), 9000, True, ())
    assert row.former == {"A": Part(Decimal("0.1"), Decimal(3000), Decimal("0.1"))}
    assert after(edited, new, read={"A": found("open", "0.1")}).unread == ("A",), "it may still be filled"
    assert row.names == (PLACED.cl_ord_id, "B", "A")


@pytest.mark.parametrize(
    ("more", "sent"),
    [
        ({"vol": "0.7"}, replace(ORDER, volume=Decimal("0.7"))),
        ({"descr": {**DESCR, "price": "31000.0"}}, replace(ORDER, price=Decimal(31000))),
        ({"descr": {**DESCR, "price": "+5%"}}, ORDER),
        ({"descr": None, "vol": "n/a"}, ORDER),
    ],
)
def test_the_receipt_shows_what_is_open(more: dict[str, Any], sent: Order) -> None:
    row = after(PLACED, found(**more))
    assert (row.receipt.sent, row.receipt.order) == (sent, ORDER)


@pytest.mark.parametrize("former", [{}, {"B": None}, {"B": Part(Decimal(1), Decimal(2), Decimal(3))}])
def test_a_row_is_written_and_read_without_loss_and_an_old_one_is_readable(former: dict[str, Part | None]) -> None:
    row = replace(PLACED, former=former, cancel_wanted=True, amounts_known=False, recheck=True, owner="o")
    document = row.to_dict()
    assert Placement.from_dict(document) == row
    for name in ("former", "cancel_wanted", "amounts_known", "recheck", "owner"):
        del document[name]
    assert Placement.from_dict(document) == PLACED


OPENED = {"descr": DESCR, "opentm": Decimal("100.5"), "cl_ord_id": None}


@pytest.mark.parametrize(
    ("listing", "new"),
    [
        ({"B": OPENED}, "B"),
        ({"B": {**OPENED, "opentm": 99.5}}, "B"),
        ({"B": {**OPENED, "opentm": 101.2}}, None),
        ({"B": {**OPENED, "cl_ord_id": "x"}}, None),
        ({"B": {**OPENED, "descr": {**DESCR, "type": "sell"}}}, None),
        ({"B": {**OPENED, "descr": {**DESCR, "ordertype": "market"}}}, None),
        ({"B": {**OPENED, "descr": {**DESCR, "pair": "ETHUSD"}}}, None),
        ({"B": {**OPENED, "refid": "C"}}, None),
        ({"B": OPENED, "C": OPENED}, None),
        ({"B": OPENED, "C": {**OPENED, "refid": "A"}}, "C"),
        ({"KNOWN": OPENED}, None),
        ({"B": {}}, None),
        ({}, None),
    ],
)
def test_an_edit_made_elsewhere_is_told_from_what_opened_when_the_order_ended(listing: Any, new: str | None) -> None:
    known = "KNOWN".__eq__
    assert successor(ORDER, found("canceled", closetm=100.1), listing, known) == new
    assert successor(ORDER, found("closed", "0.5", closetm=100.1), listing, known) is None
    assert successor(ORDER, found("canceled"), {"B": OPENED}, known) is None


@pytest.mark.parametrize(
    ("result", "read"),
    [
        ({"txid": "B", "originaltxid": "A", "price": "31000.0"}, Replacement("A", "B", None, Decimal(31000))),
        ({"txid": ["B"]}, Replacement("A", "B", None, Decimal(30500))),
        ({"status": "ok", "originaltxid": "A"}, None),
        ({"txid": "A", "originaltxid": "A"}, None),
        ({"txid": 7}, None),
        (None, None),
        ([], None),
    ],
)
def test_the_answer_of_an_edit_names_the_new_order(result: Any, read: Replacement | None) -> None:
    assert Replacement.of({"txid": "A", "price": "30500"}, result) == read
