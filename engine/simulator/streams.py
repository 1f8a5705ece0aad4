"""Kraken's WebSocket v2 on the simulator's port, under ``/v2``: private and public channels, heartbeats and faults.

``balances`` and ``executions`` need a token of `GetWebSocketsToken`, which ends after 900 seconds unless it is
used, and the permission of the data they show. A frame of a subscription has a number, one more than the last. A
heartbeat goes out each second without another frame, where there is a subscription. Orders cannot be placed here.

``ticker`` takes a list of symbols and answers for each; its frames have no number. By ``event_trigger`` it tells of
every trade (``trades``, Kraken's default) or of every best price (``bbo``).
Source: Kraken's WebSocket v2 reference, page "ticker".
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from engine.simulator.book_order import BookOrder
from engine.simulator.customers import Customer
from engine.simulator.market import ListedPair, find_any_pair
from engine.simulator.prices import Quote
from engine.simulator.stream_faults import PUBLIC, StreamFault, StreamState
from engine.simulator.stream_rows import (
    Row,
    balance_snapshot,
    encoded,
    order_row,
    shown_symbol,
    stamp,
    ticker_row,
    trade_row,
)
from engine.simulator.websocket import BINARY, TEXT, WebSocket

BEAT = 1.0  # seconds between heartbeats
LONELY = 60.0  # seconds without a subscription after which the connection is closed
_NEEDS = {"balances": "query-funds", "executions": "query-open-trades"}
_SNAP_TRADES = 50
_TRIGGERS = ("trades", "bbo")


class Market(Protocol):
    """What the WebSocket needs of the exchange."""

    def owner_of_token(self, token: str) -> str | None:
        """The account whose token it is; `None` when it is not a token, or its time is over."""

    def customer(self, name: str) -> Any:
        """The account, locked."""

    def quotes(self, pair: ListedPair) -> Quote:
        """What a pair costs now."""

    def status(self) -> str:
        """The exchange's mode."""

    def now(self) -> float:
        """The exchange's time."""


class Unsubscribable(Exception):
    """A subscription is refused, with this text."""


@dataclass(slots=True)
class Subscription:
    """One channel of one connection."""

    channel: str
    account: str | None = None
    symbols: dict[str, str] = field(default_factory=dict)
    """The pairs of ``ticker``, with the trigger of each."""
    sequence: int = 0
    withheld: str | None = None
    """A frame that the next one overtakes."""
    is_open: bool = True
    listener: Callable[[str, list[Row]], None] | None = field(default=None, repr=False)


class Conversation:
    """One connection: what it has subscribed to, and what it is sent."""

    def __init__(self, socket: WebSocket, market: Market, state: StreamState) -> None:
        self.socket, self._market, self._state = socket, market, state
        self._subscriptions: dict[str, Subscription] = {}
        self._lock = threading.Lock()
        self._is_quiet = True
        self._alone_since = time.monotonic()

    @property
    def accounts(self) -> set[str | None]:
        """Whose private channels it has."""
        return {each.account for each in tuple(self._subscriptions.values())} - {None}

    @property
    def owner(self) -> str:
        """Whose faults strike it."""
        return next(iter(self.accounts), None) or PUBLIC

    def begin(self) -> None:
        """What Kraken says first, unasked."""
        data = {"api_version": "v2", "connection_id": 12345678901234567890, "system": self._market.status(),
                "version": "2.0.10"}  # fmt: skip
        self._send({"channel": "status", "type": "update", "data": [data]})

    def end(self) -> None:
        """The connection is over."""
        for each in tuple(self._subscriptions.values()):
            self._drop(each)

    def tick(self) -> None:
        """A second is over."""
        for account in self.accounts:
            with suppress(LookupError), self._market.customer(str(account)) as customer:
                customer.book.catch_up()
        if self._subscriptions and self._state.holds(StreamFault.PONG_ONLY, self.owner):
            self.socket.send(encoded(self._pong({})))
        elif self._subscriptions and self._is_quiet:
            self._send({"channel": "heartbeat"})
        elif not self._subscriptions and time.monotonic() - self._alone_since > LONELY:
            self.socket.close(1000, "no subscription")
        self._is_quiet = True

    def take(self, text: str) -> None:
        """A message of the client's."""
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._send({"error": "Malformed request", "success": False, **self._times()})
            return
        method, params = message.get("method"), message.get("params")
        if method == "ping":
            self.socket.send(encoded(self._pong(message)))
        elif method in ("subscribe", "unsubscribe") and isinstance(params, dict):
            self._request(str(method), params, message.get("req_id"))
        else:
            self._answer(str(method), message.get("req_id"), error="Unsupported field: 'method'")

    def _pong(self, message: Mapping[str, Any]) -> Row:
        named = {"req_id": message["req_id"]} if isinstance(message.get("req_id"), int) else {}
        return {"method": "pong", **named, **self._times()}

    def _times(self) -> Row:
        now = stamp(self._market.now())
        return {"time_in": now, "time_out": now}

    # Subscribing

    def _request(self, method: str, params: Row, req_id: Any) -> None:
        try:
            if req_id is not None and not (isinstance(req_id, int) and not isinstance(req_id, bool)):
                raise Unsubscribable("Unsupported field: 'req_id' for the given msg type: subscribe")
            (self._subscribe if method == "subscribe" else self._unsubscribe)(params, req_id)
        except Unsubscribable as refusal:
            symbols = params.get("symbol")
            named = {"symbol": symbols[0]} if isinstance(symbols, list) and symbols else {}
            self._answer(method, req_id if isinstance(req_id, int) else None, error=str(refusal), **named)

    def _subscribe(self, params: Row, req_id: Any) -> None:
        channel = params.get("channel")
        if channel in _NEEDS:
            self._subscribe_private(str(channel), params, req_id)
        elif channel == "ticker":
            self._subscribe_ticker(params, req_id)
        else:
            raise Unsubscribable("Subscription channel not supported")

    def _subscribe_private(self, channel: str, params: Row, req_id: Any) -> None:
        account = self._account_of(params)
        if channel in self._subscriptions:
            raise Unsubscribable("Already subscribed")
        with self._market.customer(account) as customer:
            if _NEEDS[channel] not in customer.key.permissions:
                raise Unsubscribable("EGeneral:Permission denied")
            if customer.key.is_revoked:
                raise Unsubscribable("ESession:Invalid session")
            one = Subscription(channel, account)
            result: Row = {"channel": channel, "snapshot": params.get("snapshot", True)}
            result |= {"maxratecount": 125} if channel == "executions" else {}
            self._answer("subscribe", req_id, result=result)
            one.listener = lambda told, rows: self._update(one, told, rows)
            self._subscriptions[channel] = one
            if not self._state.holds(StreamFault.NO_SNAPSHOT, account):
                self._number(one, "snapshot", _snapshot(channel, customer, params, self._market.now()))
            customer.book.feed.add(one.listener)

    def _account_of(self, params: Row) -> str:
        token = params.get("token")
        if not isinstance(token, str):
            raise Unsubscribable("Token(s) not found" if token is None else "Unsupported field: 'token'")
        account = self._market.owner_of_token(token)
        if account is None:
            raise Unsubscribable("EAPI:Invalid token")
        if self._state.holds(StreamFault.STALE_TOKEN, account):
            raise Unsubscribable("ESession:Invalid session")
        if params.get("users") not in (None, "all"):
            raise Unsubscribable("Unsupported field: 'users'")
        return account

    def _subscribe_ticker(self, params: Row, req_id: Any) -> None:
        trigger = params.get("event_trigger", "trades")
        if trigger not in _TRIGGERS:
            raise Unsubscribable("Unsupported field: 'event_trigger'")
        for symbol in _symbols(params):
            pair = find_any_pair(symbol)
            one = self._subscriptions.get("ticker") or Subscription("ticker")
            if pair is None or symbol != shown_symbol(pair):
                self._answer("subscribe", req_id, error=f"Currency pair not supported {symbol}", symbol=symbol)
            elif symbol in one.symbols:
                self._answer("subscribe", req_id, error="Already subscribed", symbol=symbol)
            else:
                self._subscriptions["ticker"] = one
                self._begin_ticker(one, symbol, pair, req_id, {**params, "event_trigger": trigger})

    def _begin_ticker(self, one: Subscription, symbol: str, pair: ListedPair, req_id: Any, params: Row) -> None:
        with self._lock:  # a change of the price comes before the snapshot, or after it
            one.symbols[symbol] = params["event_trigger"]
            told = {name: params.get(name, True) for name in ("snapshot", "event_trigger")}
            self._answer("subscribe", req_id, result={"channel": "ticker", **told, "symbol": symbol})
            if told["snapshot"] and not self._state.holds(StreamFault.NO_SNAPSHOT, self.owner):
                self._send_prices("snapshot", pair)

    def _send_prices(self, kind: str, pair: ListedPair) -> None:
        body: Row = {"channel": "ticker", "type": kind, "data": [ticker_row(pair, self._market.quotes(pair))]}
        fault = self._state.take(self.owner)
        if fault is StreamFault.UNKNOWN_TYPE:
            body["type"] = "supplement"
        text = encoded(body)
        if fault is not StreamFault.GAP:
            text = text[: len(text) // 2] if fault is StreamFault.HALF else text
            self._send_text(text, self.owner, BINARY if fault is StreamFault.BINARY else TEXT)

    def _unsubscribe(self, params: Row, req_id: Any) -> None:
        one = self._subscriptions.get(str(params.get("channel")))
        if one is None:
            raise Unsubscribable("Subscription Not Found")
        if one.channel == "ticker":
            self._unsubscribe_ticker(one, params, req_id)
            return
        self._drop(one)
        self._answer("unsubscribe", req_id, result={"channel": one.channel})

    def _unsubscribe_ticker(self, one: Subscription, params: Row, req_id: Any) -> None:
        for symbol in _symbols(params):
            if one.symbols.pop(symbol, None) is None:
                self._answer("unsubscribe", req_id, error="Subscription Not Found", symbol=symbol)
            else:
                self._answer("unsubscribe", req_id, result={"channel": "ticker", "symbol": symbol})
        if not one.symbols:
            self._drop(one)

    def _drop(self, one: Subscription) -> None:
        self._subscriptions.pop(one.channel, None)
        self._alone_since = time.monotonic()
        one.is_open = False
        if one.account is not None and one.listener is not None:
            with suppress(LookupError), self._market.customer(one.account) as customer:
                customer.book.feed.remove(one.listener)

    def _answer(self, method: str, req_id: Any, *, error: str | None = None, **told: Any) -> None:
        body = {"error": error} if error is not None else {}
        named = {"req_id": req_id} if req_id is not None else {}
        self._send({"method": method, **named, **told, "success": error is None, **body, **self._times()})

    # Sending

    def price_moved(self, symbol: str, pair: ListedPair, *, traded: bool) -> None:
        """A pair has another price; `traded`: by a trade."""
        with self._lock:
            one = self._subscriptions.get("ticker")
            trigger = one.symbols.get(symbol) if one is not None else None
            if trigger == "bbo" or (trigger is not None and traded):
                self._send_prices("update", pair)

    def _update(self, one: Subscription, channel: str, rows: list[Row]) -> None:
        if channel == one.channel and one.is_open:
            self._number(one, "update", rows)

    def _number(self, one: Subscription, kind: str, rows: list[Row]) -> None:
        """Send a numbered frame, as the faults let it."""
        with self._lock:
            one.sequence += 1
            body: Row = {"channel": one.channel, "type": kind, "data": rows, "sequence": one.sequence}
            fault = self._state.take(one.account)
            if fault is StreamFault.UNNUMBERED:
                del body["sequence"]
            if fault is StreamFault.UNKNOWN_TYPE:
                body["type"] = "supplement"
            text = encoded(body)
            if fault is StreamFault.REORDER:
                one.withheld = text
            elif fault is StreamFault.BINARY:
                self._send_text(text, one.account, BINARY)
            elif fault is not StreamFault.GAP:
                self._send_text(text[: len(text) // 2] if fault is StreamFault.HALF else text, one.account)
            if fault is StreamFault.REPEAT:
                self._send_text(text, one.account)
            if one.withheld is not None and fault is not StreamFault.REORDER:
                self._send_text(one.withheld, one.account)
                one.withheld = None

    def _send(self, body: Row) -> None:
        self._send_text(encoded(body), self.owner)

    def _send_text(self, text: str, account: str | None, opcode: int = TEXT) -> None:
        silent = (StreamFault.MUTE, StreamFault.PONG_ONLY)
        if any(self._state.holds(each, account) for each in silent) and self._subscriptions:
            return
        self._is_quiet = False
        self.socket.send_frame(opcode, text.encode())


def _symbols(params: Row) -> list[str]:
    symbols = params.get("symbol")
    if not isinstance(symbols, list) or not symbols:
        raise Unsubscribable("Symbol(s) not found")
    return [str(each) for each in symbols]


def _snapshot(channel: str, customer: Customer, params: Row, now: float) -> list[Row]:
    if channel == "balances":
        customer.book.catch_up()
        return balance_snapshot(customer.wallet.rows)
    rows = []
    if params.get("snap_orders", True):
        rows += [order_row(order, _kind(order), now) for order in customer.book.all() if order.is_live]
    if params.get("snap_trades", False):
        orders = {order.txid: order for order in customer.book.all()}
        rows += [trade_row(orders[fill.order], fill) for fill in customer.book.ledger.fills[-_SNAP_TRADES:]]
    return rows


def _kind(order: BookOrder) -> str:
    return "pending_new" if order.status == "pending" else "new" if not order.fills else "trade"
