"""The private endpoints, and the permission each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.accounts import Customer
from engine.simulator.market import dollars, find_asset
from engine.simulator.refusal import Refused

Params = Mapping[str, Any]


class Endpoint(NamedTuple):
    """What an endpoint does, and the permissions of which the key needs one."""

    run: Callable[[Customer, Params], Any]
    needs: frozenset[str] = frozenset()


def balance(customer: Customer, _: Params) -> dict[str, str]:
    """`Balance`: the rows as they were set. What is held is not subtracted."""
    return {asset: row["balance"] for asset, row in customer.rows.items()}


def balance_ex(customer: Customer, _: Params) -> dict[str, dict[str, str]]:
    """`BalanceEx`: the same rows with what is held."""
    return {asset: dict(row) for asset, row in customer.rows.items()}


def trade_balance(customer: Customer, params: Params) -> dict[str, str]:
    """`TradeBalance`: everything at its last price. There are no margin positions."""
    unit = dollars(find_asset(str(params.get("asset", "ZUSD"))) or "")
    if not unit:
        raise Refused("EQuery:Unknown asset")
    worth = sum(
        (Decimal(row["balance"]) * dollars(asset) for asset, row in customer.rows.items()),
        Decimal(0),
    )
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
        "queryFrom": unset,
        "queryTo": unset,
        "createdTime": "1735689600",
        "modifiedTime": "1735689600",
        "ipAllowlist": [],
        "lastUsed": unset,
    }


def add_order(customer: Customer, params: Params) -> dict[str, Any]:
    """`AddOrder`."""
    return customer.orders.place(params)


def cancel_order(customer: Customer, params: Params) -> dict[str, Any]:
    """`CancelOrder`."""
    return customer.orders.cancel(params)


def cancel_all(customer: Customer, _: Params) -> dict[str, Any]:
    """`CancelAll`."""
    return customer.orders.cancel_all()


_FUNDS = frozenset({"query-funds"})
_CANCEL = frozenset({"modify-trades", "close-trades"})

ENDPOINTS: Mapping[str, Endpoint] = {
    "Balance": Endpoint(balance, _FUNDS),
    "BalanceEx": Endpoint(balance_ex, _FUNDS),
    # Kraken's two pages name different permissions for this one, so either will do.
    "TradeBalance": Endpoint(trade_balance, _FUNDS | {"query-open-trades"}),
    "GetApiKeyInfo": Endpoint(get_api_key_info),
    "AddOrder": Endpoint(add_order, frozenset({"modify-trades"})),
    "CancelOrder": Endpoint(cancel_order, _CANCEL),
    "CancelAll": Endpoint(cancel_all, _CANCEL),
}
