"""Whether an account could trade now: has Kraken check the smallest order on one pair."""

from __future__ import annotations

from decimal import Decimal

from engine.app import Engine
from engine.doctor.finding import Finding, bad, ok, skipped, warn
from engine.kraken.endpoints import PRIVATE
from engine.kraken.key_info import KeyInfo
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.capital import plain
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.gates.smallest_order import smallest_order
from engine.rules.lane.clock import TOLERANCE
from engine.rules.order.order import Order
from engine.values import Settings

CHECK = "can-trade"
WIDEST_SPREAD = Decimal(100)  # percent: whether an order would be taken does not depend on it
MONEY = ("USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY", "USDT", "USDC")
"""Currencies that bitcoin is traded for at Kraken, besides the account's own cash."""

_PASSING = ("EService:", "EAPI:Rate limit", "EGeneral:Too many", "EGeneral:Temporary", "EGeneral:Internal")
_REFUSES = (
    "Look up Kraken's error: it may not offer this product in your country, or require a step on its settings page "
    "first. Until then no order of this engine is accepted."
)
_LATER = "Nothing was placed. Fix that, and run this again."


def can_trade(
    engine: Engine, account: str, info: KeyInfo, settings: Settings, *, balance_age: float, seconds: float
) -> Finding:
    """Have Kraken check the smallest order with ``validate``; nothing is placed. The finding is yes, no, or not tried.

    `balance_age`: how old (seconds) the balance may be. `seconds`: how long each wait for Kraken may take.
    """
    obstacle = _obstacle(info) if seconds > 0 else "the time for this test is over"
    if obstacle is not None:
        return skipped(CHECK, obstacle, account)
    plan = TradePlan(
        pairs=(probe_pair(engine.balance(account), settings),), strategy=smallest_order,
        max_balance_age=balance_age, max_data_age=30.0, max_spread=WIDEST_SPREAD, max_skew=TOLERANCE,
    )  # fmt: skip
    return _judged(account, engine.gates(account, plan, dry=True, timeout=seconds))


def probe_pair(balance: BalanceSnapshot, settings: Settings) -> str:
    """The pair of bitcoin with the cash of which there is most; else with other money; else with the first cash."""
    for names in (settings.cash, MONEY):
        free = {name: each.available or each.total for name in names if (each := balance.assets.get(name)) is not None}
        most = max(free, key=lambda name: free[name], default=None)
        if most is not None and free[most] > 0:
            return f"XBT{most}"
    return f"XBT{next(iter(settings.cash), 'USD')}"


def _obstacle(info: KeyInfo) -> str | None:
    if info.permissions is None:
        return "Kraken does not say what the key may do"
    if not PRIVATE["AddOrder"].allowed(info.permissions):
        return "the key may not trade"
    return "the engine places no orders with this key, as said above" if info.order_obstacle else None


def _judged(account: str, report: GateReport) -> Finding:
    if report.passed and report.receipt is not None and report.order is not None:
        return ok(
            CHECK, f"Yes: Kraken would take the smallest order ({_order(report.order)}). It was only checked "
            "(validate); nothing was placed.", account,
        )  # fmt: skip
    error = report.error
    why = " ".join(report.reasons) or report.outcome
    if error is not None and error.kraken_code and not error.kraken_code.startswith(_PASSING):
        said = "" if error.kraken_code in why else f" It said {error.kraken_code!r}."
        return bad(CHECK, f"No: Kraken takes not even the smallest order. {why}{said}", _REFUSES, account)
    return warn(CHECK, f"Not now: {why}", _LATER, account)


def _order(order: Order) -> str:
    price = f" at {plain(order.price)}" if order.price is not None and not isinstance(order.price, str) else ""
    return f"{order.side} {plain(order.volume)} {order.pair}{price}"
