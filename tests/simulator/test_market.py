"""The market of the simulator: what its pairs are called, which are hidden, and what a public call too many meets.

The facts are Kraken's of 2026, as replies that were published tell them.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import krakenex
import pytest

from engine.simulator import Fault, Rules, Simulator

UNKNOWN = ["EQuery:Unknown asset pair"]
WRONG = ["EGeneral:Invalid arguments"]
OF_ONE_PAIR = ("AssetPairs", "Ticker", "OHLC", "Depth", "Trades", "Spread")
SHARE = {"pair": "AAPLxUSD", "type": "buy", "ordertype": "limit", "price": "150.25", "volume": "1.5"}
ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.01"}
AT_BITNOMIAL = {**ORDER, "pair": "XBTUSD:BTNL", "leverage": "2"}
VALIDATE = {"validate": "true"}

Reply = dict[str, Any]


class Client:
    """A client of a simulator: public calls by hand, private ones with krakenex."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self._api = krakenex.API(sim.accounts[0].key, sim.accounts[0].secret)
        self._api.uri = sim.url
        self._api._nonce = itertools.count(1).__next__

    def raw(self, name: str, method: str = "GET", **params: str) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer as it is, and its body."""
        query = urllib.parse.urlencode(params)
        target, body = (f"?{query}", None) if method == "GET" else ("", query)
        connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=30)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, f"/0/public/{name}{target}", body, form if body else {})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer, data

    def __call__(self, name: str, method: str = "GET", **params: str) -> Reply:
        """The reply to a public call."""
        told: Reply = json.loads(self.raw(name, method, **params)[1])
        return told

    def order(self, **params: str) -> Reply:
        """The reply to `AddOrder`."""
        told: Reply = self._api.query_private("AddOrder", params)
        return told

    def close(self) -> None:
        self._api.close()


Connect = Callable[[Rules | None], Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with contextlib.ExitStack() as stack:

        def connected(rules: Rules | None = None) -> Client:
            sim = stack.enter_context(Simulator(rules=rules))
            sim.set_balance("MASTER", {"ZUSD": "100000.0000", "AAPLx": "3.5"})
            client = Client(sim)
            stack.callback(client.close)
            return client

        yield connected


@pytest.fixture
def kraken(connect: Connect) -> Client:
    return connect(None)


# Names


@pytest.mark.parametrize("name", OF_ONE_PAIR)
@pytest.mark.parametrize(
    ("asked", "key"),
    [("BTC/USD", "BTC/USD"), ("DOGE/USD", "DOGE/USD"), ("ETH/BTC", "ETH/BTC"), ("XBTUSD", "XXBTZUSD"),
     ("XXBTZUSD", "XXBTZUSD"), ("XDGUSD", "XDGUSD"), ("ETH/USD", "ETH/USD")],
)  # fmt: skip
def test_a_name_with_a_slash_comes_back_and_any_other_becomes_the_id(
    kraken: Client, name: str, asked: str, key: str
) -> None:
    assert set(kraken(name, pair=asked)["result"]) - {"last"} == {key}


@pytest.mark.parametrize("name", OF_ONE_PAIR)
@pytest.mark.parametrize(
    "asked",
    ["XBT/USD", "XDG/USD", "ETH/XBT", "BTCUSD", "xbtusd", "btc/usd", "XBTUSD:BTNL", "AAPLxUSD", "AAPLx/USD", ""],
)
def test_other_names_are_unknown(kraken: Client, name: str, asked: str) -> None:
    assert kraken(name, pair=asked) == {"error": UNKNOWN}


@pytest.mark.parametrize(
    ("asked", "error"),
    [("BTC/USD", []), ("XBTUSD", []), ("XXBTZUSD", []), ("XBT/USD", UNKNOWN), ("BTCUSD", UNKNOWN), ("xbtusd", UNKNOWN)],
)
def test_an_order_names_its_pair_in_the_same_way(kraken: Client, asked: str, error: list[str]) -> None:
    assert kraken.order(**ORDER | VALIDATE | {"pair": asked})["error"] == error


def test_assets_go_by_id_and_altname(kraken: Client) -> None:
    assert kraken("Assets", asset="XBT,ZUSD")["result"].keys() == {"XXBT", "ZUSD"}
    for unknown in ("BTC", "xbt", "AAPLx"):
        assert kraken("Assets", asset=unknown) == {"error": ["EQuery:Unknown asset"]}


def test_names_were_others_in_2025(connect: Connect) -> None:
    kraken = connect(Rules.of_2025())
    for name in OF_ONE_PAIR:
        assert set(kraken(name, pair="XBT/USD")["result"]) - {"last"} == {"XXBTZUSD"}
        assert kraken(name, pair="BTC/USD") == {"error": UNKNOWN}
    assert kraken.order(**ORDER | {"pair": "XBT/USD"})["error"] == []


# Parts of an answer


def test_ticker_with_an_unknown_name_tells_the_others(kraken: Client) -> None:
    told = kraken("Ticker", pair="XBTUSD,NOPEUSD,ETH/USD")
    assert told["error"] == UNKNOWN
    assert told["result"].keys() == {"XXBTZUSD", "ETH/USD"}
    assert kraken("Ticker", pair="NOPEUSD,XBTUSD:BTNL") == {"error": UNKNOWN}


def test_ticker_can_refuse_all_because_of_one(connect: Connect) -> None:
    kraken = connect(Rules(partial_ticker=False))
    assert kraken("Ticker", pair="XBTUSD,NOPEUSD") == {"error": UNKNOWN, "result": {}}
    assert kraken("Ticker", pair="XBTUSD")["error"] == []


def test_the_list_of_pairs_is_refused_as_a_whole(kraken: Client) -> None:
    assert kraken("AssetPairs", pair="XBTUSD,NOPEUSD") == {"error": UNKNOWN}


@pytest.mark.parametrize(
    ("info", "fields"),
    [("leverage", {"leverage_buy", "leverage_sell"}), ("margin", {"margin_call", "margin_stop"}),
     ("fees", {"fees", "fees_maker", "fee_volume_currency"})],
)  # fmt: skip
def test_a_part_of_the_rows_can_be_asked_for(kraken: Client, info: str, fields: set[str]) -> None:
    assert kraken("AssetPairs", pair="XBTUSD", info=info)["result"]["XXBTZUSD"].keys() == fields
    assert kraken("AssetPairs", pair="XBTUSD", info=info + "s")["error"] == WRONG


# Tokenized assets


def test_each_share_is_listed_twice_under_one_altname(kraken: Client) -> None:
    rows = kraken("AssetPairs", aclass_base="tokenized_asset")["result"]
    assert {row["aclass_base"] for row in rows.values()} == {"tokenized_asset"}
    assert rows["AAPLxUSD"]["altname"] == rows["AAPLSPVUSD"]["altname"] == "AAPLxUSD"
    assert rows["AAPLxUSD"]["wsname"] == rows["AAPLSPVUSD"]["wsname"] == "AAPLx/USD"
    assert (rows["BRK.BxUSD"]["base"], rows["SNxUSD"]["base"]) == ("BRK.Bx", "SNx")
    tickers = kraken("Ticker", pair="AAPLxUSD,AAPLSPVUSD", asset_class="tokenized_asset")["result"]
    assert tickers["AAPLxUSD"]["c"] != tickers["AAPLSPVUSD"]["c"]


@pytest.mark.parametrize(
    ("name", "key"),
    [("AssetPairs", "aclass_base"), ("Assets", "aclass"), ("Ticker", "asset_class"), ("OHLC", "asset_class"),
     ("Depth", "asset_class"), ("Trades", "asset_class"), ("Spread", "asset_class")],
)  # fmt: skip
def test_tokenized_assets_are_hidden_until_their_class_is_named(kraken: Client, name: str, key: str) -> None:
    asked = {"asset": "BRK.Bx"} if name == "Assets" else {"pair": "BRK.BxUSD"}
    assert kraken(name, **asked)["error"]
    assert set(kraken(name, **asked, **{key: "tokenized_asset"})["result"]) - {"last"} == set(asked.values())
    assert kraken(name, **asked, **{key: "derivative"}) == {"error": WRONG}
    coin = {"asset": "XBT"} if name == "Assets" else {"pair": "XBTUSD"}
    assert kraken(name, **coin, **{key: "tokenized_asset"})["error"]


def test_an_order_of_a_share_names_its_class(kraken: Client) -> None:
    assert kraken.order(**SHARE) == {"error": UNKNOWN}
    assert kraken.order(**SHARE, asset_class="currency") == {"error": WRONG}
    assert kraken.order(**ORDER, asset_class="tokenized_asset") == {"error": UNKNOWN}
    assert kraken.order(**SHARE, asset_class="tokenized_asset")["result"]["txid"]
    assert [placed.params["asset_class"] for placed in kraken.sim.placements("MASTER")] == ["tokenized_asset"]


# The other venue


def test_pairs_of_another_venue_have_a_list_of_their_own(kraken: Client, connect: Connect) -> None:
    def venues(told: Reply) -> set[str]:
        return {row["execution_venue"] for row in told["result"].values()}

    there = kraken("AssetPairs", execution_venue="bitnomial_exchange")
    assert venues(there) == {"bitnomial_exchange"}
    assert all(name.endswith(":BTNL") for name in there["result"])
    assert there["result"]["XBTUSD:BTNL"]["tick_size"] == "1"
    assert venues(kraken("AssetPairs")) == {"international"}
    assert kraken("AssetPairs", execution_venue="elsewhere") == {"error": WRONG}
    assert venues(connect(Rules(all_venues_listed=True))("AssetPairs")) == {"international", "bitnomial_exchange"}


def test_a_leveraged_order_of_a_us_client_under_the_plain_name_is_refused_unless_dry(kraken: Client) -> None:
    kraken.sim.set_us_retail("MASTER")
    leveraged = {**ORDER, "leverage": "2"}
    assert kraken.order(**leveraged, **VALIDATE)["error"] == []
    assert kraken.order(**leveraged) == {"error": ["EOrder:Reduce only:Non-ECP"]}
    assert kraken.order(**ORDER)["error"] == []
    assert kraken.order(**AT_BITNOMIAL)["result"]["txid"]
    assert kraken.order(**AT_BITNOMIAL | {"leverage": "11"}) == {"error": ["EGeneral:Invalid arguments:leverage"]}
    assert kraken.order(**AT_BITNOMIAL | {"price": "30000.5"})["error"][0].startswith("EOrder:Invalid price")


def test_other_clients_are_refused_at_the_other_venue(kraken: Client) -> None:
    there = {**ORDER, "pair": "XBTUSD:BTNL"}
    assert kraken.order(**there, **VALIDATE)["error"] == []
    assert kraken.order(**there) == {"error": ["EAccount:Invalid permissions"]}
    assert kraken.sim.placements("MASTER") == []


# Odd pairs


@pytest.mark.parametrize(
    ("changed", "error"),
    [({"pair": "XXMRZUSD", "price": "100"}, "EService:Market in cancel_only mode"),
     ({"pair": "XMLNZUSD", "price": "10"}, "EService:Market in post_only mode"),
     ({"pair": "ZEUSUSD", "price": "0.1"}, "EService:Market in reduce_only mode"),
     ({"pair": "AVAXUSD", "price": "20", "volume": "1.000001"}, "EGeneral:Invalid arguments:volume")],
)  # fmt: skip
def test_a_pair_takes_what_its_row_says(kraken: Client, changed: dict[str, str], error: str) -> None:
    assert kraken.order(**{**ORDER, "volume": "100", **changed}) == {"error": [error]}


@pytest.mark.parametrize(
    "changed",
    [{"pair": "XMLNZUSD", "price": "10", "oflags": "post"}, {"pair": "ALGOUSD", "price": "0.1"},
     {"pair": "AVAXUSD", "price": "20", "volume": "1.00001"}, {"pair": "AVAXUSD", "price": "20", "volume": "1.000010"}],
)  # fmt: skip
def test_a_pair_takes_everything_else(kraken: Client, changed: dict[str, str]) -> None:
    assert kraken.order(**{**ORDER, "volume": "100", **changed})["error"] == []


def test_an_empty_book_is_told_with_zeros(kraken: Client) -> None:
    rows = kraken("Ticker", pair="ADBExUSD,CRWVxUSD", asset_class="tokenized_asset")["result"]
    nothing = ["0.00000", "0", "0.000"]
    assert (rows["ADBExUSD"]["a"], rows["ADBExUSD"]["c"]) == (nothing, ["0.00000", "0.000000"])
    assert rows["ADBExUSD"]["b"][0] != "0.00000"
    assert (rows["CRWVxUSD"]["a"], rows["CRWVxUSD"]["b"]) == (nothing, nothing)
    kraken.sim.set_price("XBTUSD", "30000", "0")
    row = kraken("Ticker", pair="XBTUSD")["result"]["XXBTZUSD"]
    assert (row["a"], row["b"][0]) == (nothing, "30000.00000")
    assert kraken("Depth", pair="XBTUSD")["result"]["XXBTZUSD"]["asks"] == []


def test_nothing_is_filled_from_an_empty_book(kraken: Client) -> None:
    kraken.sim.set_price("XBTUSD", "30000", "0")
    kraken.order(**ORDER | {"price": "90000"})
    kraken.order(pair="XBTUSD", type="buy", ordertype="market", volume="0.01")
    resting, market = kraken.sim.orders("MASTER")
    assert (resting["status"], resting["vol_exec"]) == ("open", "0.00000000")
    assert (market["status"], market["vol_exec"]) == ("canceled", "0.00000000")


@pytest.mark.parametrize(("bid", "ask"), [("2", "1"), ("1", "1"), ("-1", "1"), ("1", "-1")])
def test_a_price_is_no_other(kraken: Client, bid: str, ask: str) -> None:
    with pytest.raises(ValueError, match="below"):
        kraken.sim.set_price("XBTUSD", bid, ask)


def test_a_grouped_book_rounds_asks_up_and_bids_down(kraken: Client) -> None:
    kraken.sim.set_price("XBTUSD", "29999.9", "30000.1")
    book = kraken("GroupedBook", pair="XBTUSD", grouping="10", depth="10")["result"]
    assert (book["pair"], book["grouping"]) == ("BTC/USD", 10)
    assert book["asks"][0] == {"price": "30001.00000", "qty": "10.00000000"}
    assert book["bids"][0] == {"price": "29999.00000", "qty": "10.00000000"}
    assert [len(book[side]) for side in ("asks", "bids")] == [10, 10]
    for wrong in ({"grouping": "7"}, {"depth": "11"}):
        assert kraken("GroupedBook", pair="XBTUSD", **wrong)["error"] == WRONG


def test_trades_are_published_in_order(kraken: Client) -> None:
    for ask in ("30001", "30002", "30003"):
        kraken.sim.set_price("XBTUSD", "30000", ask)
    told = kraken("PostTrade", symbol="BTC/USD", count="2")["result"]
    assert ([trade["price"] for trade in told["trades"]], told["count"]) == (["30002.00000", "30003.00000"], 2)
    assert told["last_ts"] == told["trades"][-1]["trade_ts"]
    assert kraken("PostTrade", symbol="BTC/USD", from_ts=told["last_ts"])["result"]["count"] == 0
    for wrong in ({"count": "1001"}, {"from_ts": "yesterday"}, {"symbol": "XBT/USD"}):
        assert kraken("PostTrade", **wrong)["error"]


# How public calls come, and how many


def test_a_public_call_by_post_is_refused_unless_the_rules_take_it(kraken: Client, connect: Connect) -> None:
    assert kraken("Ticker", "POST", pair="XBTUSD") == {"error": ["EAPI:Bad request"]}
    taking = connect(Rules(public_post=True))
    assert taking("Ticker", "POST", pair="XBTUSD") == taking("Ticker", pair="XBTUSD")


@pytest.mark.parametrize(
    ("refusal", "status", "body", "retry"),
    [("empty", 200, b"", None), ("error", 200, b'{"error":["EGeneral:Too many requests"]}', None),
     ("429", 429, b'{"error":["EGeneral:Too many requests"]}', "4")],
)  # fmt: skip
def test_a_public_call_too_many(connect: Connect, refusal: str, status: int, body: bytes, retry: str | None) -> None:
    now = 0.0
    rules = Rules(public_limit=(2, 0.25), public_refusal=refusal, monotonic=lambda: now)
    kraken = connect(rules)
    for _ in range(2):
        assert kraken("Time")["result"]
    answer, told = kraken.raw("Time")
    assert (answer.status, told, answer.getheader("Retry-After")) == (status, body, retry)
    now = 4.0
    assert kraken("Time")["result"]


def test_a_private_call_too_many_can_tell_when_to_come_again(connect: Connect) -> None:
    rules = Rules(call_limit=(1, 0.5), rate_limit_time=True, wall=lambda: 1_790_000_000.0, monotonic=lambda: 0.0)
    kraken = connect(rules)
    assert kraken._api.query_private("Balance")["error"] == []
    assert kraken._api.query_private("Balance") == {"error": ["EAPI:Rate limit exceeded: 1790000002"]}


def test_a_fault_can_tell_when_to_come_again(kraken: Client) -> None:
    kraken.sim.fault(Fault.http(429, retry_after="7", endpoint="Time", times=1))
    answer, told = kraken.raw("Time")
    assert (answer.status, answer.getheader("Retry-After"), told[:9]) == (429, "7", b"<!DOCTYPE")
    assert kraken("Time")["result"]


def test_rules_are_named_once() -> None:
    assert Rules.of_2025(fees_told=False) == Rules(
        status_always=True, venues_told=False, wsnames_taken=True, names_echoed=False
    )
    with pytest.raises(ValueError, match="public_refusal is one of"):
        Rules(public_refusal="silence")
    with pytest.raises(TypeError, match="no_such_rule"):
        Simulator(no_such_rule=True)
