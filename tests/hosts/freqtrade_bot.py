"""freqtrade, live: its entry, its stop-loss on the exchange, the cancel of that, and its exit. Run by its test.

    python -m tests.hosts.freqtrade_bot DIRECTORY

The directory has its configuration and its strategy. With ``KRAKEN_API_KEY`` an engine runs in this process, and
freqtrade's ccxt is on it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from engine import Engine, Settings

TURNS = 25  # of freqtrade's loop, a second each, until something has to have happened


def bot_of(directory: str) -> Any:
    """freqtrade as ``freqtrade trade`` starts it."""
    from freqtrade.configuration import Configuration
    from freqtrade.enums import RunMode, State
    from freqtrade.freqtradebot import FreqtradeBot

    arguments = {
        "config": [f"{directory}/config.json"], "strategy": "AtOnce", "strategy_path": directory,
        "user_data_dir": directory, "db_url": "sqlite://",
    }  # fmt: skip
    bot = FreqtradeBot(Configuration(arguments, RunMode.LIVE).get_config())
    bot.state = State.RUNNING
    bot.startup()
    return bot


def trade(bot: Any) -> None:
    """One trade from its entry to its exit."""
    from freqtrade.persistence import Trade

    def has_stop_loss() -> bool:
        return any(each.has_open_sl_orders for each in Trade.get_open_trades())

    def is_over() -> bool:
        return not Trade.get_open_trades() and any(not each.is_open for each in Trade.get_trades())

    go_on(bot, has_stop_loss, "entered, with a stop-loss on the exchange")
    bot.strategy.leaves = True
    go_on(bot, is_over, "left")


def go_on(bot: Any, until: Callable[[], bool], what: str) -> None:
    """Turn freqtrade's loop until it has happened."""
    for _ in range(TURNS):
        bot.process()
        if until():
            print(f"freqtrade has {what}", flush=True)
            return
        time.sleep(1)
    raise SystemExit(f"freqtrade has not {what}")


def main(directory: str) -> None:
    """Trade once."""
    with contextlib.ExitStack() as undo:
        if "KRAKEN_API_KEY" in os.environ:
            from engine.adapters import ccxt

            settings = Settings(tier="pro", local_limits=False)
            engine = undo.enter_context(Engine.from_env(settings=settings, live=True))
            undo.callback(ccxt.install(engine))
        bot = bot_of(directory)
        undo.callback(bot.cleanup)
        trade(bot)


if __name__ == "__main__":
    main(*sys.argv[1:])
