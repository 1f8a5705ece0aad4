"""A ccxt bot on the engine: it keeps its loop, and an order whose outcome nobody knows for a while stays one order.

Runs on the built-in simulator; no key is needed. It needs ccxt.
"""

from __future__ import annotations

import tempfile
from typing import Any

import ccxt

from engine import Engine, Settings
from engine.adapters import ccxt as adapter
from engine.simulator import Fault, Simulator

LOOKUPS = ("OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory")


def buy(exchange: Any, faults: list[Any]) -> Any:
    """The bot's loop; after its first try Kraken can be asked again."""
    for number in (1, 2, 3):
        try:
            return exchange.create_order("BTC/USD", "limit", "buy", 0.01, 20_000)
        except ccxt.NetworkError:
            print(f"  try {number}: nothing was sent, so it is sent again")
        except adapter.OutcomeUnknown as unknown:
            print(f"  try {number}: {unknown.receipt.state.value}; the same order again is a look at this one")
        for each in faults:
            each.remove()
    return None


def main() -> None:
    """The order is executed, its reply is lost, and the look-ups fail as well."""
    with Simulator() as kraken, tempfile.TemporaryDirectory() as directory:
        settings = Settings(local_limits=False, settle_margin=1.0)
        with Engine(kraken.accounts, url=kraken.url, state_dir=directory, settings=settings, live=True) as engine:
            exchange = adapter.kraken({"timeout": 3000, "enableRateLimit": False}, engine=engine)
            exchange.load_markets()
            print("Cash:", exchange.fetch_balance()["USD.F"]["total"])
            faults = [kraken.fault(Fault.http(502, endpoint=each)) for each in LOOKUPS]
            kraken.fault(Fault.close(executed=True, endpoint="AddOrder", times=1))
            exchange.timeout = 1000
            order = buy(exchange, faults)
            exchange.timeout = 10_000
            order = order or exchange.create_order("BTC/USD", "limit", "buy", 0.01, 20_000)
            placed = [each.txid for each in kraken.placements("MASTER")]
            print(f"Orders on the exchange: {len(placed)}; the bot knows it: {[order['id']] == placed}")


if __name__ == "__main__":
    main()
