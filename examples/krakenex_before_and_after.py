"""A krakenex bot and its loop "on a network error, send again", before and after: two orders of one, and one.

Runs on the built-in simulator; no key is needed. It needs krakenex.
"""

from __future__ import annotations

import tempfile
from typing import Any

import krakenex
import requests

from engine import Engine, Settings
from engine.adapters.krakenex import API
from engine.simulator import Fault, Simulator

ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "20000", "volume": "0.01"}


def buy(api: Any) -> list[str]:
    """The bot, which does not know what it runs on; the txid that it learns."""
    for _ in range(3):
        try:
            txids: list[str] = api.query_private("AddOrder", dict(ORDER))["result"]["txid"]
        except (requests.RequestException, OSError):
            continue
        return txids
    return []


def tell(when: str, kraken: Simulator, txids: list[str]) -> None:
    """What the bot knows, and what the exchange has."""
    placed = [each.txid for each in kraken.placements("MASTER")]
    print(f"{when}: {len(placed)} orders of one, and the bot knows {len(set(placed) & set(txids))} of them")


def main() -> None:
    """Kraken executes the first order, and its reply is lost; then the same with the engine."""
    lost = Fault.close(executed=True, endpoint="AddOrder", times=1)
    with Simulator() as kraken:
        kraken.fault(lost)
        api = krakenex.API(kraken.accounts[0].key, kraken.accounts[0].secret)
        api.uri = kraken.url
        tell("Before", kraken, buy(api))
        api.close()
    with Simulator() as kraken, tempfile.TemporaryDirectory() as directory:
        kraken.fault(lost)
        settings = Settings(local_limits=False)
        with Engine(kraken.accounts, url=kraken.url, state_dir=directory, settings=settings, live=True) as engine:
            tell("After", kraken, buy(API(engine)))


if __name__ == "__main__":
    main()
