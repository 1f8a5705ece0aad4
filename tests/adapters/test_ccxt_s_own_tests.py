"""ccxt's own tests of an exchange, which come with it: on an engine they say what they say on the exchange itself."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import ccxt
import pytest

from engine import Engine
from engine.adapters import ccxt as adapter
from engine.simulator import Simulator
from tests.stopwatch import PATIENCE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ccxt.*")

SYMBOL, CURRENCY = "BTC/USD", "USD"
TESTS: dict[str, list[str]] = {
    "features": [], "after_construct": [], "fetch_ticker": [SYMBOL], "fetch_tickers": [SYMBOL],
    "fetch_ohlcv": [SYMBOL], "fetch_status": [], "fetch_balance": [], "fetch_my_trades": [SYMBOL],
    "fetch_deposits": [CURRENCY], "fetch_withdrawals": [CURRENCY], "fetch_trading_fee": [SYMBOL],
    "fetch_positions": [SYMBOL],
    # These fail on both: they want what Kraken does not tell, such as a withdrawal's fee or the time of an order book.
    "load_markets": [], "fetch_markets": [], "fetch_currencies": [], "fetch_trades": [SYMBOL],
    "fetch_order_book": [SYMBOL], "fetch_open_orders": [SYMBOL], "fetch_closed_orders": [SYMBOL],
    "fetch_ledger": [CURRENCY], "fetch_ledger_entry": [CURRENCY],
}  # fmt: skip
PASS_AT_LEAST = 8


def verdict(exchange: Any, name: str, arguments: list[str]) -> str:
    """How ccxt's test of that name ends."""
    test = getattr(importlib.import_module(f"ccxt.test.exchange.sync.test_{name}"), f"test_{name}")
    try:
        test(exchange, {}, *arguments)
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition('<<<')[0].partition('{')[0]}"
    return "passed"


def traded(exchange: Any) -> Any:
    """With an order that is filled and one that rests."""
    exchange.create_order(SYMBOL, "market", "buy", 0.01)
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 20000)
    return exchange


def test_they_say_of_the_adapter_what_they_say_of_ccxt_itself(
    live: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # to which they add
    pytest.importorskip("ccxt.test.exchange.sync.test_fetch_balance", reason="this ccxt comes without its tests")
    on_engine = traded(adapter.kraken({"timeout": PATIENCE * 1000, "enableRateLimit": False}, engine=live))
    with Simulator() as other:
        other.set_balance("MASTER", {"ZUSD": "900000.0000", "XXBT": "9.0000000000"})
        master = other.accounts[0]
        itself = ccxt.kraken({"apiKey": master.key, "secret": master.secret, "enableRateLimit": False})
        itself.urls["api"] |= {"public": other.url, "private": other.url}
        traded(itself)
        told = {name: verdict(on_engine, name, arguments) for name, arguments in TESTS.items()}
        assert told == {name: verdict(itself, name, arguments) for name, arguments in TESTS.items()}
        assert sum(each == "passed" for each in told.values()) >= PASS_AT_LEAST
        itself.session.close()
