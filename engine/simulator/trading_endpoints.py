"""The private endpoints that place, change and cancel orders."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from engine.simulator.customers import Customer
from engine.simulator.market import find_pair
from engine.simulator.parameters import Params, amount, require, text
from engine.simulator.refusal import Partly, Refused

FEWEST_IN_BATCH, BATCH_AT_MOST = 2, 15
CANCELS_AT_MOST = 50
LONGEST_TIMEOUT = 86_399  # seconds; Kraken's specification says below a day
_DEPTHS = ("0", "10", "25", "100", "250", "1000")
_UNREADABLE = "EGeneral:Invalid arguments"


def add_order(customer: Customer, params: Params) -> dict[str, Any]:
    """`AddOrder`."""
    return customer.orders.place(params)


def add_order_batch(customer: Customer, params: Params) -> dict[str, Any]:
    """`AddOrderBatch`: 2 to 15 orders on one pair. See `OrderEntry.place_batch` for what becomes of refused ones."""
    listed = params.get("orders")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Refused(_UNREADABLE)
    require(FEWEST_IN_BATCH <= len(listed) <= BATCH_AT_MOST, _UNREADABLE)
    common = {name: params[name] for name in ("pair", "deadline", "validate", "asset_class") if name in params}
    rows: list[Mapping[str, Any]] = [{**each, **common} for each in listed]
    try:
        return {"orders": customer.orders.place_batch(rows)}
    except Refused as refusal:
        raise Partly(str(refusal), None) from None  # all of it is refused: ``"result": null``


def amend_order(customer: Customer, params: Params) -> dict[str, str]:
    """`AmendOrder`."""
    return {"amend_id": customer.orders.amend(params)}


def edit_order(customer: Customer, params: Params) -> dict[str, Any]:
    """`EditOrder`."""
    return customer.orders.edit(params)


def cancel_order(customer: Customer, params: Params) -> dict[str, Any]:
    """`CancelOrder`."""
    return customer.orders.cancel(params)


def cancel_order_batch(customer: Customer, params: Params) -> dict[str, Any]:
    """`CancelOrderBatch`: up to 50 by txid, userref or `cl_ord_id`; those that are gone do not count."""
    names = [("txid", each) for each in _listed(params, "orders")]
    names += [("cl_ord_id", each) for each in _listed(params, "cl_ord_ids")]
    require(0 < len(names) <= CANCELS_AT_MOST, _UNREADABLE)
    count = 0
    for kind, name in names:
        with suppress(Refused):
            count += customer.orders.cancel({kind: str(name)}, of_batch=True)["count"]
    return {"count": count}


def cancel_all(customer: Customer, _: Params) -> dict[str, Any]:
    """`CancelAll`."""
    return customer.orders.cancel_all()


def cancel_all_after(customer: Customer, params: Params) -> dict[str, Any]:
    """`CancelAllOrdersAfter`: whole seconds, less than a day; 0 disarms it."""
    seconds = amount(text(params, "timeout"))
    if seconds is None or seconds < 0 or seconds != int(seconds):
        raise Refused("EGeneral:Invalid arguments:timeout")
    require(seconds <= LONGEST_TIMEOUT, "EGeneral:Invalid timeout argument:above max")
    at = customer.orders.cancel_after(float(seconds))
    told = {"currentTime": _moment(customer.orders.now())}
    if at or customer.book.market.rules.tells_disarmed:
        told["triggerTime"] = _moment(at) if at else "0"
    return told


def level3(customer: Customer, params: Params) -> dict[str, Any]:
    """`Level3`: orders of other traders, one at each price."""
    pair, depth = find_pair(text(params, "pair"), customer.book.market.rules), text(params, "depth", "100")
    if pair is None:
        raise Refused("EQuery:Unknown asset pair")
    require(depth in _DEPTHS, "EGeneral:Invalid arguments:depth")
    book = customer.book.market.prices.depth(pair, int(depth) or int(_DEPTHS[-1]))
    orders = {
        side: [_level(side, n, *level) for n, level in enumerate(levels)] for side, levels in book.items()
    }
    return {"pair": text(params, "pair"), **orders}


def _level(side: str, number: int, price: str, volume: str, at: int) -> dict[str, Any]:
    order = f"O{side[0].upper()}{number:04d}-AAAAA-AAAAAA"
    return {"price": price, "qty": volume, "order_id": order, "timestamp": at * 10**9}


def _listed(params: Params, name: str) -> list[Any]:
    listed = params.get(name) or []
    if not isinstance(listed, list):
        raise Refused(_UNREADABLE)
    return listed


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"
