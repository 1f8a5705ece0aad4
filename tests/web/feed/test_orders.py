"""The page's list of orders: none that is unknown is hidden, none that is over stays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, cast

from engine import Engine, Order, OrderChanged, OrderReceipt, OrderState
from engine.errors import EngineStopped
from engine.web.feed.orders import KEPT, OpenOrders

ORDER = Order("XBTUSD", "buy", "limit", "0.01", "30000")


def receipt(name: str, state: OrderState, account: str = "MASTER") -> OrderReceipt:
    return OrderReceipt(name, account, ORDER, state)


def tell(orders: OpenOrders, told: OrderReceipt) -> None:
    orders(OrderChanged(told.account, told))


@dataclass
class Asked:
    """An engine with some open orders; while it is asked for them, events arrive."""

    open: dict[str, tuple[OrderReceipt, ...]]
    meanwhile: Any = None

    def status(self) -> Any:
        return SimpleNamespace(accounts=[SimpleNamespace(account=name) for name in (*self.open, "GONE")])

    def open_orders(self, account: str) -> tuple[OrderReceipt, ...]:
        if account not in self.open:
            raise EngineStopped("It is gone.")
        if self.meanwhile is not None:
            self.meanwhile()
        return self.open[account]


def learn(orders: OpenOrders, engine: Asked) -> None:
    orders.learn(cast(Engine, engine))


def test_500_open_orders_hide_no_unknown_one() -> None:
    orders = OpenOrders()
    tell(orders, receipt("early", OrderState.UNKNOWN))
    for number in range(KEPT + 100):
        tell(orders, receipt(f"open {number}", OrderState.PLACED))
    tell(orders, receipt("late", OrderState.UNKNOWN))
    assert orders.since().keys() == {("MASTER", "early"), ("MASTER", "late")}
    tell(orders, receipt("at last", OrderState.SENT, "ALICE"))
    told = orders.receipts()
    assert {each.id for each in told[:3]} == {"early", "late", "at last"}
    assert orders.unsettled() == {"MASTER": 2, "ALICE": 1}
    assert {each.id for each in told[3:]} == {f"open {number}" for number in range(100, KEPT + 100)}, "the newest"


def test_an_unknown_order_that_turns_out_open_makes_room() -> None:
    orders = OpenOrders()
    for number in range(KEPT + 1):
        tell(orders, receipt(f"{number}", OrderState.UNKNOWN))
    assert len(orders.receipts()) == KEPT + 1
    for number in range(KEPT + 1):
        tell(orders, receipt(f"{number}", OrderState.PLACED))
    assert orders.since() == {}
    assert {each.id for each in orders.receipts()} == {f"{number}" for number in range(1, KEPT + 1)}


def test_an_order_that_ends_while_the_engine_is_asked_does_not_stay_open() -> None:
    """The answer was made before the order ended, and is read after the event that says so."""
    orders = OpenOrders()
    left = receipt("left", OrderState.PLACED)
    ends = receipt("ends", OrderState.PLACED)

    def meanwhile() -> None:
        tell(orders, replace(ends, state=OrderState.CLOSED))

    learn(orders, Asked({"MASTER": (left, ends), "ALICE": ()}, meanwhile))
    assert orders.receipts() == [left]


def test_what_an_event_told_while_the_engine_was_asked_is_newer() -> None:
    orders = OpenOrders()
    was, now = receipt("x", OrderState.UNKNOWN), receipt("x", OrderState.PLACED)
    learn(orders, Asked({"MASTER": (was,)}, lambda: tell(orders, now)))
    assert orders.receipts() == [now]


def test_what_was_told_before_the_question_is_older() -> None:
    orders = OpenOrders()
    tell(orders, receipt("x", OrderState.UNKNOWN))
    learn(orders, Asked({"MASTER": (receipt("x", OrderState.PLACED),)}))
    learn(orders, Asked({"MASTER": (receipt("y", OrderState.PLACED),)}))
    assert [(each.id, each.state) for each in orders.receipts()] == [
        ("x", OrderState.PLACED), ("y", OrderState.PLACED)
    ]  # fmt: skip
