"""freqtrade on the engine, in one process: this program takes the place of the ``freqtrade`` command.

    python examples/freqtrade_launcher.py trade --config examples/freqtrade.json --strategy YOURS

The engine has the keys (KRAKEN_API_KEY, KRAKEN_API_SECRET); what ``freqtrade.json`` has in their place is not used.
Without arguments it runs on the built-in simulator, without a key and without freqtrade, and shows what freqtrade gets.
It needs ccxt.
"""

from __future__ import annotations

import importlib
import sys
import tempfile

import ccxt

from engine import Engine
from engine.adapters.ccxt import install
from engine.simulator import Simulator


def launch(arguments: list[str]) -> int:
    """Run freqtrade with its own arguments. What it makes of ``ccxt.kraken`` is on the engine."""
    with Engine.from_env(live=True) as engine:
        install(engine)
        code = importlib.import_module("freqtrade.main").main(arguments)
    return int(code or 0)


def show() -> int:
    """What a host that constructs ccxt itself gets."""
    with (
        Simulator() as kraken, tempfile.TemporaryDirectory() as directory,
        Engine(kraken.accounts, url=kraken.url, state_dir=directory, live=True) as engine,
    ):  # fmt: skip
        undo = install(engine)
        exchange = ccxt.kraken({"apiKey": "the engine has it", "secret": "the engine has it"})
        order = exchange.create_order("ETH/USD", "market", "buy", 0.01)
        print(f"The host's own {type(exchange).__name__} placed {order['id']} through the engine.")
        undo()
    return 0


if __name__ == "__main__":
    sys.exit(launch(sys.argv[1:]) if sys.argv[1:] else show())
