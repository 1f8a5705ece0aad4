"""The reply to an order is lost. Was it placed? The engine looks, and never sends it again.

Runs on the built-in simulator; no key is needed.
"""

from __future__ import annotations

import tempfile

from engine import Engine, Order, OrderChanged, Settings
from engine.simulator import Fault, Simulator

SETTINGS = Settings(local_limits=False)
ORDER = Order("XBTUSD", "buy", "market", "0.01")


def show(event: object) -> None:
    """Tell what happens to the order."""
    if isinstance(event, OrderChanged):
        print(f"  {event.receipt.state.value:10} {' '.join(event.receipt.txids)}")


def main() -> None:
    """Place one order, lose the reply, and count the orders on the exchange."""
    with Simulator() as kraken, tempfile.TemporaryDirectory() as directory:
        with Engine(
            kraken.accounts, url=kraken.url, state_dir=f"{directory}/state", settings=SETTINGS, live=True
        ) as engine:
            engine.subscribe(show)
            print("Kraken executes the order, and its answer is a 502:")
            kraken.fault(Fault.http(502, executed=True, endpoint="AddOrder", times=1))
            receipt = engine.place("MASTER", ORDER, id="signal-42")
            print(f"The engine found it: {receipt.state.value}, {receipt.filled:f} bought for {receipt.cost:f} USD.")

        with Engine(
            kraken.accounts, url=kraken.url, state_dir=f"{directory}/state", settings=SETTINGS, live=True
        ) as engine:
            again = engine.place("MASTER", ORDER, id="signal-42")
            print(f"After a restart the same id is the same order: {again.txids == receipt.txids}")
        print(f"Orders on the exchange: {len(kraken.placements('MASTER'))}")


if __name__ == "__main__":
    main()
