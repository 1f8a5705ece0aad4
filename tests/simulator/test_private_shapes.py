"""The private replies of the simulator, field by field against the shapes of replies that were recorded from Kraken.

Beside each shape stands when the reply was recorded; "page" is a sample on Kraken's reference pages of 2023. Whatever
Kraken sent is allowed, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.simulator import Simulator
from tests.shapes import DECIMAL, DIGITS, ID, Each, Either, Shape, Text, Words, differences
from tests.simulator.clients import NOW, UUID, Client, Clock

MOMENT = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ORDER_ID, TRADE_ID, LEDGER_ID = (f"{letter}[A-Z0-9]{{5}}-[A-Z0-9]{{5}}-[A-Z0-9]{{6}}" for letter in "OTL")
DOLLARS, COINS, VOLUME = Text(r"-?\d+\.\d{4}"), Text(r"-?\d+\.\d{10}"), Text(r"\d+\.\d{8}")
COST = Text(r"\d+\.\d{5}")
PRICE = Either(Words("0"), Text(r"[+-]?\d+\.\d(\d{3}%)?"))  # of a pair with one decimal
SIDE, KIND = Words("buy", "sell"), Text(r"[a-z-]+")
ASSET = Words("ZUSD", "XXBT")

DESCRIPTION = {
    "pair": Words("XBTUSD"), "aclass": Words("forex"), "type": SIDE, "ordertype": KIND, "price": PRICE, "price2": PRICE,
    "leverage": Words("none"), "close": Either(Words(""), Text("close position @ .+")),
    "order": Text(r"(buy|sell) \d+\.\d{8} XBTUSD @ .+"),
}  # fmt: skip
# 4 June 2026; `trades` of 2023 (page).
OPEN = {
    "refid": Either(None, ID), "userref": Either(None, int), "cl_ord_id?": Either(None, str),
    "status": Words("open", "pending"), "opentm": float, "starttm": Either(int, float), "expiretm": Either(int, float),
    "time_in_force": Words("gtc", "gtd", "ioc", "fok"), "descr": DESCRIPTION, "vol": VOLUME, "vol_exec": VOLUME,
    "cost": COST, "fee": COST, "price": COST, "stopprice": COST, "limitprice": COST, "misc": str,
    "oflags": Words("fciq", "post,fciq"), "trades?": [Text(TRADE_ID)],
}  # fmt: skip
# 17 July 2025.
CLOSED = {**OPEN, "status": Words("closed", "canceled", "expired"), "closetm": float, "reason": Either(None, str)}
# 27 June 2026.
TRADE = {
    "ordertxid": Text(ORDER_ID), "postxid": ID, "pair": Words("XXBTZUSD"), "aclass": Words("forex"), "time": float,
    "type": SIDE, "ordertype": KIND, "tradeordertype": Words("market", "limit"), "price": COST, "cost": COST,
    "fee": COST, "vol": VOLUME, "margin": COST, "leverage": Words("0"), "misc": str, "trade_id": int, "maker": bool,
}  # fmt: skip
# 2023 (page).
ENTRY = {
    "refid": str, "time": float, "type": Words("trade", "withdrawal", "earn", "transfer"), "subtype": Words(""),
    "aclass": Words("currency"), "asset": ASSET, "amount": Either(DOLLARS, COINS), "fee": Either(DOLLARS, COINS),
    "balance": Either(DOLLARS, COINS),
}  # fmt: skip
PLACED = {"descr": {"order": str, "close?": str}, "txid": [Text(ORDER_ID)]}  # 2023 (page)
FEE = {
    "fee": DECIMAL, "minfee": DECIMAL, "maxfee": DECIMAL, "nextfee": Either(DECIMAL, None), "tiervolume": DECIMAL,
    "nextvolume": Either(DECIMAL, None),
}  # fmt: skip
# September 2026.
SCHEDULE = {
    "pair": str, "class": Words("forex"),
    "tiers": [{
        "maker_fee": DECIMAL, "taker_fee": DECIMAL, "active?": bool, "min_spot_volume?": DECIMAL,
        "min_futures_volume?": DECIMAL, "min_assets_on_platform?": DECIMAL,
    }],
}  # fmt: skip
# March 2026.
KEY = {
    "apiKeyName": str, "apiKey": str, "nonce": DIGITS, "nonceWindow": int, "permissions": [Text("[a-z-]+")],
    "iban": Text(r"AA\d\d [A-Z0-9]{4} [A-Z0-9]{4} [A-Z0-9]{4}"), "validUntil": DIGITS, "queryFrom": DIGITS,
    "queryTo": DIGITS, "createdTime": DIGITS, "modifiedTime": DIGITS, "ipAllowlist": [str],
    "lastUsed": Either(DIGITS, None),
}  # fmt: skip
WITHDRAWAL = {
    "method": str, "aclass": Words("currency"), "asset": ASSET, "refid": str, "txid": str, "info": str,
    "amount": COINS, "fee": COINS, "time": int, "status": Words("Pending", "Failure"),
    "status-prop?": Words("canceled"), "key": str,
}  # fmt: skip
STRATEGY_ID = Text(r"ES[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{6}")
STRATEGY = {
    "id": STRATEGY_ID, "asset": str, "lock_type": {"type": str, "payout_frequency": int},
    "apr_estimate": {"low": DECIMAL, "high": DECIMAL}, "user_min_allocation": DECIMAL, "allocation_fee": DECIMAL,
    "deallocation_fee": DECIMAL, "auto_compound": {"type": str}, "yield_source": {"type": str}, "can_allocate": bool,
    "can_deallocate": bool, "allocation_restriction_info": [str],
}  # fmt: skip
WORTH = {"native": DECIMAL, "converted": DOLLARS}
ALLOCATION = {
    "strategy_id": STRATEGY_ID, "native_asset": str, "amount_allocated": {"total": WORTH}, "total_rewarded": WORTH,
}  # fmt: skip

LIMIT = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "60000", "volume": "0.01"}
XBT = {"asset": "XBT"}
WITHDRAW = {**XBT, "key": "my-address", "amount": "0.01"}
EARN = {"strategy_id": "ESXBTAA-Q62XD-WIOIL8", "amount": "0.1"}

REPLIES: list[tuple[str, dict[str, Any], Shape]] = [
    ("Balance", {}, {"ZUSD": DOLLARS, "XXBT": COINS}),  # 2023 (page)
    ("BalanceEx", {}, Each({"balance": DECIMAL, "hold_trade": DECIMAL})),  # 2023 (page), there with numbers
    ("TradeBalance", {}, dict.fromkeys(("eb", "tb", "m", "uv", "n", "c", "v", "e", "mf"), DOLLARS)),  # 2023 (page)
    ("TradeVolume", {}, {"currency": Words("ZUSD"), "volume": DOLLARS}),
    ("TradeVolume", {"pair": "XBTUSD", "fee_schedule": "true"},
     {"currency": Words("ZUSD"), "volume": DOLLARS, "fees": Each(FEE), "fees_maker": Each(FEE),
      "schedules": [SCHEDULE]}),
    ("GetApiKeyInfo", {}, KEY),
    ("OpenOrders", {"trades": "true"}, {"open": Each(OPEN, ORDER_ID)}),
    ("ClosedOrders", {"trades": "true"}, {"closed": Each(CLOSED, ORDER_ID), "count": int}),
    ("TradesHistory", {}, {"trades": Each(TRADE, TRADE_ID), "count": int}),
    ("TradesHistory", {"ledgers": "true"},
     {"trades": Each({**TRADE, "ledgers": [Text(LEDGER_ID)]}, TRADE_ID), "count": int}),
    ("Ledgers", {}, {"ledger": Each(ENTRY, LEDGER_ID), "count": int}),
    ("AddOrder", LIMIT, PLACED),
    ("AddOrder", {**LIMIT, "validate": "true"}, {"descr": {"order": str}}),
    ("AddOrder", {**LIMIT, "close[ordertype]": "limit", "close[price]": "70000"}, PLACED),
    ("CancelAll", {}, {"count": int}),  # 2023 (page)
    ("CancelAllOrdersAfter", {"timeout": 60}, {"currentTime": MOMENT, "triggerTime": MOMENT}),  # 2023 (page)
    ("CancelAllOrdersAfter", {"timeout": 0}, {"currentTime": MOMENT, "triggerTime": Words("0")}),
    ("DepositMethods", XBT, [{"method": str, "limit": bool, "fee": COINS, "gen-address?": bool, "minimum": DECIMAL}]),
    ("DepositAddresses", {**XBT, "method": "Bitcoin", "new": "true"}, [{"address": str, "expiretm": str, "new": bool}]),
    ("DepositStatus", {}, []),
    ("WithdrawMethods", XBT, [{"asset": ASSET, "method": str, "network": str, "minimum": DECIMAL}]),  # 2023 (page)
    ("WithdrawInfo", WITHDRAW, {"method": str, "limit": DECIMAL, "amount": COINS, "fee": COINS}),  # 2023 (page)
    ("Withdraw", WITHDRAW, {"refid": str}),
    ("WithdrawStatus", {}, [WITHDRAWAL]),  # 2023 (page)
    ("Earn/Strategies", {}, {"next_cursor": Either(None, str), "items": [STRATEGY]}),  # 2023 (page)
    ("Earn/Allocate", EARN, bool),
    ("Earn/AllocateStatus", EARN, {"pending": bool}),
    ("Earn/Allocations", {},
     {"converted_asset": Words("USD"), "total_allocated": DOLLARS, "total_rewarded": DOLLARS,
      "next_cursor": Either(None, str), "items": [ALLOCATION]}),  # 2023 (page)
]  # fmt: skip


@pytest.fixture(scope="module")
def kraken() -> Iterator[Client]:
    """An account with orders of every kind, open and over, a trade, a withdrawal and something that earns."""
    clock = Clock(NOW)
    clock.now = NOW + 0.25
    with Simulator(wall=clock, monotonic=clock) as sim:
        sim.set_balance("MASTER", {"ZUSD": "100000.0000", "XXBT": "5.0000000000"})
        sim.set_permissions("MASTER", _EVERYTHING)
        sim.set_price("XBTUSD", "68000", "68010")
        client = Client(sim)
        for changes in _ORDERS:
            client.result("AddOrder", **{**LIMIT, **changes})
        (canceled,) = client.result("AddOrder", **LIMIT)["txid"]
        client.result("CancelOrder", txid=canceled)
        client.result("Withdraw", **WITHDRAW)
        client.result("Earn/Allocate", **EARN)
        yield client
        client.close()


_EVERYTHING = {
    "query-funds", "add-funds", "withdraw-funds", "earn-funds", "query-open-trades", "query-closed-trades",
    "modify-trades", "close-trades", "query-ledger",
}  # fmt: skip
_ORDERS: list[dict[str, Any]] = [
    {"cl_ord_id": UUID}, {"userref": 7}, {"oflags": "post"}, {"timeinforce": "GTD", "expiretm": "+600"},
    {"starttm": "+600"}, {"ordertype": "market", "price": ""}, {"timeinforce": "IOC"},
    {"type": "sell", "ordertype": "stop-loss", "price": "50000"}, {"type": "sell", "ordertype": "take-profit-limit",
     "price": "80000", "price2": "79000"}, {"type": "sell", "ordertype": "trailing-stop", "price": "+1.5%"},
    {"close[ordertype]": "stop-loss-limit", "close[price]": "50000", "close[price2]": "49000", "price": "69000"},
]  # fmt: skip


_IDS = [f"{name} {number}" for number, (name, *_) in enumerate(REPLIES)]


@pytest.mark.parametrize(("endpoint", "params", "shape"), REPLIES, ids=_IDS)
def test_a_private_reply_has_the_shape_of_krakens(
    kraken: Client, endpoint: str, params: dict[str, Any], shape: Shape
) -> None:
    result = kraken.result(endpoint, **params)
    assert differences(result, shape) == []


def test_single_rows_have_the_shape_of_those_in_lists(kraken: Client) -> None:
    order, trade, entry = (next(iter(kraken.result(name)[key])) for name, key in _LISTS)
    assert differences(kraken.result("QueryOrders", txid=order), {order: CLOSED}) == []
    assert differences(kraken.result("QueryTrades", txid=trade), {trade: TRADE}) == []
    assert differences(kraken.result("QueryLedgers", id=entry), {entry: ENTRY}) == []


_LISTS = (("ClosedOrders", "closed"), ("TradesHistory", "trades"), ("Ledgers", "ledger"))


def test_a_batch_and_an_edit_tell_a_txid_as_text(kraken: Client) -> None:
    closing = {"ordertype": "limit", "price": "70000"}
    told = kraken.result("AddOrderBatch", as_json=True, pair="XBTUSD", orders=[LIMIT, {**LIMIT, "close": closing}])
    row = {"txid": Text(ORDER_ID), "descr": {"order": str}}
    assert differences(told, {"orders": (row, {**row, "close": Words("close position @ limit 70000.0")})}) == []
    edited = kraken.result("EditOrder", txid=told["orders"][0]["txid"], pair="XBTUSD", price="59000")
    assert differences(edited["txid"], Text(ORDER_ID)) == []
    assert kraken.result("CancelOrder", txid=edited["txid"]) == {"count": 1}
