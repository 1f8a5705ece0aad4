"""What the rows of Kraken's lists mean for a placement that Kraken is known to have (promise G9).

An order's amounts are final only with a row that carries them and says that the order is over. What a later row tells
is taken in; less than was told before is the row of a moment ago, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from engine.errors import ConfigError
from engine.rules.order.found import Found, event_of, joined
from engine.rules.order.order import Order
from engine.rules.order.placement import NOTHING, Part, Placement
from engine.rules.order.states import OrderEvent


def outcome(row: Placement, current: Iterable[Found], read: Mapping[str, Found]) -> tuple[OrderEvent, dict[str, Any]]:
    """The event, and what it changes of the placement.

    current: the orders that it is now. read: orders by txid; those among them that an edit has replaced.
    """
    orders = list(current)
    event, told = event_of(orders), joined(orders)
    told["description"] = told["description"] or row.description
    former = {txid: part or _part_over(read.get(txid)) for txid, part in row.former.items()}
    amounts = _total(told, former)
    if amounts is not None and amounts.filled < row.filled:
        amounts = None
    told |= {"filled": row.filled, "cost": row.cost, "fee": row.fee, "former": former}
    if amounts is not None:
        told |= {"filled": amounts.filled, "cost": amounts.cost, "fee": amounts.fee}
    is_known = amounts is not None and None not in former.values() and _fits(event, amounts)
    told["amounts_known"] = is_known
    told["recheck"] = event is OrderEvent.FOUND_CANCELED and is_known and _is_news(row, amounts)
    if len(orders) == 1:
        told["fitted"] = changed(row.fitted, orders[0].volume, orders[0].price, orders[0].price2)
    return event, told


def outcome_of_search(row: Placement, found: Mapping[str, Found]) -> tuple[OrderEvent, dict[str, Any]]:
    """The same for orders that were found by their name, by txid.

    A canceled one that an edit of ours may have replaced is there, and no more is told: it is followed from here on.
    """
    event, told = outcome(row, found.values(), {})
    if event is OrderEvent.FOUND_CANCELED and replace(row, txids=told["txids"]).is_in_edit:
        return OrderEvent.FOUND_OPEN, told | {"recheck": False, "reason": None}
    return event, told


def changed(order: Order, volume: Decimal | None, price: Decimal | None, price2: Decimal | None) -> Order:
    """The order with what was amended; what is not told, or relative to the market, stays as it was."""
    changes: dict[str, Any] = {}
    if volume is not None and "viqc" not in order.flags:
        changes["volume"] = volume
    if price is not None and isinstance(order.price, Decimal):
        changes["price"] = price
    if price2 is not None and isinstance(order.price2, Decimal):
        changes["price2"] = price2
    if all(getattr(order, name) == value for name, value in changes.items()):
        return order
    try:
        return replace(order, **changes)
    except ConfigError:  # a row that tells what is not an order
        return order


def _part_over(order: Found | None) -> Part | None:
    """What was traded of an order that was replaced, once its row says that it is over."""
    if order is None or order.filled is None or order.event in (None, OrderEvent.FOUND_OPEN):
        return None
    return Part(order.filled, order.cost, order.fee)


def _total(told: Mapping[str, Any], former: Mapping[str, Part | None]) -> Part | None:
    if "filled" not in told:
        return None
    return sum((part or NOTHING for part in former.values()), Part(told["filled"], told["cost"], told["fee"]))


def _fits(event: OrderEvent, amounts: Part | None) -> bool:
    """Whether the amounts can be those of the end: an order that was filled to the end was filled."""
    return amounts is not None and (event is not OrderEvent.FOUND_CLOSED or amounts.filled > 0)


def _is_news(row: Placement, amounts: Part | None) -> bool:
    """Whether a canceled order is to be looked at once more: until two looks have told the same."""
    return not row.is_final or amounts is None or amounts.filled != row.filled
