"""The list endpoints of orders, trades and ledger entries, with their pages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from engine.simulator.book import Book
from engine.simulator.book_order import BookOrder
from engine.simulator.fill import Fill
from engine.simulator.ledger import Listed, Window, page
from engine.simulator.market import find_asset
from engine.simulator.parameters import Params, is_yes, require, same_id, text
from engine.simulator.refusal import Refused

MOST_AT_ONCE = 50


def open_orders(book: Book, params: Params) -> dict[str, Any]:
    """`OpenOrders`: all of them in one answer, with `cl_ord_id` or `userref` those that carry it."""
    found = [order for order in book.listed() if order.is_live and _fits(order, params)]
    return {"open": {order.txid: _row(book, order, is_yes(params, "trades")) for order in found}}


def closed_orders(book: Book, params: Params, window: Window) -> dict[str, Any]:
    """`ClosedOrders`: 50 a page, the newest first."""
    by, trades = text(params, "closetime", "both"), is_yes(params, "trades")
    found = [
        Listed(order.txid, _times(order, by), partial(_row, book, order, trades))
        for order in book.ended()
        if _fits(order, params)
    ]
    return _counted("closed", params, *page(params, found, window))


def query_orders(book: Book, params: Params) -> dict[str, Any]:
    """`QueryOrders`: up to 50 by txid; those that are not known are left out."""
    names, trades = _names(params, MOST_AT_ONCE), is_yes(params, "trades")
    found = {order.txid: order for order in book.listed() if _fits(order, params)}
    return {name: _row(book, found[name], trades) for name in names if name in found}


def order_amends(book: Book, params: Params) -> dict[str, Any]:
    """`OrderAmends`: how an order was placed and what it was amended to, the oldest first."""
    orders = {order.txid: order for order in book.listed()}
    order = orders.get(text(params, "order_id"))
    if order is None:
        raise Refused("EOrder:Invalid order")
    rows = [state.row() for state in order.amendments]
    return {"count": len(rows), "amends": rows}


def trades_history(book: Book, params: Params, window: Window) -> dict[str, Any]:
    """`TradesHistory`: 50 a page, the newest first. None of them belongs to a position."""
    is_ours = text(params, "type", "all") in ("all", "no position")
    found = [Listed(fill.id, (fill.time,), partial(_trade, book, params, fill)) for fill in book.fills() if is_ours]
    return _counted("trades", params, *page(params, found, window))


def query_trades(book: Book, params: Params) -> dict[str, Any]:
    """`QueryTrades`: up to 20 by trade id."""
    names = _names(params, 20)
    found: Mapping[str, Fill] = {fill.id: fill for fill in book.ledger.fills}
    return {name: _trade(book, params, found[name]) for name in names if name in found}


def ledgers(book: Book, params: Params, window: Window) -> dict[str, Any]:
    """`Ledgers`: 50 a page, the newest first. Trades, and what funding and Earn have moved."""
    book.catch_up()
    assets, kind = text(params, "asset", "all"), text(params, "type", "all")
    wanted = {find_asset(name) for name in assets.split(",")}
    found = [
        Listed(each.id, (each.time,), each.row)
        for each in book.ledger.entries
        if kind in ("all", each.kind) and (assets == "all" or each.asset in wanted)
    ]
    return _counted("ledger", params, *page(params, found, window))


def query_ledgers(book: Book, params: Params) -> dict[str, Any]:
    """`QueryLedgers`: up to 20 by ledger id."""
    names = text(params, "id").split(",")
    require(any(names), "EGeneral:Invalid arguments")
    found = {each.id: each.row() for each in book.ledger.entries}
    return {name: found[name] for name in names if name in found}


def _counted(name: str, params: Params, rows: dict[str, dict[str, Any]], many: int) -> dict[str, Any]:
    return {name: rows} if is_yes(params, "without_count") else {name: rows, "count": many}


def _fits(order: BookOrder, params: Params) -> bool:
    client_id, userref = text(params, "cl_ord_id"), text(params, "userref")
    return (not client_id or same_id(order.cl_ord_id, client_id)) and (not userref or order.userref == userref)


def _times(order: BookOrder, by: str) -> tuple[float, ...]:
    closed = order.opened if order.closed is None else order.closed
    return {"open": (order.opened,), "close": (closed,)}.get(by, (order.opened, closed))


def _names(params: Params, most: int) -> list[str]:
    names = [name for name in text(params, "txid").split(",") if name]
    require(0 < len(names) <= most, "EGeneral:Invalid arguments")
    return names


def _row(book: Book, order: BookOrder, trades: bool) -> dict[str, Any]:
    return order.row(trades, null_id=book.market.rules.null_id)


def _trade(book: Book, params: Params, fill: Fill) -> dict[str, Any]:
    return fill.row(book.ledger.of_fill(fill) if is_yes(params, "ledgers") else ())
