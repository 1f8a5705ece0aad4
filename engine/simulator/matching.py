"""Matching rules: the outcome of an order at a price. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from engine.simulator.book_order import BookOrder
from engine.simulator.order_factory import trailing_trigger
from engine.simulator.prices import Quote

_NOBODY_THERE = "Immediate or cancel"
_MAY_NOT_REST = {"IOC": "Immediate or cancel", "FOK": "Fill or kill"}


class Deal(NamedTuple):
    """At which price an order trades, and whether it rested until then."""

    price: Decimal
    maker: bool


def meeting(order: BookOrder, quote: Quote, *, arrives: bool) -> Deal | str | None:
    """The outcome: a deal, the reason for its cancellation, or `None` if it rests.

    An arriving order trades at the book's price, a resting one at its own.
    """
    if order.price is None:
        best = touch(order.side, quote)
        return Deal(best, maker=False) if best else _NOBODY_THERE
    if not crosses(order, quote):
        return _MAY_NOT_REST.get(order.time_in_force)
    if not arrives:
        return Deal(order.price, maker=True)
    return "Post only order" if order.is_post_only else Deal(touch(order.side, quote), maker=False)


def touch(side: str, quote: Quote) -> Decimal:
    """The best price that a new order of this side finds; 0 where that side of the book is empty."""
    return quote.ask if side == "buy" else quote.bid


def crosses(order: BookOrder, quote: Quote) -> bool:
    """Whether the price is as good as the order's limit, or better."""
    best = touch(order.side, quote)
    if not best:
        return False
    return order.price is None or (best <= order.price if order.side == "buy" else best >= order.price)


def is_reached(order: BookOrder, quote: Quote) -> bool:
    """Whether the last price has reached the order's trigger."""
    if order.trigger is None:
        return True
    rises = (order.side == "buy") != order.kind.startswith("take-profit")
    return quote.last >= order.trigger if rises else quote.last <= order.trigger


def followed(order: BookOrder, quote: Quote) -> Decimal | None:
    """The order's trigger at this price: that of a trailing order follows the price, and never goes back."""
    if order.trails is None or order.trigger is None:
        return order.trigger
    here = trailing_trigger(order, quote.last)
    return max(order.trigger, here) if order.side == "sell" else min(order.trigger, here)
