"""freqtrade as it comes from PyPI, live, through entry, stop-loss on exchange, its cancel and the exit.

Run in a virtual environment of its own: ``python -m tests.hosts.freqtrade_bot (in-process|gateway) DIRECTORY``.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine import Engine, Settings
from engine.simulator import Simulator

PAIR = "ETH/USD"
STRATEGY = '''
from freqtrade.strategy import IStrategy

class AtOnce(IStrategy):
    """Enters at once, and leaves when it is told."""

    INTERFACE_VERSION = 3
    timeframe = "1m"
    startup_candle_count = 0
    process_only_new_candles = False
    minimal_roi = {}
    stoploss = -0.10
    leaves = False

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        dataframe["enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe["exit_long"] = 0
        return dataframe

    def custom_exit(self, pair, trade, current_time, current_rate, current_profit, **kwargs):
        return "told" if self.leaves else None
'''


def config_of(directory: Path, urls: dict[str, str] | None, key: tuple[str, str]) -> Path:
    """freqtrade's configuration file."""
    reach = {} if urls is None else {"urls": {"api": urls}}
    (directory / "strategies").mkdir(exist_ok=True)
    (directory / "strategies" / "at_once.py").write_text(STRATEGY, encoding="utf-8")
    config = {
        "dry_run": False, "trading_mode": "spot", "max_open_trades": 1, "stake_currency": "USD", "stake_amount": 100,
        "tradable_balance_ratio": 0.9, "cancel_open_orders_on_exit": False, "bot_name": "bot",
        "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"},
        "order_types": {"entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": True,
                        "stoploss_on_exchange_interval": 0},
        "entry_pricing": {"price_side": "other", "use_order_book": False},
        "exit_pricing": {"price_side": "other", "use_order_book": False},
        "exchange": {"name": "kraken", "key": key[0], "secret": key[1], "ccxt_config": reach,
                     "pair_whitelist": [PAIR], "pair_blacklist": [], "enable_ws": False},
        "pairlists": [{"method": "StaticPairList"}],
        "internals": {"process_throttle_secs": 1},
    }  # fmt: skip
    path = directory / "config.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@contextlib.contextmanager
def reached(way: str, sim: Simulator, engine: Engine, directory: Path) -> Iterator[Path]:
    """The bot's way to the engine: its configuration."""
    if way == "in-process":
        from engine.adapters import ccxt as adapter

        undo = adapter.install(engine)
        yield config_of(directory, None, ("engine", "engine"))
        undo()
    else:
        with engine.serve(port=0) as service:
            key = issue(service.url, directory)
            yield config_of(directory, dict.fromkeys(("public", "private"), service.url.rstrip("/")), key)


def trade(bot: Any, sim: Simulator) -> None:
    """Entry, stop-loss, its cancel, exit."""
    def go_on(until: Callable[[], bool], what: str) -> None:
        for _ in range(20):
            bot.process()
            print(what, [(p.params, p.txid) for p in sim.placements("MASTER")][-2:], flush=True)
            if until():
                return
            time.sleep(1)
        raise SystemExit(f"{what}: it did not happen")

    def placed() -> list[str]:
        return [f"{each.params['type']} {each.params['ordertype']}" for each in sim.placements("MASTER")]

    go_on(lambda: placed() == ["buy market", "sell stop-loss"], "entry and stop-loss")
    bot.strategy.leaves = True
    go_on(lambda: placed() == ["buy market", "sell stop-loss", "sell market"], "exit")
    from freqtrade.persistence import Trade
    go_on(lambda: not Trade.get_open_trades(), "closed")


def main(way: str) -> None:
    from freqtrade.configuration import Configuration
    from freqtrade.enums import RunMode, State
    from freqtrade.freqtradebot import FreqtradeBot
    directory = Path(tempfile.mkdtemp())
    settings = Settings(tier="pro", local_limits=False, order_deadline=5, settle_margin=5)
    with Simulator() as sim, Engine(sim.accounts, url=sim.url, state_dir=directory / "state", live=True, settings=settings) as engine:
        sim.set_balance("MASTER", {"ZUSD": "10000"})
        with reached(way, sim, engine, directory) as path:
            arguments = {"config": [str(path)], "strategy": "AtOnce", "strategy_path": str(directory / "strategies"),
                         "user_data_dir": str(directory), "db_url": "sqlite://"}
            config = Configuration(arguments, RunMode.LIVE).get_config()
            bot = FreqtradeBot(config)
            try:
                bot.state = State.RUNNING
                bot.startup()
                trade(bot, sim)
            finally:
                bot.cleanup()


if __name__ == "__main__":
    main(*sys.argv[1:])
