"""One market is one market, by whatever name it is asked for; and what goes out is a name that Kraken takes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.kraken.drift import MISSING, NEW, ODD
from engine.kraken.limits import TIERS, OrderAges
from engine.kraken.pair_names import (
    is_named,
    market_key,
    market_of,
    name_of,
    names_of,
    spelled,
    ticker_params,
    with_names,
)
from engine.kraken.pair_rows import find_rows
from engine.kraken.pairs import read_pairs
from engine.kraken.trades import use_of
from engine.rules.lane.admission import Admission
from engine.values import Pair

ROW: dict[str, Any] = {
    "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT", "aclass_quote": "currency",
    "quote": "ZUSD", "lot": "unit5", "cost_decimals": 5, "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1,
    "leverage_buy": [], "leverage_sell": [], "fees": [], "fees_maker": [], "fee_volume_currency": "ZUSD",
    "margin_call": 80, "margin_stop": 40, "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1",
    "status": "online", "execution_venue": "international",
}  # fmt: skip
SHARE = {**ROW, "altname": "AAPLxUSD", "wsname": "AAPLx/USD", "aclass_base": "tokenized_asset", "base": "AAPLx"}

# Ids, altnames and names with a slash of pairs that Kraken lists (2025 and 2026).
LISTED = [
    ("XXBTZUSD", "XBTUSD", "XBT/USD"), ("XETHXXBT", "ETHXBT", "ETH/XBT"), ("XXDGXXBT", "XDGXBT", "XDG/XBT"),
    ("XDGUSD", "XDGUSD", "XDG/USD"), ("XXBTEUROP", "XBTEUROP", "XBT/EUROP"), ("USDTZUSD", "USDTUSD", "USDT/USD"),
    ("XTZUSD", "XTZUSD", "XTZ/USD"), ("ZEURZUSD", "EURUSD", "EUR/USD"), ("ZUSDZJPY", "USDJPY", "USD/JPY"),
    ("DOGEUR", "DOGEUR", "DOG/EUR"), ("SUNDOGEUR", "SUNDOGEUR", "SUNDOG/EUR"), ("ADAXBT", "ADAXBT", "ADA/XBT"),
    ("WBTCXBT", "WBTCXBT", "WBTC/XBT"), ("XXRPZCAD", "XRPCAD", "XRP/CAD"), ("1INCHEUR", "1INCHEUR", "1INCH/EUR"),
    ("XAUTUSD", "XAUTUSD", "XAUT/USD"), ("ZRXXBT", "ZRXXBT", "ZRX/XBT"), ("XETHZGBP", "ETHGBP", "ETH/GBP"),
]  # fmt: skip


def _shown(wsname: str) -> str:
    return "/".join({"XBT": "BTC", "XDG": "DOGE"}.get(each, each) for each in wsname.split("/"))


def _names(market: tuple[str, str, str]) -> list[str]:
    known = [*market, _shown(market[2]), _shown(market[2]).replace("/", "")]
    return [*known, *(name.lower() for name in known)]


@given(market=st.sampled_from(LISTED), data=st.data())
def test_every_name_of_a_market_is_spelled_as_kraken_takes_it_and_has_one_key(
    market: tuple[str, str, str], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(_names(market)))
    sent = spelled(name)
    assert sent in (market[0], market[1], _shown(market[2]))
    assert not sent.startswith(("XBT/", "XDG/"))
    assert not sent.endswith(("/XBT", "/XDG"))
    assert spelled(sent) == sent
    assert market_key(name) == market[1]


@given(one=st.sampled_from(LISTED), other=st.sampled_from(LISTED), data=st.data())
def test_two_markets_never_have_one_key(one: Any, other: Any, data: st.DataObject) -> None:
    assume(one != other)
    names = [data.draw(st.sampled_from(_names(each))) for each in (one, other)]
    assert market_key(names[0]) != market_key(names[1])


@given(st.text(max_size=20))
def test_any_text_can_be_spelled(name: str) -> None:
    assert spelled(spelled(name)) == spelled(name)
    assert isinstance(market_key(name), str)


@pytest.mark.parametrize("name", ["SNxUSD", "AAPLxUSD", "AAPLx/USD", "BRK.BxUSD"])
def test_the_name_of_a_share_stays_as_it_is(name: str) -> None:
    assert spelled(name) == name
    assert market_key(name) == name.replace("/", "") != market_key(name.upper())


def pair(key: str = "XXBTZUSD", **changes: Any) -> Pair:
    """The pair of that row; a change to `None` leaves the field out."""
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not None}
    return read_pairs({key: row})[key]


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("XXBTZUSD", {}), ("BTC/USD", {}), ("XBTUSD", {}), ("BTC/USD", {"base": "BTC", "quote": "USD"}),
        ("BTC/USD", {"base": None, "quote": None}), ("XXBTZUSD", {"wsname": None}), ("BTC/USD", {"altname": "BTC/USD"}),
    ],
)  # fmt: skip
def test_the_identity_of_a_market_is_what_the_row_says_and_never_the_key(key: str, changes: dict[str, Any]) -> None:
    market = pair(key, **changes)
    assert market_of(market) == "XBT/USD"
    assert name_of(market) in ("XBTUSD", "BTC/USD")
    assert all(is_named(market, name) for name in _names(("XXBTZUSD", "XBTUSD", "XBT/USD")))
    assert not is_named(market, "XBTEUR")


def test_a_venue_makes_another_market() -> None:
    here, there = pair(), pair("XBTUSD:BTNL", altname="XBTUSD:BTNL", execution_venue="bitnomial_exchange")
    unnamed = pair("OTHER", altname="XBTUSD", execution_venue="bitnomial_exchange")
    bare = pair("XBTUSD:BTNL", altname="XBTUSD:BTNL", wsname="XBT/USD:BTNL", base=None, quote=None)
    assert market_of(bare) == market_of(there)
    assert (here.venue, there.venue, unnamed.venue) == ("", "BTNL", "BTNL")
    assert market_of(there) == market_of(unnamed) == "XBT/USD:BTNL" != market_of(here)
    assert name_of(there) == "XBTUSD:BTNL"
    assert is_named(there, "xbtusd:btnl")
    assert not is_named(there, "XBTUSD")
    assert not is_named(here, "XBTUSD:BTNL")


def test_two_listings_of_a_share_are_two_markets_and_the_shared_name_means_the_one_that_is_called_so() -> None:
    for rows in ({"AAPLxUSD": SHARE, "AAPLSPVUSD": SHARE}, {"AAPLSPVUSD": SHARE, "AAPLxUSD": SHARE}):
        found = read_pairs(rows)
        share, token = found["AAPLxUSD"], found["AAPLSPVUSD"]
        assert found["AAPLx/USD"] is share
        assert market_of(share) != market_of(token)
        assert (name_of(share), name_of(token)) == ("AAPLxUSD", "AAPLSPVUSD")
        assert names_of(token) == ("AAPLSPVUSD",)
        assert not is_named(token, "AAPLxUSD")
        prices = {"AAPLSPVUSD": 1, "AAPLxUSD": 2}
        assert find_rows(prices, [share, token]) == prices
        assert ticker_params([share, token]) == {"pair": "AAPLxUSD,AAPLSPVUSD", "asset_class": "tokenized_asset"}


@pytest.mark.parametrize("known_as", ["XXBTZUSD", "BTC/USD"])
@pytest.mark.parametrize("key", ["XXBTZUSD", "XBTUSD", "BTC/USD", "XBT/USD"])
def test_a_row_of_a_reply_is_found_under_any_key(known_as: str, key: str) -> None:
    rows = {"XETHZUSD": "no", key: "yes"}
    assert find_rows(rows, [pair(known_as)]) == {known_as: "yes"}
    assert find_rows({"XETHZUSD": "no"}, [pair(known_as)]) == {}


@pytest.mark.parametrize(
    ("endpoint", "given_", "sent"),
    [
        ("AddOrder", {"pair": "XBT/USD"}, {"pair": "BTC/USD"}),
        ("AddOrder", {"pair": "xbtusd", "volume": 1}, {"pair": "XBTUSD", "volume": 1}),
        ("Ticker", {"pair": "XBT/USD, dogeusd"}, {"pair": "BTC/USD,XDGUSD"}),
        ("Ticker", {"pair": "XXBTZUSD"}, {"pair": "XXBTZUSD"}),
        ("AddOrder", {"pair": "AAPLxUSD"}, {"pair": "AAPLxUSD", "asset_class": "tokenized_asset"}),
        ("AddOrderBatch", {"pair": "BRK.BxUSD"}, {"pair": "BRK.BxUSD", "asset_class": "tokenized_asset"}),
        ("AssetPairs", {"pair": "AAPLx/USD"}, {"pair": "AAPLx/USD", "aclass_base": "tokenized_asset"}),
        ("Ticker", {"pair": "AAPLxUSD,XBTUSD"}, {"pair": "AAPLxUSD,XBTUSD"}),
        ("AddOrder", {"pair": "snxusd", "asset_class": "tokenized_asset"}, None),
        ("TradeVolume", {"pair": "xbt/usd"}, {"pair": "BTC/USD"}),
        ("CancelOrder", {"txid": "O1"}, None),
        ("AddOrder", {"pair": 7}, None),
    ],
)
def test_a_call_carries_names_that_kraken_takes(endpoint: str, given_: dict[str, Any], sent: Any) -> None:
    before = dict(given_)
    assert with_names(endpoint, given_) == (given_ if sent is None else sent)
    assert given_ == before


def test_a_call_for_a_market_that_is_known_needs_no_rule_for_its_spelling() -> None:
    token = read_pairs({"AAPLSPVUSD": SHARE})["AAPLSPVUSD"]
    known = {"AAPLSPVUSD": token, "BTC/USD": pair(), "btc/usd": pair()}
    sent = with_names("EditOrder", {"pair": "AAPLSPVUSD"}, known.get)
    assert sent == {"pair": "AAPLSPVUSD", "asset_class": "tokenized_asset"}
    assert with_names("Ticker", {"pair": "BTC/USD"}, known.get) == {"pair": "BTC/USD"}
    assert with_names("AddOrder", {"pair": "btc/usd"}, known.get) == {"pair": "XBTUSD"}


@given(st.lists(st.sampled_from(_names(("XXBTZUSD", "XBTUSD", "XBT/USD"))), min_size=1, max_size=8))
def test_one_market_has_one_trading_counter(names: list[str]) -> None:
    counter = Admission(TIERS["starter"])
    for name in names:
        charged, points = use_of("AddOrder", {"pair": name}, OrderAges(), 0.0)
        assert charged is not None
        counter = counter.traded(points, charged, 0.0)
    assert counter.trades_levels(0.0) == {"XBTUSD": pytest.approx(len(names))}


# What a row must have

OPTIONAL = [
    "altname", "wsname", "aclass_base", "base", "aclass_quote", "quote", "lot", "cost_decimals", "pair_decimals",
    "lot_decimals", "lot_multiplier", "leverage_buy", "leverage_sell", "fees", "fees_maker", "fee_volume_currency",
    "margin_call", "margin_stop", "ordermin", "costmin", "tick_size", "status", "execution_venue",
]  # fmt: skip
TOGETHER = ({"tick_size", "pair_decimals"}, {"base", "wsname"}, {"quote", "wsname"})
"""Of each of these one is needed."""


@given(
    gone=st.sets(st.sampled_from(OPTIONAL)),
    odd=st.dictionaries(st.sampled_from(OPTIONAL), st.sampled_from([None, [], {}, True, -1, "x y", Decimal("NaN")])),
)
def test_a_row_is_read_unless_it_lacks_what_an_order_needs(gone: set[str], odd: dict[str, Any]) -> None:
    lost = gone | set(odd)
    assume(not any(each <= lost for each in TOGETHER))
    assume(not {"base", "quote", "wsname", "altname", "aclass_base", "execution_venue", "status"} & set(odd))
    row = {name: value for name, value in ({**ROW, **odd}).items() if name not in gone}
    found = read_pairs({"XXBTZUSD": row})["XXBTZUSD"]
    assert market_of(found) == "XBT/USD"
    assert (found.tick_size, found.pair_decimals) == (Decimal("0.1"), 1)
    assert found.ordermin > 0
    assert found.status == ("" if "status" in gone else "online")
    assert found.fee is None


@pytest.mark.parametrize("needed", [*TOGETHER])
def test_a_row_without_what_an_order_needs_is_left_out_and_spoils_no_other(needed: set[str]) -> None:
    notes: list[tuple[str, str]] = []
    bad = {name: value for name, value in ROW.items() if name not in needed}
    found = read_pairs({"BAD": bad, "WORSE": None, "XXBTZUSD": ROW}, note=lambda *said: notes.append(said))
    assert set(found) == {"XXBTZUSD", "XBTUSD", "XBT/USD"}
    assert notes.count(("row", ODD)) == 2
    assert {(name, MISSING) for name in needed - {"wsname"}} <= set(notes)


def test_what_is_new_missing_or_odd_in_a_row_is_noted_by_its_field() -> None:
    notes: list[tuple[str, str]] = []
    row = {**ROW, "ordermin": "much", "colour": "secret"}
    del row["status"]
    found = read_pairs({"XXBTZUSD": row}, note=lambda *said: notes.append(said))["XXBTZUSD"]
    assert sorted(notes) == [("colour", NEW), ("fees", MISSING), ("ordermin", ODD), ("status", MISSING)]
    assert found == replace(pair(), status="", ordermin=Decimal("0.00000001"))


def test_the_highest_fee_that_is_told_counts() -> None:
    assert pair(fees=[[0, Decimal("0.4")], [10000, Decimal("0.8")]]).fee == Decimal("0.008")
    assert pair(fees=[["x"]]).fee is None
