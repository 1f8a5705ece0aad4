"""The rows of the WebSocket's channels (v2): names as Kraken shows them, and amounts as JSON numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.simulator.book_order import CANCELED, CLOSED, EXPIRED, PENDING, BookOrder
from engine.simulator.fill import Fill
from engine.simulator.ledger import LedgerEntry
from engine.simulator.market import ListedPair, altname_of, find_asset
from engine.simulator.prices import Quote

Row = dict[str, Any]
_SHOWN = {"XBT": "BTC", "XDG": "DOGE"}
_WALLETS = {"F": ("earn", "flexible"), "S": ("earn", "bonded"), "M": ("earn", "liquid"), "B": ("earn", "bonded"),
            "P": ("earn", "locked")}  # fmt: skip
_OVER = {CLOSED: "filled", CANCELED: "canceled", EXPIRED: "expired"}


def shown_asset(row: str) -> str:
    """The name of a balance row's asset on the WebSocket: ``BTC`` for ``XXBT``, ``USD`` for ``USD.F``."""
    plain = row.partition(".")[0]
    known = find_asset(row) or find_asset(plain)
    name = altname_of(known) if known else plain
    return _SHOWN.get(name, name)


def shown_symbol(pair: ListedPair) -> str:
    """The name of a pair on the WebSocket, such as ``BTC/USD``."""
    return "/".join(shown_asset(each) for each in (pair.base, pair.quote))


def stamp(seconds: float) -> str:
    """A time as the WebSocket writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def totals(rows: Mapping[str, Mapping[str, str]]) -> dict[str, Decimal]:
    """The balance of each asset in all its wallets, by its name on the WebSocket."""
    found: dict[str, Decimal] = {}
    for name, row in rows.items():
        asset = shown_asset(name)
        found[asset] = found.get(asset, Decimal(0)) + Decimal(row["balance"])
    return found


def balance_snapshot(rows: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """The rows of the first frame of ``balances``."""
    wallets: dict[str, list[Row]] = {}
    for name, row in rows.items():
        kind, where = _WALLETS.get(name.partition(".")[2], ("spot", "main"))
        wallet = {"type": kind, "id": where, "balance": Decimal(row["balance"])}
        wallets.setdefault(shown_asset(name), []).append(wallet)
    return [
        {"asset": asset, "asset_class": "currency", "balance": total, "wallets": wallets[asset]}
        for asset, total in totals(rows).items()
    ]


def balance_update(entry: LedgerEntry, rows: Mapping[str, Mapping[str, str]]) -> Row:
    """The row for a ledger entry; `rows` are the balances after it."""
    asset = shown_asset(entry.asset)
    return {
        "ledger_id": entry.id, "ref_id": entry.refid, "timestamp": stamp(entry.time), "type": entry.kind,
        "asset": asset, "asset_class": "currency", "category": "", "wallet_type": "spot", "wallet_id": "main",
        "amount": entry.change.amount, "fee": entry.change.fee, "balance": totals(rows).get(asset, Decimal(0)),
    }  # fmt: skip


def status_of(order: BookOrder) -> str:
    """The ``order_status``."""
    if order.status == PENDING:
        return "pending_new"
    return _OVER.get(order.status) or ("partially_filled" if order.fills else "new")


def order_row(order: BookOrder, exec_type: str, now: float) -> Row:
    """The row of an event that is not a trade. Cumulative amounts are in it, as in the rows of a snapshot."""
    cost = sum((fill.cost for fill in order.fills), Decimal(0))
    row: Row = {
        "order_id": order.txid, "exec_type": exec_type, "order_status": _status(order, exec_type),
        "symbol": shown_symbol(order.pair), "side": order.side, "order_type": order.kind, "order_qty": order.volume,
        "cum_qty": order.filled, "cum_cost": cost, "avg_price": cost / order.filled if order.filled else Decimal(0),
        "time_in_force": order.time_in_force, "timestamp": stamp(now),
    }  # fmt: skip
    row |= {"limit_price": order.price} if order.price is not None else {}
    row |= {"reason": order.reason} if order.reason else {}
    return row | _names(order)


def _status(order: BookOrder, exec_type: str) -> str:
    return exec_type if exec_type in ("pending_new", "new") else status_of(order)


def brief_row(order: BookOrder, now: float) -> Row:
    """The row that says that an order is live: only its names, as Kraken's own client has recorded it."""
    return {
        "timestamp": stamp(now), "order_status": "new", "exec_type": "new", "order_userref": int(order.userref or 0),
        "order_id": order.txid,
    } | _names(order)  # fmt: skip


def trade_row(order: BookOrder, fill: Fill) -> Row:
    """The row of a trade. It says that the order is partially filled, also of the last one: ``filled`` follows."""
    so_far = order.fills
    cost = sum((each.cost for each in so_far), Decimal(0))
    asset = order.pair.base if fill.pays_in_base else order.pair.quote
    return {
        "order_id": order.txid, "exec_id": fill.id, "exec_type": "trade", "trade_id": fill.number,
        "symbol": shown_symbol(order.pair), "side": order.side, "last_qty": fill.volume, "last_price": fill.price,
        "liquidity_ind": "m" if fill.maker else "t", "cost": fill.cost, "order_type": order.kind,
        "order_status": "partially_filled", "cum_qty": order.filled, "cum_cost": cost,
        "avg_price": cost / order.filled, "fees": [{"asset": shown_asset(asset), "qty": fill.fee}],
        "timestamp": stamp(fill.time),
    } | _names(order)  # fmt: skip


def _names(order: BookOrder) -> Row:
    named = {"cl_ord_id": order.cl_ord_id} if order.cl_ord_id else {}
    return {**named, "order_userref": int(order.userref or 0)}


def ticker_row(pair: ListedPair, quote: Quote) -> Row:
    """The row of ``ticker``."""
    return {
        "symbol": shown_symbol(pair), "bid": quote.bid, "bid_qty": Decimal(1), "ask": quote.ask, "ask_qty": Decimal(1),
        "last": quote.last, "volume": Decimal("415.11208412"), "vwap": quote.last, "low": quote.last,
        "high": quote.last, "change": Decimal(0), "change_pct": Decimal(0), "timestamp": stamp(quote.since),
    }  # fmt: skip


def encoded(value: Any) -> str:
    """JSON in which a `Decimal` is a number with all its digits, but not the zeros at its end."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
    if isinstance(value, dict):
        return "{" + ",".join(f"{encoded(name)}:{encoded(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(encoded, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value) if isinstance(value, int) else _quoted(str(value))


def _quoted(text: str) -> str:
    return json.dumps(text)
