"""freqtrade on the engine, in its process and through the gateway: one trade, with replies lost on the way."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.served import served

pytestmark = pytest.mark.hosts

TRADES_WITHIN = 120.0  # seconds
STRATEGY = '''
from freqtrade.strategy import IStrategy

class AtOnce(IStrategy):
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
PRICES = {"price_side": "other", "use_order_book": False}


def configured(directory: Path, exchange: dict[str, object]) -> Path:
    """A directory with freqtrade's configuration and a strategy that enters at once and leaves when it is told."""
    config = {
        "dry_run": False, "trading_mode": "spot", "max_open_trades": 1, "stake_currency": "USD", "stake_amount": 100,
        "tradable_balance_ratio": 0.9, "unfilledtimeout": {"entry": 10, "exit": 10, "unit": "minutes"},
        "order_types": {
            "entry": "market", "exit": "market", "stoploss": "market", "stoploss_on_exchange": True,
        },
        "entry_pricing": PRICES, "exit_pricing": PRICES, "pairlists": [{"method": "StaticPairList"}],
        "exchange": {"name": "kraken", "pair_whitelist": ["ETH/USD"], "pair_blacklist": [], "enable_ws": False,
                     **exchange},
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (directory / "at_once.py").write_text(STRATEGY, encoding="utf-8")
    return directory


def run(python: str, directory: Path, arguments: Sequence[str], **environment: str) -> str:
    """What the program says."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KRAKEN")}
    done = subprocess.run(
        [python, *arguments],
        env={**inherited, "HOME": str(directory), "PYTHONPATH": str(ROOT), **environment}, cwd=directory,
        capture_output=True, text=True, timeout=TRADES_WITHIN, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def trade(python: str, directory: Path, **environment: str) -> None:
    run(python, directory, ["-m", "tests.hosts.freqtrade_bot", str(directory)], **environment)


def with_engine(sim: Simulator, directory: Path) -> dict[str, str]:
    """The environment of a program that has an engine in it."""
    master = sim.accounts[0]
    return {
        "KRAKEN_API_KEY": master.key, "KRAKEN_API_SECRET": master.secret, "KRAKEN_SPOT_URL": sim.url,
        "KRAKEN_ENGINE_STATE": str(directory / "state"),
    }  # fmt: skip


def lose_two_replies(sim: Simulator) -> None:
    """Those to the entry and to the stop-loss."""
    sim.set_balance("MASTER", {"ZUSD": "10000.0000"})
    sim.fault(Fault.close(executed=True, endpoint="AddOrder", times=2))


def traded(sim: Simulator) -> list[str]:
    return [f"{each.params['type']} {each.params['ordertype']}" for each in sim.placements("MASTER")]


ONE_TRADE = ["buy market", "sell stop-loss", "sell market"]


def test_freqtrade_trades_in_the_process_of_the_engine(freqtrade: str, sim: Simulator, tmp_path: Path) -> None:
    lose_two_replies(sim)
    trade(freqtrade, configured(tmp_path, {"key": "engine", "secret": "engine"}), **with_engine(sim, tmp_path))
    assert traded(sim) == ONE_TRADE
    assert sim.refused_nonces == 0


def test_freqtrade_trades_through_the_gateway(freqtrade: str, sim: Simulator, tmp_path: Path) -> None:
    with served(sim, tmp_path, "--live") as service:
        lose_two_replies(sim)
        told = service.command("gateway-key", "MASTER", "--label", "freqtrade", "--trading", "--json")
        assert told.returncode == 0, told.stderr
        credentials = json.loads(told.stdout)
        reached = {"urls": {"api": {"public": service.url, "private": service.url}}, "enableRateLimit": False}
        (tmp_path / "bot").mkdir()
        trade(freqtrade, configured(tmp_path / "bot", {
            "key": credentials["key"], "secret": credentials["secret"], "ccxt_config": reached,
        }))  # fmt: skip
    assert traded(sim) == ONE_TRADE
    assert sim.refused_nonces == 0


def test_the_launcher_runs_freqtrade_with_its_configuration(freqtrade: str, sim: Simulator, tmp_path: Path) -> None:
    launcher, config = (str(ROOT / "examples" / name) for name in ("freqtrade_launcher.py", "freqtrade.json"))
    asked = ["list-pairs", "--config", config, "--quote", "USD", "--print-list", "--userdir", str(tmp_path)]
    told = run(freqtrade, tmp_path, [launcher, *asked], **with_engine(sim, tmp_path))
    assert "BTC/USD" in told
    assert {"AssetPairs", "BalanceEx"} <= {call.endpoint for call in sim.calls}
