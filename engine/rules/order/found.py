"""An order as a row of Kraken's lists tells it. One odd detail of a row voids nothing else that it says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.kraken.drift import MISSING, ODD, Note, unnoted
from engine.rules.order.states import OrderEvent
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Found:
    """An order as Kraken's lists have it. `None`: the row does not tell, or not so that it can be read."""

    txid: str
    event: OrderEvent | None
    filled: Decimal | None
    """`None`: the row carries no amounts, and says nothing of `cost` and `fee` either."""
    cost: Decimal
    fee: Decimal
    reason: str | None
    description: str | None
    volume: Decimal | None = None
    """What the order is for now, and at which prices; they change when it is amended."""
    price: Decimal | None = None
    price2: Decimal | None = None
    closed: Decimal | None = None
    """When it ended, in Kraken's time."""


_EVENTS = {
    "pending": OrderEvent.FOUND_OPEN,
    "open": OrderEvent.FOUND_OPEN,
    "closed": OrderEvent.FOUND_CLOSED,
    "canceled": OrderEvent.FOUND_CANCELED,
    "expired": OrderEvent.FOUND_CANCELED,
}
_NONE = Decimal(0)


def read_order(txid: str, row: Mapping[str, Any], note: Note = unnoted) -> Found:
    """Read a row. Never raises; what is odd or missing of what it should tell is noted."""
    status = row.get("status")
    event = _EVENTS.get(status) if isinstance(status, str) else None
    if event is None:
        note("status", MISSING if status is None else ODD)
    filled, cost, fee = _amounts(row, note)
    told = row.get("descr")
    descr: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    reason = row.get("reason")
    return Found(
        txid, event, filled, cost, fee,
        reason=str(reason) if reason else "It expired." if status == "expired" else None,
        description=str(descr["order"]) if "order" in descr else None,
        volume=_positive(row.get("vol")), price=_positive(descr.get("price")), price2=_positive(descr.get("price2")),
        closed=_positive(row.get("closetm")),
    )  # fmt: skip


def _amounts(row: Mapping[str, Any], note: Note) -> tuple[Decimal | None, Decimal, Decimal]:
    """What was filled, at which cost, and Kraken's fee.

    A cost that is not told is reckoned from the average price. A fee that is not told counts as none: an order must not
    stay open for it.
    """
    filled = _amount(row, "vol_exec", note)
    if filled is None or not filled:
        return filled, _NONE, _NONE
    cost, average = _amount(row, "cost", note), _positive(row.get("price"))
    if cost is None and average is not None:
        cost = filled * average
    if cost is None:
        return None, _NONE, _NONE
    return filled, cost, _amount(row, "fee", note) or _NONE


def _amount(row: Mapping[str, Any], name: str, note: Note) -> Decimal | None:
    if row.get(name) is None:
        note(name, MISSING)
        return None
    amount = _decimal(row[name])
    if amount is None:
        note(name, ODD)
    return amount


def _decimal(value: Any) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount >= 0 else None


def _positive(value: Any) -> Decimal | None:
    return (None if value is None else _decimal(value)) or None


def joined(found: Iterable[Found]) -> dict[str, Any]:
    """What several orders mean for their placement (there is one, if all is well), as the journal has it.

    Without `filled`, `cost` and `fee` where a row does not carry them.
    """
    orders = list(found)
    told: dict[str, Any] = {
        "txids": tuple(each.txid for each in orders),
        "description": next((each.description for each in orders if each.description), None),
        "reason": next((each.reason for each in orders if each.reason), None),
    }
    filled = [each.filled for each in orders if each.filled is not None]
    if len(filled) < len(orders):
        return told
    return told | {
        "filled": sum(filled, _NONE),
        "cost": sum((each.cost for each in orders), _NONE),
        "fee": sum((each.fee for each in orders), _NONE),
    }


def event_of(found: Iterable[Found]) -> OrderEvent:
    """Open while one of them is open; else closed when one was filled to the end.

    A row whose state is not understood is of an order that Kraken has, so it counts as open.
    """
    events = {each.event or OrderEvent.FOUND_OPEN for each in found}
    for each in (OrderEvent.FOUND_OPEN, OrderEvent.FOUND_CLOSED):
        if each in events:
            return each
    return OrderEvent.FOUND_CANCELED
