"""An order that Kraken gives a new identity: an edit cancels it and places another one in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.kraken.pair_names import market_key
from engine.rules.order.found import Found
from engine.rules.order.order import Order
from engine.rules.order.states import OrderEvent
from engine.values.dataclass import dataclass

AT_ONCE = Decimal(1)
"""Seconds between the end of an order and the opening of the one that replaced it."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """What EditOrder answered: the order's name before and now, and what it is for, as far as that was told."""

    old: str
    new: str
    volume: Decimal | None = None
    price: Decimal | None = None
    price2: Decimal | None = None

    @classmethod
    def of(cls, params: Mapping[str, Any], result: Any) -> Replacement | None:
        """Read a good reply of EditOrder; `None` where it names no new order, as one that only validates does."""
        if not isinstance(result, Mapping):
            return None
        old, new = result.get("originaltxid") or params.get("txid"), result.get("txid")
        new = new[0] if isinstance(new, list) and len(new) == 1 else new
        if not isinstance(old, str) or not isinstance(new, str) or not new or old == new:
            return None
        amounts = [_amount(result.get(name) or params.get(name)) for name in ("volume", "price", "price2")]
        return cls(old, new, *amounts)


def successor(
    order: Order, gone: Found, others: Mapping[str, Mapping[str, Any]], is_known: Callable[[str], bool]
) -> str | None:
    """The order that replaced one which was canceled without a wish of ours: its txid, `None` where none is sure.

    That is how an edit looks that was made elsewhere, such as on Kraken's web page. The new order names the old one as
    its `refid`; or it is the only one without a name that was opened when the other was canceled, on that market, that
    side and of that type. `others`: the orders, open or over, among which it must be. `is_known`: whether an order
    belongs to a placement already.
    """
    if gone.event is not OrderEvent.FOUND_CANCELED:
        return None
    free = {txid: row for txid, row in others.items() if not row.get("cl_ord_id") and not is_known(txid)}
    named = [txid for txid, row in free.items() if row.get("refid") == gone.txid]
    alike = named or [txid for txid, row in free.items() if _fits(order, gone, row)]
    return alike[0] if len(alike) == 1 else None


def _fits(order: Order, gone: Found, row: Mapping[str, Any]) -> bool:
    descr, opened = row.get("descr"), _amount(row.get("opentm"))
    if gone.closed is None or opened is None or not isinstance(descr, Mapping):
        return False
    if row.get("refid") or row.get("userref"):  # the close of an order, or one with a number of its own
        return False
    is_alike = (descr.get("type"), descr.get("ordertype")) == (order.side, order.type)
    same_market = market_key(str(descr.get("pair"))) == market_key(order.pair)
    return is_alike and same_market and abs(opened - gone.closed) <= AT_ONCE


def _amount(value: Any) -> Decimal | None:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and amount > 0 else None
