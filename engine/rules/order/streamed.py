"""What Kraken's stream means for a placement (promise G9): only what it says, never what it does not say.

An order that the stream tells of is there, so it settles a placement that is *sent* or *unknown*, also before the
answer to its call. A placement that is over stays so. What was filled is taken in as the stream adds it up; the amounts
of an order that is over are final only with a row of Kraken's lists. An order that the stream calls canceled may have
been edited, and then it goes on under another name: unless it was to be canceled here, the lists are asked first.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from engine.kraken.stream import Execution
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent, OrderState
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StreamNews:
    """What to take in of a placement."""

    event: OrderEvent
    changes: dict[str, Any]
    exec_id: str | None = None
    """Kraken's name of the trade, where what is new of the amounts is exactly that one."""


def merged(before: Execution | None, row: Execution) -> Execution:
    """What is known of an order after one more row: a row tells only what has changed, and a trade only its own."""
    told = {each.name: value for each in fields(row) if (value := getattr(row, each.name)) is not None}
    return row if before is None else replace(before, **{"exec_id": None, "last": None, "fee": None, **told})


def is_of(row: Placement, told: Execution) -> bool:
    """Whether the order is that of the placement."""
    return told.txid in row.txids or (not row.txids and name_of(told) == row.cl_ord_id)


def name_of(told: Execution) -> str | None:
    """The `cl_ord_id` as the journal writes it: Kraken may put dashes in."""
    return None if told.cl_ord_id is None else told.cl_ord_id.replace("-", "").lower()


def news(row: Placement, told: Execution) -> StreamNews | None:
    """What the stream has told of a placement; `None`: nothing that is to be taken in without a look at the lists."""
    if row.state is OrderState.PLANNED or row.state.is_over or row.former:
        return None
    event = {"filled": OrderEvent.FOUND_CLOSED, "canceled": OrderEvent.FOUND_CANCELED,
             "expired": OrderEvent.FOUND_CANCELED}.get(told.state or "", OrderEvent.FOUND_OPEN)  # fmt: skip
    if event is OrderEvent.FOUND_CANCELED and row.state is OrderState.PLACED and row.may_be_edited:
        return None
    amounts, exec_id = _amounts(row, told)
    changes: dict[str, Any] = {"txids": row.txids or (told.txid,), **amounts}
    if event is not OrderEvent.FOUND_OPEN:
        changes |= {"amounts_known": False, "reason": told.reason}
    return StreamNews(event, changes, exec_id)


def _amounts(row: Placement, told: Execution) -> tuple[dict[str, Any], str | None]:
    """More that was traded, with the trade's name. The fee of a trade that was not heard of is left to the lists."""
    if told.filled is None or told.cost is None or told.filled <= row.filled:
        return {}, None
    is_this = told.last is not None and told.filled - row.filled == told.last
    fee = row.fee + told.fee if is_this and told.fee is not None else row.fee
    return {"filled": told.filled, "cost": max(told.cost, row.cost), "fee": fee}, told.exec_id if is_this else None
