"""The public replies of the simulator, field by field against the shapes of replies that were recorded from Kraken.

Beside each shape stands when the reply was recorded. Whatever Kraken sent is allowed, and nothing else.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.simulator import Rules, Simulator
from tests.shapes import DECIMAL, DIGITS, ID, Each, Either, Shape, Text, Words, differences

NAME, SLASHED = r"[A-Za-z0-9.]+", r"[A-Z0-9]+/[A-Z0-9]+"
PRICE, WHOLE = Text(r"\d+\.\d{5,}"), int
STATUS = Words("online", "cancel_only", "post_only", "limit_only", "reduce_only")
MOMENT = Text(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

# 25 September 2026; that `status` may be absent was told of June 2026, that limits may be, of rows without margin.
PAIR = {
    "altname": Text(NAME + "(:BTNL)?"), "wsname": Text(r"[A-Za-z0-9.]+/[A-Z0-9]+(:BTNL)?"),
    "aclass_base": Words("currency", "tokenized_asset"), "base": str, "aclass_quote": Words("currency"), "quote": str,
    "lot": Words("unit", "unit5"), "cost_decimals": int, "pair_decimals": int, "lot_decimals": int,
    "lot_multiplier": int, "leverage_buy": [int], "leverage_sell": [int], "fees": (), "fees_maker": (),
    "fee_volume_currency": Words("ZUSD"), "margin_call": int, "margin_stop": int, "ordermin": DECIMAL,
    "costmin": DECIMAL, "tick_size": DECIMAL, "status?": STATUS,
    "execution_venue": Words("international", "bitnomial_exchange"),
    "long_position_limit?": int, "short_position_limit?": int,
}  # fmt: skip
# 25 September 2026, and about 2022 for those without a collateral value.
ASSET = {
    "aclass": Words("currency", "tokenized_asset"), "altname": str, "decimals": int, "display_decimals": int,
    "collateral_value?": float, "margin_rate?": DECIMAL,
    "status": Words("enabled", "deposit_only", "withdrawal_only", "funding_temporarily_disabled"),
}  # fmt: skip
# 2026, month unknown; 4 October 2026 for an empty book.
TICKER = {
    "a": (PRICE, DIGITS, DECIMAL), "b": (PRICE, DIGITS, DECIMAL), "c": (PRICE, DECIMAL), "v": (DECIMAL, DECIMAL),
    "p": (PRICE, PRICE), "t": (int, int), "l": (PRICE, PRICE), "h": (PRICE, PRICE), "o": PRICE,
}  # fmt: skip
# 25 September 2026: prices in the pair's decimals.
CANDLE = (WHOLE, *[Text(r"\d+\.\d")] * 4, Text(r"\d+\.\d"), Text(r"\d+\.\d{8}"), WHOLE)
TRADE = (
    PRICE, Text(r"\d+\.\d{8}"), Either(int, float), Words("b", "s"), Words("l", "m"), str, WHOLE,
)  # fmt: skip
# 11 November 2025.
LEVEL = (PRICE, Text(r"\d+\.\d{3}"), WHOLE)
BOOK = {"asks": [LEVEL], "bids": [LEVEL]}
# Kraken's reference pages, May 2026.
GROUPED = {"price": PRICE, "qty": DECIMAL}
INSTRUMENT = {
    "symbol": Text(SLASHED), "description": str, "base_asset": str, "quote_asset": str, "quote_notation": Words("MONE"),
}  # fmt: skip
OFFER = {"price": DECIMAL, "qty": DECIMAL, "count": int, "publication_ts": MOMENT}
PUBLISHED = {
    **INSTRUMENT, "trade_id": ID, "price": DECIMAL, "quantity": DECIMAL, "base_notation": Words("UNIT"),
    "trade_venue": Words("PGSL"), "trade_ts": MOMENT, "publication_venue": Words("PGSL"), "publication_ts": MOMENT,
}  # fmt: skip

SHAPES: list[tuple[str, dict[str, str], Shape]] = [
    ("AssetPairs", {}, Each(PAIR, NAME)),
    ("AssetPairs", {"aclass_base": "tokenized_asset"}, Each(PAIR, NAME)),
    ("AssetPairs", {"execution_venue": "bitnomial_exchange"}, Each(PAIR, NAME + ":BTNL")),
    ("AssetPairs", {"pair": "BTC/USD,XETHZUSD"}, {"BTC/USD": PAIR, "XETHZUSD": PAIR}),
    ("Assets", {}, Each(ASSET, NAME)),
    ("Assets", {"aclass": "tokenized_asset"}, Each(ASSET, NAME)),
    ("Ticker", {}, Each(TICKER, NAME)),
    ("Ticker", {"pair": "BTC/USD,ADAEUR"}, {"BTC/USD": TICKER, "ADAEUR": TICKER}),
    ("Ticker", {"asset_class": "tokenized_asset"}, Each(TICKER, NAME)),
    ("OHLC", {"pair": "BTC/USD"}, {"BTC/USD": [CANDLE], "last": int}),  # 25 September 2026
    ("OHLC", {"pair": "XBTUSDT"}, {"XBTUSDT": [CANDLE], "last": int}),  # 11 November 2025
    ("Trades", {"pair": "BTC/USD"}, {"BTC/USD": [TRADE], "last": DIGITS}),  # 25 September 2026
    ("Depth", {"pair": "XBTUSDT", "count": "5"}, {"XBTUSDT": BOOK}),
    ("Spread", {"pair": "XBTUSD"}, {"XXBTZUSD": [(WHOLE, PRICE, PRICE)], "last": int}),  # a page of 2023
    ("Time", {}, {"unixtime": int, "rfc1123": Text(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d \+0000")}),
    ("SystemStatus", {}, {"status": Words("online"), "timestamp": MOMENT}),  # both of 11 November 2025
    ("GroupedBook", {"pair": "BTC/USD", "grouping": "100"},
     {"pair": Text(SLASHED), "grouping": int, "bids": [GROUPED], "asks": [GROUPED]}),
    ("PreTrade", {"symbol": "BTC/USD"},
     {**INSTRUMENT, "base_notation": Words("NOML"), "venue": Words("PGSL"), "system": Words("CLOB"),
      "bids": [{"side": Words("BUY"), **OFFER}], "asks": [{"side": Words("SELL"), **OFFER}]}),
    ("PostTrade", {"count": "7"}, {"last_ts": MOMENT, "count": int, "trades": [PUBLISHED]}),
    ("MaintenanceSchedule", {}, {"events": ()}),
]  # fmt: skip

Reply = dict[str, Any]
Ask = Callable[..., Reply]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Ask a simulator with today's rules, or one of 2025."""
    with Simulator() as today, Simulator(rules=Rules.of_2025()) as former:
        yield lambda name, old=False, **params: public(former if old else today, name, params)


def public(sim: Simulator, name: str, params: dict[str, str]) -> Reply:
    connection = http.client.HTTPConnection("127.0.0.1", sim.port, timeout=30)
    connection.request("GET", f"/0/public/{name}?{urllib.parse.urlencode(params)}")
    told: Reply = json.loads(connection.getresponse().read())
    connection.close()
    return told


@pytest.mark.parametrize(("name", "params", "shape"), SHAPES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_reply_has_the_recorded_shape(ask: Ask, name: str, params: dict[str, str], shape: Shape) -> None:
    told = ask(name, **params)
    assert differences(told, {"error": (), "result": shape}) == []
    assert told["result"]


def test_the_catalogue_has_rows_of_every_recorded_kind(ask: Ask) -> None:
    rows = ask("AssetPairs")["result"].values()
    assert len(rows) >= 60
    assert {row["lot"] for row in rows} == {"unit", "unit5"}
    assert all(row["lot_decimals"] == {"unit": 8, "unit5": 5}[row["lot"]] for row in rows)
    assert {"online", "cancel_only", "post_only", None} <= {row.get("status") for row in rows}
    assert any("long_position_limit" not in row for row in rows)
    assert any(row["leverage_buy"] and not row["leverage_sell"] and row["short_position_limit"] == 0 for row in rows)
    assert any(row.get("long_position_limit", 0) > 2**32 for row in rows)
    assert all(bool(row["leverage_buy"]) == ("long_position_limit" in row) for row in rows)
    assert all(row["tick_size"] == f"{10 ** -row['pair_decimals']:.{row['pair_decimals']}f}" for row in rows)
    bases, quotes = {row["base"] for row in rows}, {row["quote"] for row in rows}
    assert bases | quotes <= ask("Assets")["result"].keys()


def test_no_two_pairs_share_a_name(ask: Ask) -> None:
    names = [{name, row["altname"], row["wsname"]} for name, row in ask("AssetPairs")["result"].items()]
    assert sum(map(len, names)) == len(set().union(*names))


def test_the_rows_of_2025_have_fees_and_a_status_and_no_venue(ask: Ask) -> None:
    fees = [[0, 0.4], [10000, 0.35], [50000, 0.24]]
    for row in ask("AssetPairs", old=True)["result"].values():
        assert (row["fees"], "status" in row, "execution_venue" in row) == (fees, True, False)
