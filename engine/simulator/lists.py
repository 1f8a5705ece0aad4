"""How orders and trades are listed: open, closed, by name, in pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.simulator.checks import Params, require, same_id, text
from engine.simulator.ledger import page
from engine.simulator.market import find_asset
from engine.simulator.order import Fill, Order
from engine.simulator.orders import Orders

MOST_AT_ONCE = 50


def open_orders(orders: Orders, params: Params) -> dict[str, Any]:
    """`OpenOrders`: all of them in one answer, with `cl_ord_id` or `userref` those that carry it."""
    found = [order for order in orders.listed() if order.is_live and _fits(order, params)]
    return {"open": {order.txid: order.row(_wants_trades(params)) for order in found}}


def closed_orders(orders: Orders, params: Params) -> dict[str, Any]:
    """`ClosedOrders`: 50 a page, the newest first."""
    found = [order for order in orders.listed() if not order.is_live and _fits(order, params)]
    by = text(params, "closetime", "both")
    times = {place: _times(order, by) for place, order in enumerate(found)}
    shown, many = page(params, found, times)
    result: dict[str, Any] = {"closed": {order.txid: order.row(_wants_trades(params)) for order in shown}}
    return result if _is_yes(params, "without_count") else {**result, "count": many}


def query_orders(orders: Orders, params: Params) -> dict[str, Any]:
    """`QueryOrders`: up to 50 by txid; those that are not known are left out."""
    names = _names(params, MOST_AT_ONCE)
    found = {order.txid: order for order in orders.listed() if _fits(order, params)}
    return {name: found[name].row(_wants_trades(params)) for name in names if name in found}


def trades_history(orders: Orders, params: Params) -> dict[str, Any]:
    """`TradesHistory`: 50 a page, the newest first."""
    listed = {order.txid for order in orders.listed()}
    fills = [fill for fill in orders.ledger.fills if fill.order in listed]
    shown, many = page(params, fills, {place: (fill.time,) for place, fill in enumerate(fills)})
    result: dict[str, Any] = {"trades": {fill.id: fill.row() for fill in shown}}
    return result if _is_yes(params, "without_count") else {**result, "count": many}


def query_trades(orders: Orders, params: Params) -> dict[str, Any]:
    """`QueryTrades`: up to 20 by trade id."""
    names = _names(params, 20)
    found: Mapping[str, Fill] = {fill.id: fill for fill in orders.ledger.fills}
    return {name: found[name].row() for name in names if name in found}


def ledgers(orders: Orders, params: Params) -> dict[str, Any]:
    """`Ledgers`: 50 a page, the newest first."""
    wanted = {find_asset(name) for name in text(params, "asset", "all").split(",")}
    entries = [each for each in orders.ledger.entries if each.asset in wanted or "all" in text(params, "asset", "all")]
    shown, many = page(params, entries, {place: (each.time,) for place, each in enumerate(entries)})
    return {"ledger": {each.id: each.row() for each in shown}, "count": many}


def query_ledgers(orders: Orders, params: Params) -> dict[str, Any]:
    """`QueryLedgers`: up to 20 by ledger id."""
    names = text(params, "id").split(",")
    require(any(names), "EGeneral:Invalid arguments")
    found = {each.id: each.row() for each in orders.ledger.entries}
    return {name: found[name] for name in names if name in found}


def _fits(order: Order, params: Params) -> bool:
    client_id, userref = text(params, "cl_ord_id"), text(params, "userref")
    return (not client_id or same_id(order.cl_ord_id, client_id)) and (not userref or order.userref == userref)


def _times(order: Order, by: str) -> tuple[float, ...]:
    closed = order.opened if order.closed is None else order.closed
    return {"open": (order.opened,), "close": (closed,)}.get(by, (order.opened, closed))


def _names(params: Params, most: int) -> list[str]:
    names = [name for name in text(params, "txid").split(",") if name]
    require(0 < len(names) <= most, "EGeneral:Invalid arguments")
    return names


def _wants_trades(params: Params) -> bool:
    return _is_yes(params, "trades")


def _is_yes(params: Params, name: str) -> bool:
    return str(params.get(name, "")).lower() in ("true", "1")
