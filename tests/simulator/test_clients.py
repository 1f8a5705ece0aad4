"""The simulator as others see it: krakenex, python-kraken-sdk and ccxt, unmodified, trade on it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import ccxt
import kraken.exceptions
import krakenex
import pytest
from kraken.spot import Market, Trade, User

from engine.simulator import Rules, Simulator
from tests.simulator.clients import query

PAIR, SYMBOL, OTHER = "XBTUSD", "BTC/USD", "ETHUSD"
BID, ASK = "29999.9", "30000.0"
MAKER, TAKER = Decimal("0.004"), Decimal("0.008")  # of the first tier


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """MASTER has 10000 dollars and a bitcoin; a bitcoin costs 30000."""
    with Simulator() as simulator:
        simulator.set_balance("MASTER", {"ZUSD": "10000.0000", "XXBT": "1.0000000000"})
        simulator.set_price(PAIR, BID, ASK)
        yield simulator


# ccxt


@pytest.fixture
def exchange(sim: Simulator) -> Iterator[ccxt.kraken]:
    client = ccxt_of(sim)
    yield client
    client.session.close()


def ccxt_of(sim: Simulator) -> ccxt.kraken:
    master = sim.accounts[0]
    client = ccxt.kraken({"apiKey": master.key, "secret": master.secret, "enableRateLimit": False})
    client.urls["api"] |= {"public": sim.url, "private": sim.url}
    return client


def test_ccxt_reads_the_fees_that_kraken_told_in_2025() -> None:
    with Simulator(rules=Rules.of_2025()) as sim:
        client = ccxt_of(sim)
        market = client.load_markets()[SYMBOL]
        client.session.close()
    assert (market["taker"], market["maker"]) == (0.004, 0.0025)


def test_ccxt_reads_the_market(exchange: ccxt.kraken) -> None:
    markets = exchange.load_markets()
    assert {SYMBOL, "ETH/USD", "ETH/BTC", "USDT/USD", "BTC/EUR"} <= markets.keys()
    assert markets[SYMBOL]["taker"]
    assert markets[SYMBOL]["maker"]
    ticker = exchange.fetch_ticker(SYMBOL)
    assert (ticker["bid"], ticker["ask"]) == (float(BID), float(ASK))
    book = exchange.fetch_order_book(SYMBOL, 5)
    assert (book["bids"][0][0], book["asks"][0][0]) == (float(BID), float(ASK))
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["asks"] == sorted(book["asks"])
    assert book["bids"] == sorted(book["bids"], reverse=True)
    candles = exchange.fetch_ohlcv(SYMBOL, "1h", limit=1000)
    assert len(candles) > 2
    assert {after[0] - before[0] for before, after in itertools.pairwise(candles)} == {3_600_000}
    assert all(low <= min(first, last) <= max(first, last) <= high for _, first, high, low, last, _ in candles)
    assert float(BID) <= candles[-1][4] <= float(ASK)
    assert abs(exchange.fetch_time() / 1000 - time.time()) < 60
    assert exchange.fetch_status()["status"] == "ok"
    assert exchange.fetch_currencies()["BTC"]["id"] == "XXBT"


def test_ccxt_reads_trades_of_strangers(exchange: ccxt.kraken) -> None:
    trades = exchange.fetch_trades(SYMBOL)
    assert trades
    assert all(trade["price"] > 0 and trade["amount"] > 0 and trade["side"] in ("buy", "sell") for trade in trades)
    assert [trade["timestamp"] for trade in trades] == sorted(trade["timestamp"] for trade in trades)


def test_ccxt_lets_an_order_rest_and_cancels_it(sim: Simulator, exchange: ccxt.kraken) -> None:
    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.1, 29000, {"clientOrderId": "mine-1"})
    (rests,) = exchange.fetch_open_orders(SYMBOL)
    assert (rests["id"], rests["status"], rests["clientOrderId"]) == (placed["id"], "open", "mine-1")
    assert (rests["side"], rests["type"], rests["price"]) == ("buy", "limit", 29000)
    assert (rests["amount"], rests["filled"], rests["remaining"]) == (0.1, 0, 0.1)
    assert exchange.fetch_open_orders(params={"clientOrderId": "mine-2"}) == []
    dollars = exchange.fetch_balance()["USD"]
    assert dollars["total"] == 10000
    assert 2900 <= dollars["used"] <= 2900 * (1 + float(TAKER))
    exchange.cancel_order(placed["id"])
    assert exchange.fetch_open_orders() == []
    (canceled,) = exchange.fetch_closed_orders(SYMBOL)
    assert (canceled["id"], canceled["status"], canceled["filled"]) == (placed["id"], "canceled", 0)
    assert exchange.fetch_order(placed["id"])["status"] == "canceled"
    assert exchange.fetch_balance()["USD"] == {"free": 10000, "used": 0, "total": 10000}
    assert [(order.txid, order.params["cl_ord_id"]) for order in sim.placements("MASTER")] == [(placed["id"], "mine-1")]


def test_ccxt_fills_at_the_market_and_pays_for_it(exchange: ccxt.kraken) -> None:
    placed = exchange.create_order(SYMBOL, "market", "buy", 0.1)
    assert exchange.fetch_open_orders() == []
    (closed,) = exchange.fetch_closed_orders(SYMBOL)
    assert (closed["id"], closed["status"], closed["filled"]) == (placed["id"], "closed", 0.1)
    assert (closed["average"], closed["cost"]) == (30000, 3000)
    assert (float(closed["fee"]["cost"]), closed["fee"]["currency"]) == (24, "USD")
    (trade,) = exchange.fetch_my_trades(SYMBOL)
    assert (trade["order"], trade["price"], trade["amount"], trade["cost"]) == (placed["id"], 30000, 0.1, 3000)
    assert (trade["fee"]["cost"], trade["takerOrMaker"], trade["side"]) == (24, "taker", "buy")
    balance = exchange.fetch_balance()
    assert (balance["total"]["USD"], balance["total"]["BTC"]) == (10000 - 3000 - 24, 1.1)
    assert (balance["used"]["USD"], balance["used"]["BTC"]) == (0, 0)
    order = exchange.fetch_order(placed["id"])
    (same,) = exchange.fetch_order_trades(placed["id"], params={"trades": order["trades"]})
    assert same["id"] == trade["id"]


def test_ccxt_spends_an_amount_of_dollars(exchange: ccxt.kraken) -> None:
    exchange.create_market_buy_order_with_cost(SYMBOL, 600)
    (trade,) = exchange.fetch_my_trades(SYMBOL)
    assert (trade["cost"], trade["amount"]) == (600, 0.02)


def test_ccxt_sees_the_price_come_to_a_resting_order(sim: Simulator, exchange: ccxt.kraken) -> None:
    placed = exchange.create_order(SYMBOL, "limit", "sell", 0.5, 31000, {"postOnly": True})
    assert exchange.fetch_balance()["BTC"] == {"free": 0.5, "used": 0.5, "total": 1}
    sim.set_price(PAIR, "30999.9", "31000.0")
    assert exchange.fetch_my_trades(SYMBOL) == []
    sim.set_price(PAIR, "31000.0", "31000.1")
    (trade,) = exchange.fetch_my_trades(SYMBOL)
    assert (trade["order"], trade["price"], trade["takerOrMaker"]) == (placed["id"], 31000, "maker")
    assert trade["fee"]["cost"] == float(15500 * MAKER)
    balance = exchange.fetch_balance()
    assert (balance["total"]["USD"], balance["total"]["BTC"]) == (10000 + 15500 - 62, 0.5)
    assert exchange.fetch_ticker(SYMBOL)["bid"] == 31000


def test_ccxt_orders_that_may_not_rest_or_may_not_take(exchange: ccxt.kraken) -> None:
    exchange.create_order(SYMBOL, "limit", "buy", 0.1, 29000, {"timeInForce": "IOC"})
    taken = exchange.create_order(SYMBOL, "limit", "buy", 0.1, 30500, {"timeInForce": "IOC"})
    try:
        exchange.create_order(SYMBOL, "limit", "buy", 0.1, 30500, {"postOnly": True})
    except ccxt.ExchangeError as refused:
        assert "EOrder:Post only order" in str(refused)  # noqa: PT017 - both ways were seen
    assert exchange.fetch_open_orders() == []
    (trade,) = exchange.fetch_my_trades(SYMBOL)
    assert (trade["order"], trade["price"]) == (taken["id"], 30000)


def test_ccxt_amends_an_order_which_keeps_its_id(exchange: ccxt.kraken) -> None:
    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.1, 29000, {"clientOrderId": "mine-1"})
    exchange.edit_order(placed["id"], SYMBOL, "limit", "buy", 0.2, 28000)
    (rests,) = exchange.fetch_open_orders()
    assert (rests["id"], rests["clientOrderId"]) == (placed["id"], "mine-1")
    assert (rests["amount"], rests["price"]) == (0.2, 28000)
    assert 5600 <= exchange.fetch_balance()["USD"]["used"] <= 5600 * (1 + float(TAKER))


def test_ccxt_places_and_cancels_batches(exchange: ccxt.kraken) -> None:
    asked: list[dict[str, Any]] = [
        {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": price, "params": {}}
        for price in (29000, 28000, 27000)
    ]
    placed = [order["id"] for order in exchange.create_orders(asked)]
    assert {order["id"]: order["price"] for order in exchange.fetch_open_orders()} == dict(
        zip(placed, (29000, 28000, 27000), strict=True)
    )
    exchange.cancel_orders(placed[:2])
    assert [order["id"] for order in exchange.fetch_open_orders()] == placed[2:]
    exchange.cancel_all_orders()
    assert exchange.fetch_open_orders() == []
    assert {order["id"] for order in exchange.fetch_orders_by_ids(placed)} == set(placed)


def test_ccxt_reads_the_ledger(exchange: ccxt.kraken) -> None:
    exchange.create_order(SYMBOL, "market", "sell", 0.1)
    (trade,) = exchange.fetch_my_trades(SYMBOL)
    entries = exchange.fetch_ledger()
    assert {(entry["currency"], entry["direction"], entry["amount"]) for entry in entries} == {
        ("BTC", "out", 0.1), ("USD", "in", 2999.99),
    }  # fmt: skip
    assert {entry["referenceId"] for entry in entries} == {trade["id"]}
    assert exchange.fetch_ledger("BTC")[0]["after"] == 0.9
    assert exchange.fetch_ledger_entry(entries[0]["id"])["currency"] == entries[0]["currency"]


def test_ccxt_reads_fees_and_finds_no_position(exchange: ccxt.kraken) -> None:
    fee = exchange.fetch_trading_fee(SYMBOL)
    assert (fee["maker"], fee["taker"]) == (float(MAKER), float(TAKER))
    assert exchange.fetch_positions() == []


def test_ccxt_has_a_dead_mans_switch(exchange: ccxt.kraken) -> None:
    armed = exchange.cancel_all_orders_after(60_000)["result"]
    assert exchange.parse8601(armed["triggerTime"]) - exchange.parse8601(armed["currentTime"]) == 60_000
    assert exchange.cancel_all_orders_after(0)["result"]["triggerTime"] == "0"


Calls = Callable[[ccxt.kraken], object]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda k: k.create_order(SYMBOL, "limit", "buy", 1, 29000), ccxt.InsufficientFunds),
        (lambda k: k.create_order(SYMBOL, "market", "sell", 1.5), ccxt.InsufficientFunds),
        (lambda k: k.create_order(SYMBOL, "limit", "buy", 0.00001, 29000), ccxt.InvalidOrder),
        (lambda k: k.cancel_order("OAAAAA-BBBBB-CCCCCC"), ccxt.InvalidOrder),
        (lambda k: k.fetch_order("OAAAAA-BBBBB-CCCCCC"), ccxt.OrderNotFound),
        (lambda k: k.create_order(SYMBOL, "limit", "buy", 0.1, 29000, {"clientOrderId": "x" * 19}), ccxt.ExchangeError),
    ],
    ids=["no dollars", "no bitcoin", "below the minimum", "cancel of none", "look-up of none", "client id too long"],
)
def test_ccxt_knows_the_refusals(exchange: ccxt.kraken, call: Calls, error: type[Exception]) -> None:
    with pytest.raises(error):
        call(exchange)
    assert exchange.fetch_open_orders() == []


def test_ccxt_meets_the_state_of_the_market(sim: Simulator, exchange: ccxt.kraken) -> None:
    resting = exchange.create_order(SYMBOL, "limit", "buy", 0.1, 29000)
    for status in ("cancel_only", "post_only", "maintenance"):
        sim.set_status(status)
        with pytest.raises(ccxt.BaseError):
            exchange.create_order(SYMBOL, "market", "buy", 0.1)
    sim.set_status("post_only")
    exchange.create_order(SYMBOL, "limit", "buy", 0.1, 28000, {"postOnly": True})
    sim.set_status("cancel_only")
    exchange.cancel_order(resting["id"])
    assert [order["price"] for order in exchange.fetch_open_orders()] == [28000]


# python-kraken-sdk


@pytest.fixture
def trade(sim: Simulator) -> Trade:
    master = sim.accounts[0]
    return Trade(key=master.key, secret=master.secret, url=sim.url)


@pytest.fixture
def user(sim: Simulator) -> User:
    master = sim.accounts[0]
    return User(key=master.key, secret=master.secret, url=sim.url)


def place(trade: Trade, **changes: Any) -> str:
    """A limit order far from the market; its txid."""
    order = {"ordertype": "limit", "side": "buy", "pair": PAIR, "volume": 0.1, "price": 29000, **changes}
    (txid,) = trade.create_order(**order)["txid"]
    return str(txid)


def test_sdk_reads_the_market(sim: Simulator) -> None:
    market = Market(url=sim.url)
    assert market.get_system_status()["status"] == "online"
    assert market.get_assets(assets=["XBT", "USD"]).keys() == {"XXBT", "ZUSD"}
    assert market.get_asset_pairs(pair=[PAIR, OTHER]).keys() == {"XXBTZUSD", "XETHZUSD"}
    assert market.get_ticker(pair=PAIR)["XXBTZUSD"]["a"][0] == "30000.00000"
    ohlc = market.get_ohlc(pair=PAIR, interval=240)
    assert len(ohlc["XXBTZUSD"][-1]) == 8
    assert ohlc["last"] == ohlc["XXBTZUSD"][-2][0]
    assert len(market.get_ohlc(pair=PAIR, interval=240, since=ohlc["last"])["XXBTZUSD"]) <= 2
    book = market.get_order_book(pair=PAIR, count=3)["XXBTZUSD"]
    assert [len(book[side]) for side in ("asks", "bids")] == [3, 3]
    assert len(market.get_recent_trades(pair=PAIR, count=2)["XXBTZUSD"]) <= 2
    assert [Decimal(text) for text in market.get_recent_spreads(pair=PAIR)["XXBTZUSD"][-1][1:]] == [
        Decimal(BID), Decimal(ASK),
    ]  # fmt: skip


def test_sdk_places_finds_and_cancels(sim: Simulator, trade: Trade, user: User) -> None:
    named = place(trade, cl_ord_id="3f2a1b4c-0000-4000-8000-00000000abcd")
    marked = place(trade, userref=7)
    both = user.get_open_orders()["open"]
    assert both.keys() == {named, marked}
    assert both[marked]["userref"] == 7
    assert both[named]["descr"]["order"] == "buy 0.10000000 XBTUSD @ limit 29000.0"
    assert user.get_open_orders(userref=7)["open"].keys() == {marked}
    assert user.get_open_orders(cl_ord_id="3f2a1b4c-0000-4000-8000-00000000abcd")["open"].keys() == {named}
    assert user.get_balance("XBT") == {"currency": "XXBT", "balance": 1.0, "available_balance": 1.0}
    assert trade.cancel_order(cl_ord_id="3f2a1b4c-0000-4000-8000-00000000abcd") == {"count": 1}
    assert trade.cancel_order(txid=7) == {"count": 1}
    with pytest.raises(kraken.exceptions.KrakenUnknownOrderError):
        trade.cancel_order(txid=named)
    closed = user.get_closed_orders()
    assert closed["count"] == 2
    assert {row["reason"] for row in closed["closed"].values()} == {"User requested"}
    assert user.get_orders_info(txid=[named, marked]).keys() == {named, marked}
    assert len(sim.placements("MASTER")) == 2


def test_sdk_trades_and_reads_what_it_did(trade: Trade, user: User) -> None:
    (txid,) = trade.create_order(ordertype="market", side="sell", pair=PAIR, volume=0.5)["txid"]
    history = user.get_trades_history()
    assert history["count"] == 1
    ((id, row),) = history["trades"].items()
    assert (row["ordertxid"], row["pair"], row["type"], row["maker"]) == (txid, "XXBTZUSD", "sell", False)
    assert (row["price"], row["vol"], row["cost"], row["fee"]) == (
        "29999.90000", "0.50000000", "14999.95000", "119.99960",
    )  # fmt: skip
    assert user.get_trades_info(txid=id)[id] == row
    order = user.get_closed_orders(trades=True)["closed"][txid]
    assert (order["status"], order["trades"], order["vol_exec"]) == ("closed", [id], "0.50000000")
    ledger = user.get_ledgers_info()
    assert ledger["count"] == 2
    assert user.get_ledgers_info(asset="XBT")["count"] == 1
    assert user.get_ledgers(id_=list(ledger["ledger"])) == ledger["ledger"]
    assert Decimal(user.get_balances()["ZUSD"]["balance"]) == Decimal("10000") + Decimal("14879.9504")
    assert user.get_account_balance()["XXBT"] == "0.5000000000"


def test_sdk_validates_without_placing(sim: Simulator, trade: Trade, user: User) -> None:
    """Its own spelling, ``True``, is not Kraken's: nobody has told what Kraken makes of it, so it is refused."""
    order = {"ordertype": "limit", "side": "buy", "pair": PAIR, "volume": 0.1, "price": 29000}
    told = trade.create_order(**order, validate="true")
    assert told == {"descr": {"order": "buy 0.10000000 XBTUSD @ limit 29000.0"}}
    with pytest.raises(kraken.exceptions.KrakenInvalidArgumentsError):
        trade.create_order(**order, validate=True)
    assert user.get_open_orders() == {"open": {}}
    assert sim.placements("MASTER") == []


def test_sdk_edits_which_is_another_order_and_amends_which_is_not(trade: Trade, user: User) -> None:
    first = place(trade, userref=7)
    told = trade.edit_order(txid=first, pair=PAIR, volume=0.2, price=28000)
    assert (told["status"], told["originaltxid"], told["orders_cancelled"]) == ("ok", first, 1)
    assert user.get_open_orders()["open"].keys() == {told["txid"]} != {first}
    assert trade.amend_order(txid=told["txid"], order_qty=0.3)["amend_id"].startswith("T")
    row = user.get_open_orders()["open"][told["txid"]]
    assert (row["vol"], Decimal(row["descr"]["price"]), row["misc"]) == ("0.30000000", 28000, "amended")


def test_sdk_places_a_batch_of_which_some_are_refused(trade: Trade, user: User) -> None:
    order = {"ordertype": "limit", "type": "buy", "volume": "0.1", "price": "29000", "timeinforce": "GTC"}
    told = trade.create_order_batch(orders=[order, {**order, "volume": "1"}, {**order, "price": "28000"}], pair=PAIR)
    placed = [row.get("txid") for row in told["orders"]]
    assert [row.get("error") for row in told["orders"]] == [None, "EOrder:Insufficient funds", None]
    assert user.get_open_orders()["open"].keys() == {placed[0], placed[2]}
    assert trade.cancel_order_batch(orders=[placed[0], placed[2]]) == {"count": 2}
    assert trade.cancel_all_orders() == {"count": 0}


def test_sdk_turns_pages(sim: Simulator, trade: Trade, user: User) -> None:
    for _ in range(53):
        place(trade, ordertype="market", price=None, volume=0.0001)
    seen: list[list[str]] = []
    for offset in (0, 50):
        closed = user.get_closed_orders(ofs=offset)
        assert closed["count"] == 53
        trades, ledger = user.get_trades_history(ofs=offset), user.get_ledgers_info(ofs=offset)
        assert (trades["count"], ledger["count"]) == (53, 106)
        assert (len(closed["closed"]), len(trades["trades"]), len(ledger["ledger"])) == (
            (50, 50, 50) if offset == 0 else (3, 3, 50)
        )
        seen.append(list(closed["closed"]))
    placed = [placement.txid for placement in sim.placements("MASTER")]
    assert [*seen[0], *seen[1]] == placed[::-1]


def test_sdk_reads_the_account(trade: Trade, user: User) -> None:
    assert user.get_trade_balance()["eb"] == "78342.4000", "at the price that a bitcoin had in the beginning"
    assert user.get_open_positions() == [], "it asks for consolidated ones"
    assert user.get_trade_volume(pair=PAIR)["fees"]["XXBTZUSD"]["fee"] == "0.8000"
    place(trade, ordertype="stop-loss", side="sell", price=28000)
    assert user.get_balance("XBT") == {"currency": "XXBT", "balance": 1.0, "available_balance": 0.9}


def test_sdk_gets_a_token_and_a_dead_mans_switch(trade: Trade) -> None:
    assert trade.request("POST", "/0/private/GetWebSocketsToken").keys() == {"token", "expires"}
    assert trade.cancel_all_orders_after_x(timeout=60)["triggerTime"] != "0"
    assert trade.cancel_all_orders_after_x(timeout=0)["triggerTime"] == "0"


# krakenex


def test_krakenex_trades(sim: Simulator, api: krakenex.API) -> None:
    order = {"pair": PAIR, "type": "buy", "ordertype": "limit", "volume": "0.1", "price": "29000"}
    (filled,) = query(api, "AddOrder", order)["txid"]
    (resting,) = query(api, "AddOrder", order | {"price": "28000"})["txid"]
    sim.set_price(PAIR, "28999.9", "29000.0")
    assert query(api, "OpenOrders")["open"].keys() == {resting}
    assert query(api, "ClosedOrders")["closed"].keys() == {filled}
    row = query(api, "QueryOrders", {"txid": f"{filled},{resting}"})
    assert (row[filled]["status"], row[filled]["fee"], row[resting]["status"]) == ("closed", "11.60000", "open")
    (trade,) = query(api, "TradesHistory")["trades"].values()
    assert (trade["ordertxid"], trade["maker"], trade["price"]) == (filled, True, "29000.00000")
    assert query(api, "Ledgers")["count"] == 2
    assert query(api, "CancelAll") == {"count": 1}
    rows = query(api, "BalanceEx")
    assert Decimal(rows["ZUSD"]["balance"]) == 10000 - 2900 - Decimal("11.6")
    assert Decimal(rows["ZUSD"]["hold_trade"]) == Decimal(rows["XXBT"]["hold_trade"]) == 0
    assert Decimal(rows["XXBT"]["balance"]) == Decimal("1.1")
    assert len(query(api, "GetWebSocketsToken")["token"]) > 10
