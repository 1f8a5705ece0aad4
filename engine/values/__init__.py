"""Values that every package may use: accounts, secrets, settings, amounts, markets, the clock."""

from engine.values.account import MASTER, Account, check_tier
from engine.values.balance import AssetBalance, BalanceRow, Bucket
from engine.values.clock import SYSTEM_CLOCK, Clock, SystemClock
from engine.values.market import Pair, Ticker
from engine.values.secret import SECRET_FROM, Secret, shown
from engine.values.settings import KRAKEN_URL, Settings
from engine.values.value import Value

__all__ = [
    "KRAKEN_URL",
    "MASTER",
    "SECRET_FROM",
    "SYSTEM_CLOCK",
    "Account",
    "AssetBalance",
    "BalanceRow",
    "Bucket",
    "Clock",
    "Pair",
    "Secret",
    "Settings",
    "SystemClock",
    "Ticker",
    "Value",
    "check_tier",
    "shown",
]
