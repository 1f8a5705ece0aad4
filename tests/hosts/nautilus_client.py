"""NautilusTrader's REST client for Kraken: instruments, balances, an order, its change and its cancel. Run by its test.

    python nautilus_client.py URL KEY SECRET
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from nautilus_trader.core import nautilus_pyo3 as nautilus


async def trade(client: Any) -> dict[str, Any]:
    """What it was told, JSON-ready."""
    account = nautilus.AccountId("KRAKEN-001")
    (instrument,) = await client.request_instruments(["XBTUSD"])
    client.cache_instrument(instrument)
    state = await client.request_account_state(account)
    name = nautilus.ClientOrderId("O-20261128-1")
    placed = await client.submit_order(
        account, instrument.id, name, nautilus.OrderSide.BUY, nautilus.OrderType.LIMIT,
        nautilus.Quantity.from_str("0.01"), nautilus.TimeInForce.GTC, price=nautilus.Price.from_str("20000.0"),
        post_only=True,
    )  # fmt: skip
    await client.modify_order(
        instrument.id, client_order_id=name, venue_order_id=placed, price=nautilus.Price.from_str("20001.0")
    )
    await client.cancel_order(account, instrument.id, client_order_id=name, venue_order_id=placed)
    bought = await client.submit_order(
        account, instrument.id, nautilus.ClientOrderId("O-20261128-2"), nautilus.OrderSide.BUY,
        nautilus.OrderType.MARKET, nautilus.Quantity.from_str("0.01"), nautilus.TimeInForce.GTC,
    )  # fmt: skip
    fills = await client.request_fill_reports(account)
    canceled = await client.cancel_all_orders()
    return {
        "state": str(state), "placed": str(placed), "bought": str(bought), "canceled": canceled,
        "fills": [str(each.venue_order_id) for each in fills],
    }  # fmt: skip


def main(url: str, key: str, secret: str) -> None:
    """Trade, and print what was told."""
    client = nautilus.KrakenSpotHttpClient(key, secret, url, timeout_secs=30, max_requests_per_second=50)
    print(json.dumps(asyncio.run(trade(client))))


if __name__ == "__main__":
    main(*sys.argv[1:])
