"""Prices from Kraken's public WebSocket v2, channel ``ticker``: what is asked, and what each frame says.

A pair is subscribed with ``event_trigger`` ``bbo``: by Kraken's default (``trades``) a best price that changes without
a trade is not told. Kraken answers for each symbol by itself. Frames have no sequence number, and each row is complete,
so the newest row of a pair is all that is known of it.

Strict where a decision needs it: a row that names no pair, or a type that nobody knows, is doubt (`Doubt`), for the
price of any pair may have changed. A row without two prices that can be read takes the price of its pair away. Fields
that are new are passed over.
Source: Kraken's WebSocket v2 reference, pages "ticker" and "heartbeat".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from engine.kraken.drift import MISSING, ODD, Note, unnoted
from engine.kraken.pair_names import TOKENIZED, shown_code
from engine.kraken.stream import Alive, Doubt, Pong, number, passed_over, read_body
from engine.values import Pair, Ticker
from engine.values.dataclass import dataclass

CHANNEL = "ticker"
SUBSCRIBE, UNSUBSCRIBE = "subscribe", "unsubscribe"


@dataclass(frozen=True, slots=True)
class SymbolAnswer:
    """The answer to a subscription of one symbol."""

    symbol: str | None
    """`None`: the answer names none."""
    error: str | None
    """Kraken's text; `None` when it was acknowledged."""


@dataclass(frozen=True, slots=True)
class TickerFrame:
    """What a frame tells of pairs, by symbol. `None`: the prices of that pair cannot be read, or its book is empty."""

    is_snapshot: bool
    tickers: Mapping[str, Ticker | None]


PriceFrame = Pong | Alive | SymbolAnswer | TickerFrame


def symbol_of(pair: Pair) -> str | None:
    """The name of a pair on the WebSocket, such as ``BTC/USD``; `None` for a share and a pair of another venue."""
    base, slash, quote = pair.wsname.partition("/")
    if not (base and slash and quote) or pair.venue or pair.asset_class == TOKENIZED:
        return None
    return f"{shown_code(base)}/{shown_code(quote)}"


def price_request(method: str, symbols: Sequence[str], req_id: int) -> str:
    """The text that subscribes or unsubscribes these symbols."""
    params: dict[str, Any] = {"channel": CHANNEL, "symbol": list(symbols)}
    if method == SUBSCRIBE:
        params |= {"event_trigger": "bbo", "snapshot": True}
    return json.dumps({"method": method, "params": params, "req_id": req_id})


def read_price_frame(message: str | bytes, note: Note = unnoted) -> PriceFrame:
    """What a message is. Raises `Doubt`."""
    body = read_body(message)
    if "method" in body or "success" in body:
        return _answer(body)
    channel = body.get("channel")
    if channel == CHANNEL:
        return _prices(body, note)
    return passed_over(channel, body, note)


def _answer(body: Mapping[str, Any]) -> PriceFrame:
    method, result, error = body.get("method"), body.get("result"), body.get("error")
    if method == "pong":
        return Pong()
    if method == UNSUBSCRIBE:  # whatever it says, nothing is expected of that symbol any more
        return Alive()
    told = result if isinstance(result, Mapping) and "symbol" in result else body
    symbol = told.get("symbol")
    is_good = body.get("success") is True
    why = error if isinstance(error, str) and error else "no reason"
    return SymbolAnswer(symbol if isinstance(symbol, str) and symbol else None, None if is_good else why)


def _prices(body: Mapping[str, Any], note: Note) -> TickerFrame:
    kind, rows = body.get("type"), body.get("data")
    if kind not in ("snapshot", "update"):
        raise Doubt("a frame of ticker of an unknown type")
    if not isinstance(rows, list) or not all(isinstance(each, dict) for each in rows):
        raise Doubt("a frame of ticker without rows")
    return TickerFrame(kind == "snapshot", {_symbol(row): _ticker(row, note) for row in rows})


def _symbol(row: Mapping[str, Any]) -> str:
    symbol = row.get("symbol")
    if not isinstance(symbol, str) or not symbol:
        raise Doubt("a price of a pair that it does not name")
    return symbol


def _ticker(row: Mapping[str, Any], note: Note) -> Ticker | None:
    ask, bid, last = (_price(row, name, note) for name in ("ask", "bid", "last"))
    return Ticker(ask, bid, last) if ask and bid else None


def _price(row: Mapping[str, Any], name: str, note: Note) -> Decimal | None:
    """A price; `None` where there is none (0 is none), or where it cannot be read."""
    price = number(row.get(name))
    if price is None or price < 0:
        note(name, MISSING if name not in row else ODD)
        return None
    return price or None
