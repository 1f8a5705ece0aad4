"""The private endpoints, and the permission each of them needs."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator import lists
from engine.simulator.accounts import Customer
from engine.simulator.book import Book
from engine.simulator.checks import amount, text
from engine.simulator.ledger import Window
from engine.simulator.market import dollars, find_asset, pair_ids
from engine.simulator.refusal import Refused

FEWEST_IN_BATCH, BATCH_AT_MOST = 2, 15
CANCELS_AT_MOST = 50

Params = Mapping[str, Any]


class Endpoint(NamedTuple):
    """What an endpoint does, and the permissions of which the key needs one."""

    run: Callable[[Customer, Params], Any]
    needs: frozenset[str] = frozenset()


def balance(customer: Customer, _: Params) -> dict[str, str]:
    """`Balance`: what is held is not subtracted."""
    customer.book.catch_up()
    return {asset: row["balance"] for asset, row in customer.wallet.rows.items()}


def balance_ex(customer: Customer, _: Params) -> dict[str, dict[str, str]]:
    """`BalanceEx`: the same rows with what is held."""
    customer.book.catch_up()
    return customer.wallet.told(customer.book.holds())


def trade_balance(customer: Customer, params: Params) -> dict[str, str]:
    """`TradeBalance`: everything at its first price. There are no margin positions."""
    unit = dollars(find_asset(str(params.get("asset", "ZUSD"))) or "")
    if not unit:
        raise Refused("EQuery:Unknown asset")
    rows = customer.wallet.rows.items()
    worth = sum((Decimal(row["balance"]) * dollars(asset) for asset, row in rows), Decimal(0))
    whole, none = f"{worth / unit:.4f}", "0.0000"
    return {
        "eb": whole, "tb": whole, "m": none, "uv": none, "n": none,
        "c": none, "v": none, "e": whole, "mf": whole,
    }  # fmt: skip


def get_api_key_info(customer: Customer, _: Params) -> dict[str, Any]:
    """`GetApiKeyInfo`: the nonce in it is that of this very call."""
    key = customer.key
    unset = "0"
    return {
        "apiKeyName": key.account.name,
        "apiKey": key.account.key,
        "nonce": str(key.nonces.highest),
        "nonceWindow": str(key.nonces.window),
        "permissions": sorted(key.permissions),
        "iban": "",
        "validUntil": unset,
        "queryFrom": str(key.history[0]),
        "queryTo": str(key.history[1]),
        "createdTime": "1735689600",
        "modifiedTime": "1735689600",
        "ipAllowlist": [],
        "lastUsed": unset,
    }


def add_order(customer: Customer, params: Params) -> dict[str, Any]:
    """`AddOrder`."""
    return customer.orders.place(params)


def add_order_batch(customer: Customer, params: Params) -> dict[str, Any]:
    """`AddOrderBatch`: each order is placed or refused by itself."""
    listed = params.get("orders")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise Refused("EGeneral:Invalid arguments")
    if not FEWEST_IN_BATCH <= len(listed) <= BATCH_AT_MOST:
        raise Refused("EGeneral:Invalid arguments")
    common = {name: params[name] for name in ("pair", "deadline", "validate") if name in params}
    return {"orders": [_one_of_batch(customer, {**each, **common}) for each in listed]}


def _one_of_batch(customer: Customer, params: Params) -> dict[str, Any]:
    try:
        placed = customer.orders.place(params, points=0.5)
    except Refused as refusal:
        return {"error": str(refusal)}
    return {**placed, "txid": placed["txid"][0]} if "txid" in placed else placed


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
    names = [("txid", each) for each in params.get("orders") or ()]
    names += [("cl_ord_id", each) for each in params.get("cl_ord_ids") or ()]
    if not 0 < len(names) <= CANCELS_AT_MOST:
        raise Refused("EGeneral:Invalid arguments")
    count = 0
    for kind, name in names:
        with suppress(Refused):
            count += customer.orders.cancel({kind: str(name)}, of_batch=True)["count"]
    return {"count": count}


def cancel_all(customer: Customer, _: Params) -> dict[str, Any]:
    """`CancelAll`."""
    return customer.orders.cancel_all()


def cancel_all_after(customer: Customer, params: Params) -> dict[str, Any]:
    """`CancelAllOrdersAfter`; 0 disarms it."""
    seconds = amount(text(params, "timeout"))
    if seconds is None or seconds < 0:
        raise Refused("EGeneral:Invalid arguments:timeout")
    at = customer.orders.cancel_after(float(seconds))
    now = customer.orders.now()
    return {"currentTime": _moment(now), "triggerTime": _moment(at) if at else "0"}


def get_web_sockets_token(customer: Customer, _: Params) -> dict[str, Any]:
    """`GetWebSocketsToken`: there is no WebSocket here that would take it."""
    return {"token": secrets.token_urlsafe(32), "expires": 900}


def open_positions(customer: Customer, params: Params) -> dict[str, Any] | list[Any]:
    """`OpenPositions`: there are none. Consolidated ones would be a list, as ccxt reads it."""
    return [] if params.get("consolidation") else {}


def trade_volume(customer: Customer, params: Params) -> dict[str, Any]:
    """`TradeVolume`: none so far, so the highest fees."""
    pairs = pair_ids(text(params, "pair").split(",")) if text(params, "pair") else []
    if pairs is None:
        raise Refused("EQuery:Unknown asset pair")
    taker = {"fee": "0.4000", "minfee": "0.1000", "maxfee": "0.4000", "nextfee": "0.3500", "tiervolume": "0.0000"}
    maker = {**taker, "fee": "0.2500", "minfee": "0.0000", "maxfee": "0.2500", "nextfee": "0.2000"}
    return {
        "currency": "ZUSD", "volume": "0.0000",
        "fees": dict.fromkeys(pairs, taker), "fees_maker": dict.fromkeys(pairs, maker),
    }  # fmt: skip


def _listed(read: Callable[[Book, Params], Any]) -> Callable[[Customer, Params], Any]:
    return lambda customer, params: read(customer.book, params)


def _history(read: Callable[[Book, Params, Window], Any]) -> Callable[[Customer, Params], Any]:
    return lambda customer, params: read(customer.book, params, customer.key.history)


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


_FUNDS = frozenset({"query-funds"})
_MODIFY = frozenset({"modify-trades"})
_CANCEL = frozenset({"modify-trades", "close-trades"})
_OPEN, _CLOSED = frozenset({"query-open-trades"}), frozenset({"query-closed-trades"})
_LEDGER = frozenset({"query-ledger"})

ENDPOINTS: Mapping[str, Endpoint] = {
    "Balance": Endpoint(balance, _FUNDS),
    "BalanceEx": Endpoint(balance_ex, _FUNDS),
    # Kraken's two pages name different permissions for this one, so either will do.
    "TradeBalance": Endpoint(trade_balance, _FUNDS | _OPEN),
    "TradeVolume": Endpoint(trade_volume, _FUNDS),
    "GetApiKeyInfo": Endpoint(get_api_key_info),
    "GetWebSocketsToken": Endpoint(get_web_sockets_token, frozenset({"create-ws-token"})),
    "OpenPositions": Endpoint(open_positions, _OPEN),
    "OpenOrders": Endpoint(_listed(lists.open_orders), _OPEN),
    "ClosedOrders": Endpoint(_history(lists.closed_orders), _CLOSED),
    "QueryOrders": Endpoint(_listed(lists.query_orders), _OPEN | _CLOSED),
    "TradesHistory": Endpoint(_history(lists.trades_history), _CLOSED),
    "QueryTrades": Endpoint(_listed(lists.query_trades), _CLOSED),
    "Ledgers": Endpoint(_history(lists.ledgers), _LEDGER),
    "QueryLedgers": Endpoint(_listed(lists.query_ledgers), _LEDGER),
    "AddOrder": Endpoint(add_order, _MODIFY),
    "AddOrderBatch": Endpoint(add_order_batch, _MODIFY),
    "AmendOrder": Endpoint(amend_order, _CANCEL),
    "EditOrder": Endpoint(edit_order, _MODIFY),
    "CancelOrder": Endpoint(cancel_order, _CANCEL),
    "CancelOrderBatch": Endpoint(cancel_order_batch, _CANCEL),
    "CancelAll": Endpoint(cancel_all, _CANCEL),
    "CancelAllOrdersAfter": Endpoint(cancel_all_after, _CANCEL),
}
