"""What the frames of Kraken's public channel ticker say, and which of them are doubt."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kraken.drift import MISSING, NEW, ODD
from engine.kraken.price_stream import SymbolAnswer, TickerFrame, price_request, read_price_frame, symbol_of
from engine.kraken.stream import Alive, Doubt, Pong
from engine.values import Ticker
from tests.rules.gates.test_gates import XBT

ROW = {"symbol": "BTC/USD", "bid": 29999.9, "ask": 30000.0, "last": 30000.0, "volume": 12.5, "vwap": 30000.1}


def frame(*rows: Any, kind: str = "update") -> str:
    return json.dumps({"channel": "ticker", "type": kind, "data": rows})


@pytest.mark.parametrize(("wsname", "symbol"), [
    ("XBT/USD", "BTC/USD"), ("XDG/XBT", "DOGE/BTC"), ("ETH/EUR", "ETH/EUR"), ("", None), ("XBTUSD", None),
])  # fmt: skip
def test_a_pair_has_another_name_on_the_websocket(wsname: str, symbol: str | None) -> None:
    assert symbol_of(replace(XBT, wsname=wsname)) == symbol


def test_a_share_and_a_pair_of_another_venue_have_none() -> None:
    assert symbol_of(replace(XBT, asset_class="tokenized_asset")) is None
    assert symbol_of(replace(XBT, venue="BTNL")) is None


def test_every_best_price_is_asked_for() -> None:
    asked = json.loads(price_request("subscribe", ["BTC/USD", "ETH/USD"], 3))
    params = {"channel": "ticker", "symbol": ["BTC/USD", "ETH/USD"], "event_trigger": "bbo", "snapshot": True}
    assert asked == {"method": "subscribe", "params": params, "req_id": 3}
    asked = json.loads(price_request("unsubscribe", ["BTC/USD"], 4))
    assert asked == {"method": "unsubscribe", "params": {"channel": "ticker", "symbol": ["BTC/USD"]}, "req_id": 4}


def test_a_row_is_read_exactly() -> None:
    ticker = Ticker(Decimal("30000.0"), Decimal("29999.9"), Decimal("30000.0"))
    assert read_price_frame(frame(ROW)) == TickerFrame(False, {"BTC/USD": ticker})
    assert read_price_frame(frame({**ROW, "last": 0}, kind="snapshot")) == TickerFrame(
        True, {"BTC/USD": replace(ticker, last=None)}
    )


@pytest.mark.parametrize("changes", [
    {"bid": 0}, {"ask": 0}, {"bid": None}, {"ask": "30000.0"}, {"bid": True}, {"ask": -1}, {"ask": [1]}, {"bid": 1e30},
])  # fmt: skip
def test_a_row_without_two_prices_takes_the_price_of_its_pair_away(changes: dict[str, Any]) -> None:
    assert read_price_frame(frame({**ROW, **changes})) == TickerFrame(False, {"BTC/USD": None})


def test_what_is_missing_or_odd_is_noted_and_what_is_new_is_passed_over() -> None:
    seen: list[tuple[str, str]] = []
    row = {"symbol": "BTC/USD", "bid": "1", "last": 0, "new": {}}
    read_price_frame(frame(row), lambda field, what: seen.append((field, what)))
    assert seen == [("ask", MISSING), ("bid", ODD)]
    assert read_price_frame('{"channel":"new"}', lambda field, what: seen.append((field, what))) == Alive()
    assert seen[2:] == [("new", NEW)]


@pytest.mark.parametrize(("text", "read"), [
    ('{"method":"subscribe","result":{"channel":"ticker","symbol":"BTC/USD"},"success":true}',
     SymbolAnswer("BTC/USD", None)),
    ('{"method":"subscribe","error":"Currency pair not supported A/B","symbol":"A/B","success":false}',
     SymbolAnswer("A/B", "Currency pair not supported A/B")),
    ('{"method":"subscribe","symbol":"A/B","success":"yes"}', SymbolAnswer("A/B", "no reason")),
    ('{"error":"Malformed request","success":false}', SymbolAnswer(None, "Malformed request")),
    ('{"method":"unsubscribe","error":"Subscription Not Found","symbol":"A/B","success":false}', Alive()),
    ('{"method":"pong","success":true}', Pong()),
    ('{"channel":"heartbeat"}', Alive()),
    ('{"channel":"status","type":"update","data":[{"system":"online"}]}', Alive()),
])  # fmt: skip
def test_other_frames(text: str, read: Any) -> None:
    assert read_price_frame(text) == read


@pytest.mark.parametrize("text", [
    "", "x", "[]", '{"channel":"ticker"}', frame(kind="supplement"), frame(7), frame({"bid": 1, "ask": 2}),
    frame({**ROW, "symbol": 7}), '{"channel":"ticker","type":"update","data":{}}', frame(ROW)[:40],
    '{"channel":"heartbeat","channel":"ticker"}',
])  # fmt: skip
def test_a_frame_that_may_hide_a_price_is_a_doubt(text: str) -> None:
    with pytest.raises(Doubt):
        read_price_frame(text)


def test_a_binary_frame_is_a_doubt() -> None:
    with pytest.raises(Doubt):
        read_price_frame(frame(ROW).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["channel", "type", "data", "symbol", "bid", "ask", "last", "method", "success", "result"]),
        inner | st.sampled_from(["ticker", "update", "snapshot", "BTC/USD", "subscribe"]), max_size=6,
    ), max_leaves=12,
)  # fmt: skip


@given(JSON, st.booleans())
def test_anything_is_read_or_a_doubt_and_a_price_is_positive(value: Any, is_row: bool) -> None:
    """Never another error, and never a price that is not one."""
    try:
        read = read_price_frame(frame(value) if is_row else json.dumps(value))
    except Doubt:
        return
    for ticker in read.tickers.values() if isinstance(read, TickerFrame) else ():
        assert ticker is None or (ticker.bid > 0 and ticker.ask > 0)
