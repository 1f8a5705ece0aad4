"""The simulator's WebSocket as others see it: python-kraken-sdk and ccxt pro, unmodified, and what it refuses."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import ccxt.pro
import pytest
from kraken.spot import SpotWSClient
from websockets.sync.client import ClientConnection, connect

from engine.simulator import Simulator, StreamFault
from engine.simulator.stream_faults import PUBLIC
from tests.simulator.clients import Kraken
from tests.stopwatch import PATIENCE

PAIR, SYMBOL = "XBTUSD", "BTC/USD"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """MASTER has 10000 dollars and a bitcoin; a bitcoin costs 30000."""
    with Simulator() as simulator:
        simulator.set_balance("MASTER", {"ZUSD": "10000.0000", "XXBT": "1.0000000000"})
        simulator.set_price(PAIR, "29999.9", "30000.0")
        yield simulator


@pytest.fixture
def ws(sim: Simulator) -> Iterator[ClientConnection]:
    with connect(sim.ws_url, open_timeout=PATIENCE) as connection:
        yield connection


Rest = Callable[..., Any]
"""MASTER's REST, with a client of somebody else's."""


@pytest.fixture
def rest(sim: Simulator) -> Iterator[Rest]:
    with contextlib.closing(Kraken(sim)) as client:
        yield client.call


def heard(ws: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The next message that fits; those before it are dropped."""
    while True:
        message: dict[str, Any] = json.loads(ws.recv(timeout=PATIENCE), parse_float=Decimal)
        if wanted(message):
            return message


def ask(ws: ClientConnection, method: str, **params: Any) -> dict[str, Any]:
    ws.send(json.dumps({"method": method, "params": params, "req_id": 7}))
    return heard(ws, lambda message: message.get("req_id") == 7 or "error" in message)


def subscribe(ws: ClientConnection, rest: Rest, channel: str, **params: Any) -> dict[str, Any]:
    """The snapshot of a new subscription."""
    token = rest("GetWebSocketsToken")["token"]
    answer = ask(ws, "subscribe", channel=channel, token=token, **params)
    assert answer["success"], answer
    return heard(ws, lambda message: message.get("channel") == channel)


def of(channel: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message.get("channel") == channel


def test_it_begins_with_the_status_and_beats_when_it_is_subscribed(ws: ClientConnection, rest: Rest) -> None:
    assert heard(ws, lambda _: True)["channel"] == "status"
    snapshot = subscribe(ws, rest, "balances")
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 1)
    assert {row["asset"]: row["balance"] for row in snapshot["data"]} == {"USD": 10000, "BTC": 1}
    assert heard(ws, of("heartbeat")) == {"channel": "heartbeat"}


def test_a_trade_is_two_ledger_entries_and_an_order_s_way(ws: ClientConnection, rest: Rest) -> None:
    subscribe(ws, rest, "balances")
    assert subscribe(ws, rest, "executions", snap_orders=True, snap_trades=False)["data"] == []
    placed = rest("AddOrder", pair=PAIR, type="buy", ordertype="market", volume="0.1", cl_ord_id="mine")
    rows: list[dict[str, Any]] = []
    balances: list[dict[str, Any]] = []
    while not rows or rows[-1]["exec_type"] != "filled":
        frame = heard(ws, lambda message: message.get("type") == "update")
        (balances if frame["channel"] == "balances" else rows).append({**frame["data"][0], "n": frame["sequence"]})
    assert [row["exec_type"] for row in rows] == ["pending_new", "new", "trade", "filled"]
    assert [row["n"] for row in rows] == [2, 3, 4, 5]
    assert {(row["order_id"], row["cl_ord_id"]) for row in rows} == {(placed["txid"][0], "mine")}
    trade = rows[2]
    assert (trade["last_qty"], trade["cum_qty"], trade["cum_cost"]) == (Decimal("0.1"), Decimal("0.1"), 3000)
    assert trade["fees"] == [{"asset": "USD", "qty": 24}]
    assert [(row["asset"], row["balance"], row["n"]) for row in balances] == [
        ("BTC", Decimal("1.1"), 2), ("USD", 6976, 3),
    ]  # fmt: skip
    assert balances[0]["ref_id"] == balances[1]["ref_id"] == trade["exec_id"]


def test_an_order_rests_is_amended_and_canceled(ws: ClientConnection, rest: Rest) -> None:
    first = rest("AddOrder", pair=PAIR, type="buy", ordertype="limit", volume="0.1", price="20000")["txid"][0]
    (row,) = subscribe(ws, rest, "executions")["data"]
    assert (row["order_id"], row["order_status"], row["limit_price"]) == (first, "new", 20000)
    rest("AmendOrder", txid=first, limit_price="21000")
    assert heard(ws, of("executions"))["data"][0]["exec_type"] == "amended"
    rest("CancelOrder", txid=first)
    (row,) = heard(ws, of("executions"))["data"]
    assert (row["order_status"], row["reason"]) == ("canceled", "User requested")


@pytest.mark.parametrize(("params", "error"), [
    ({"channel": "balances"}, "Token(s) not found"),
    ({"channel": "balances", "token": "invented"}, "EAPI:Invalid token"),
    ({"channel": "level9", "token": "invented"}, "Subscription channel not supported"),
    ({"channel": "ticker"}, "Symbol(s) not found"),
])  # fmt: skip
def test_a_subscription_is_refused(ws: ClientConnection, params: dict[str, Any], error: str) -> None:
    answer = ask(ws, "subscribe", **params)
    assert (answer["success"], answer["error"]) == (False, error)
    assert "result" not in answer


def test_a_key_sees_only_what_it_may(sim: Simulator, ws: ClientConnection, rest: Rest) -> None:
    sim.set_permissions("MASTER", {"query-funds", "create-ws-token"})
    token = rest("GetWebSocketsToken")["token"]
    assert ask(ws, "subscribe", channel="balances", token=token)["success"]
    assert ask(ws, "subscribe", channel="executions", token=token)["error"] == "EGeneral:Permission denied"


def test_a_token_ends_when_it_is_not_used() -> None:
    now = [1_800_000_000.0]
    with Simulator(wall=lambda: now[0]) as sim:
        token = Kraken(sim).call("GetWebSocketsToken")["token"]
        now[0] += 900
        with connect(sim.ws_url, open_timeout=PATIENCE) as ws:
            assert ask(ws, "subscribe", channel="balances", token=token)["error"] == "EAPI:Invalid token"


def numbers(ws: ClientConnection, channel: str, count: int) -> list[Any]:
    return [heard(ws, of(channel)).get("sequence") for _ in range(count)]


@pytest.mark.parametrize(("fault", "seen"), [
    (StreamFault.GAP, [3, 4]), (StreamFault.REPEAT, [2, 2, 3]), (StreamFault.REORDER, [3, 2]),
    (StreamFault.UNNUMBERED, [None, 3]),
])  # fmt: skip
def test_a_fault_breaks_the_numbers(
    sim: Simulator, ws: ClientConnection, rest: Rest, fault: StreamFault, seen: list[Any]
) -> None:
    subscribe(ws, rest, "balances")
    sim.streams.state.add(fault, "MASTER")
    for amount in ("1", "2", "3"):
        sim.set_balance("MASTER", {"ZUSD": amount})
    assert numbers(ws, "balances", len(seen)) == seen


def test_rest_may_lag_behind_the_stream(sim: Simulator, ws: ClientConnection, rest: Rest) -> None:
    subscribe(ws, rest, "balances")
    sim.set_rest_lag("MASTER", 60)
    placed = rest("AddOrder", pair=PAIR, type="buy", ordertype="market", volume="0.1")
    assert heard(ws, of("balances"))["data"][0]["balance"] == Decimal("1.1")
    assert rest("BalanceEx")["XXBT"]["balance"] == "1.0000000000"
    assert rest("QueryOrders", txid=placed["txid"][0]) == {}
    sim.set_rest_lag("MASTER", 0)
    assert rest("BalanceEx")["XXBT"]["balance"] == "1.1000000000"


# Bytes


def raw(sim: Simulator) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", sim.port), timeout=PATIENCE)
    key = base64.b64encode(os.urandom(16)).decode()
    sock.sendall(
        f"GET /v2 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return sock


@pytest.mark.parametrize(("data", "code"), [
    (b"\x81\x01x", 1002),  # not masked
    (b"\xc1\x81\0\0\0\0x", 1002),  # a reserved bit
    (b"\x83\x81\0\0\0\0x", 1002),  # an unknown kind
    (b"\x09\x81\0\0\0\0x", 1002),  # a ping in parts
    (b"\x80\x81\0\0\0\0x", 1002),  # a part of nothing
    (b"\x81\x81\0\0\0\0\xff", 1007),
    (b"\x82\x81\0\0\0\0x", 1003),
    (b"\x81\xff" + struct.pack("!Q", 1 << 30), 1009),
])  # fmt: skip
def test_a_client_that_breaks_the_protocol_is_closed(sim: Simulator, data: bytes, code: int) -> None:
    with raw(sim) as sock:
        sock.sendall(data)
        stream = sock.makefile("rb")
        with stream:
            kind = 0x1
            while kind != 0x8:
                first, size = stream.read(2)
                kind = first & 0x0F
                size = struct.unpack("!H", stream.read(2))[0] if size == 126 else size
                payload = stream.read(size)
            assert struct.unpack("!H", payload[:2])[0] == code
            assert stream.read() == b""


@pytest.mark.parametrize("status", [401, 403, 429, 503])
def test_an_upgrade_is_refused(sim: Simulator, status: int) -> None:
    sim.streams.state.refused = status
    with pytest.raises(Exception, match=str(status)), connect(sim.ws_url, open_timeout=PATIENCE):
        pass
    assert len(sim.streams.state.upgrades) == 1


# Clients of others


def test_python_kraken_sdk_hears_balances_and_executions(sim: Simulator) -> None:
    master = sim.accounts[0]
    seen: list[dict[str, Any]] = []

    async def hear() -> None:
        done = asyncio.Event()

        async def on_message(message: Any) -> None:
            if isinstance(message, dict):
                seen.append(message)
            types = {(each.get("channel"), each.get("type")) for each in seen}
            if {("balances", "update"), ("executions", "snapshot"), ("ticker", "snapshot")} <= types:
                done.set()

        base = sim.ws_url.removesuffix("/v2")
        client = SpotWSClient(
            key=master.key, secret=master.secret, callback=on_message, rest_url=sim.url, ws_url=base, auth_ws_url=base
        )
        await client.start()
        await client.subscribe(params={"channel": "balances"})
        await client.subscribe(params={"channel": "executions"})
        await client.subscribe(params={"channel": "ticker", "symbol": [SYMBOL]})
        while not any(each.get("channel") == "balances" for each in seen):
            await asyncio.sleep(0.01)
        sim.set_balance("MASTER", {"ZUSD": "1.5"})
        await asyncio.wait_for(done.wait(), PATIENCE)
        await client.close()

    asyncio.run(asyncio.wait_for(hear(), PATIENCE))
    updates = [each for each in seen if each.get("channel") == "balances" and each["type"] == "update"]
    assert {row["asset"]: row["balance"] for each in updates for row in each["data"]} == {"USD": 1.5, "BTC": 0}


def test_ccxt_pro_watches_the_balance_the_orders_and_the_price(sim: Simulator) -> None:
    master = sim.accounts[0]

    async def watch() -> tuple[Any, Any, Any]:
        client = ccxt.pro.kraken({"apiKey": master.key, "secret": master.secret, "enableRateLimit": False})
        client.urls["api"] |= {"public": sim.url, "private": sim.url}
        client.urls["api"]["ws"] |= {"publicV2": sim.ws_url, "privateV2": sim.ws_url, "private": sim.ws_url}
        try:
            balance = await client.watch_balance()
            orders = asyncio.ensure_future(client.watch_orders(SYMBOL))
            while not any("MASTER" in each.accounts for each in sim.streams.open):
                await asyncio.sleep(0.01)
            await client.create_order(SYMBOL, "limit", "buy", 0.1, 20000)
            return balance, await orders, await client.watch_ticker(SYMBOL)
        finally:
            await client.close()

    balance, orders, ticker = asyncio.run(asyncio.wait_for(watch(), PATIENCE))
    assert balance["USD"]["total"] == 10000
    assert (orders[0]["status"], orders[0]["side"]) == ("open", "buy")
    assert (ticker["bid"], ticker["ask"]) == (29999.9, 30000.0)


# The channel ticker


def ticks(ws: ClientConnection) -> dict[str, Any]:
    row: dict[str, Any] = heard(ws, of("ticker"))["data"][0]
    return row


def test_ticker_tells_each_best_price_or_only_trades(sim: Simulator, ws: ClientConnection) -> None:
    """Kraken's default is ``trades``: a bid that moves alone is not told."""
    assert ask(ws, "subscribe", channel="ticker", symbol=[SYMBOL])["result"]["event_trigger"] == "trades"
    assert ticks(ws)["bid"] == Decimal("29999.9")
    with connect(sim.ws_url, open_timeout=PATIENCE) as other:
        ask(other, "subscribe", channel="ticker", symbol=[SYMBOL], event_trigger="bbo")
        assert ticks(other)["bid"] == Decimal("29999.9")
        sim.set_price(PAIR, "29999.8", "30000.0")
        sim.set_price(PAIR, "29999.8", "30000.5")
        assert [ticks(other)["ask"] for _ in range(2)] == [Decimal(30000), Decimal("30000.5")]
    assert ticks(ws)["ask"] == Decimal("30000.5")


def test_ticker_is_subscribed_and_unsubscribed_by_symbol(sim: Simulator, ws: ClientConnection) -> None:
    ws.send(json.dumps({"method": "subscribe", "params": {"channel": "ticker", "symbol": ["ETH/USD", SYMBOL]}}))
    acknowledged = [heard(ws, lambda message: message.get("success") is True)["result"]["symbol"] for _ in range(2)]
    assert acknowledged == ["ETH/USD", SYMBOL]
    assert ask(ws, "subscribe", channel="ticker", symbol=[SYMBOL])["error"] == "Already subscribed"
    assert ask(ws, "unsubscribe", channel="ticker", symbol=[SYMBOL])["result"]["symbol"] == SYMBOL
    assert ask(ws, "unsubscribe", channel="ticker", symbol=[SYMBOL])["error"] == "Subscription Not Found"
    sim.set_price(PAIR, "1.0", "2.0")
    sim.set_price("ETHUSD", "1.00", "2.00")
    assert ticks(ws)["symbol"] == "ETH/USD"


@pytest.mark.parametrize(("params", "error"), [
    ({"symbol": ["XBT/USD"]}, "Currency pair not supported XBT/USD"),  # the name of the old WebSocket
    ({"symbol": ["XBTUSD"]}, "Currency pair not supported XBTUSD"),
    ({"symbol": ["NO/PAIR"]}, "Currency pair not supported NO/PAIR"),
    ({"symbol": [SYMBOL], "event_trigger": "always"}, "Unsupported field: 'event_trigger'"),
])  # fmt: skip
def test_ticker_refuses_a_symbol_that_is_not_one(ws: ClientConnection, params: dict[str, Any], error: str) -> None:
    answer = ask(ws, "subscribe", channel="ticker", **params)
    assert (answer["success"], answer["error"], answer["symbol"]) == (False, error, params["symbol"][0])


def test_the_faults_of_the_public_connections_are_their_own(sim: Simulator, ws: ClientConnection, rest: Rest) -> None:
    subscribe(ws, rest, "balances")
    with connect(sim.ws_url, open_timeout=PATIENCE) as public:
        ask(public, "subscribe", channel="ticker", symbol=[SYMBOL], event_trigger="bbo")
        sim.streams.state.add(StreamFault.UNKNOWN_TYPE, PUBLIC)
        sim.set_price(PAIR, "29999.8", "30000.0")
        assert heard(public, lambda message: message.get("type") != "snapshot")["type"] == "supplement"
        assert sim.streams.close(1001, PUBLIC) == 1
    assert heard(ws, of("heartbeat"))
