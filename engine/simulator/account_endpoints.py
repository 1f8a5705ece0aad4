"""The private endpoints about an account: balances, credit, its key, its fees, its wallets."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import Any

from engine.simulator.customers import Customer
from engine.simulator.market import dollars, find_asset, find_pair, key_of
from engine.simulator.parameters import Params, text, yes
from engine.simulator.refusal import Refused

TOKEN_LIFE = 900  # seconds
_TIERS = (  # maker and taker fee in percent, and what a higher tier needs; only its first two steps are published data
    ("0.3000", "0.6000", {"min_spot_volume": "2500.0000", "min_futures_volume": "5000000.0000"}),
    ("0.2000", "0.4000", {"min_spot_volume": "10000.0000", "min_assets_on_platform": "100000.0000"}),
)


def balance(customer: Customer, params: Params) -> dict[str, str]:
    """`Balance`: holds are not subtracted."""
    _check_wallet(customer, params)
    book = customer.book
    book.catch_up()
    rows = customer.wallet.rows if book.lag is None else book.lag.rows
    return {asset: row["balance"] for asset, row in rows.items()}


def balance_ex(customer: Customer, _: Params) -> dict[str, dict[str, str]]:
    """`BalanceEx`: the same rows with their holds."""
    book = customer.book
    book.catch_up()
    return customer.wallet.told(book.holds()) if book.lag is None else book.lag.rows


def trade_balance(customer: Customer, params: Params) -> dict[str, str]:
    """`TradeBalance`: everything valued at its initial price. There are no margin positions."""
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


def credit_lines(customer: Customer, _: Params) -> dict[str, Any]:
    """`CreditLines`: the rows that have credit."""
    lines = {
        asset: {
            "balance": row["balance"], "credit_limit": row["credit"], "credit_used": row.get("credit_used", "0.0000"),
            "available_credit": f"{Decimal(row['credit']) - Decimal(row.get('credit_used', '0')):f}",
        }
        for asset, row in customer.wallet.rows.items() if "credit" in row
    }  # fmt: skip
    return {"asset_details": lines, "limits_monitor": {"total_credit_usd": None, "total_credit_used_usd": None}}


def get_api_key_info(customer: Customer, _: Params) -> dict[str, Any]:
    """`GetApiKeyInfo`: nonce and last use are those of this call."""
    key = customer.key
    unset = "0"
    return {
        "apiKeyName": key.account.name,
        "apiKey": key.account.key,
        "nonce": str(key.nonces.highest),
        "nonceWindow": key.nonces.window,
        "permissions": sorted(key.permissions),
        "iban": customer.iban,
        "validUntil": unset,
        "queryFrom": str(key.history[0]),
        "queryTo": str(key.history[1]),
        "createdTime": "1735689600",
        "modifiedTime": "1735689600",
        "ipAllowlist": [],
        "lastUsed": f"{customer.orders.now():.0f}",
    }


def get_web_sockets_token(customer: Customer, _: Params) -> dict[str, Any]:
    """`GetWebSocketsToken`: a token that the simulator's own WebSocket accepts."""
    token = secrets.token_urlsafe(32)
    customer.key.tokens[token] = customer.orders.now() + TOKEN_LIFE
    return {"token": token, "expires": TOKEN_LIFE}


def list_wallet_accounts(customer: Customer, _: Params) -> list[dict[str, Any]]:
    """`ListWalletAccounts`: the one wallet there is. No recorded reply is known; the id is what Kraken documents."""
    return [{"account_id": customer.iban, "type": "spot", "name": "Spot"}]


def open_positions(customer: Customer, params: Params) -> dict[str, Any] | list[Any]:
    """`OpenPositions`: always empty. Consolidated positions are a list, as ccxt reads them."""
    return [] if params.get("consolidation") else {}


def trade_volume(customer: Customer, params: Params) -> dict[str, Any]:
    """`TradeVolume`: no volume, so the first tier's fees, for the requested pairs only."""
    rules = customer.book.market.rules
    wants_schedules = yes(params, "fee_schedule", loose=rules.loose_booleans)
    found = {name.strip(): find_pair(name.strip(), rules) for name in _names(params)}
    if not all(found.values()):
        raise Refused("EQuery:Unknown asset pair")
    pairs = list(dict.fromkeys(key_of(name, pair, rules) for name, pair in found.items() if pair))
    maker, taker = rules.fees
    told: dict[str, Any] = {"currency": "ZUSD", "volume": "0.0000"}
    if pairs:
        told["fees"] = {pair: _fee(taker, "0.1000", _TIERS[0][1]) for pair in pairs}
        told["fees_maker"] = {pair: _fee(maker, "0.0000", _TIERS[0][0]) for pair in pairs}
    if wants_schedules:
        told["schedules"] = [{"pair": pair, "class": "forex", "tiers": _tiers(maker, taker)} for pair in pairs]
    return told


def _check_wallet(customer: Customer, params: Params) -> None:
    asked = text(params, "account_id")
    if asked and asked != customer.iban:
        raise Refused("EGeneral:Invalid arguments:account_id")


def _names(params: Params) -> list[str]:
    """The requested pairs: a comma-separated list, or in JSON a list of names or of objects with the name as asset."""
    asked = params.get("pair")
    if isinstance(asked, list):
        return [str(each.get("asset", "")) if isinstance(each, dict) else str(each) for each in asked]
    return text(params, "pair").split(",") if text(params, "pair") else []


def _fee(fee: str, least: str, next_fee: str) -> dict[str, str]:
    return {
        "fee": fee, "minfee": least, "maxfee": fee, "nextfee": next_fee, "tiervolume": "0.0000",
        "nextvolume": "2500.0000",
    }  # fmt: skip


def _tiers(maker: str, taker: str) -> list[dict[str, Any]]:
    higher = [{"maker_fee": low, "taker_fee": high, **needs} for low, high, needs in _TIERS]
    return [{"maker_fee": maker, "taker_fee": taker, "active": True}, *higher]
