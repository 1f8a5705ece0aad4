"""A small moving-average bot that trades on the simulator: prices move by chance (seeded), a summary at the end.

For real Kraken: `Engine.from_env()` and `engine.start_trading("MASTER", plan)` with an `interval`. Not advice.
"""

import random
import tempfile
from collections import deque
from decimal import Decimal

from engine import Candidate, Engine, Order, Settings, TradePlan, TradeView
from engine.simulator import Simulator

TICKS, FAST, SLOW = 60, 4, 12
PAIR, STAKE = "XBTUSD", Decimal("0.05")


class MovingAverage:
    """Buys when the fast average is above the slow one, and sells when it is below."""

    def __init__(self) -> None:
        self.prices: deque[Decimal] = deque(maxlen=SLOW)

    def scan(self, view: TradeView) -> list[str]:
        ticker = view.market(PAIR).ticker  # asked in every pass, also when a gate denies
        self.prices.extend([ticker.last] if ticker and ticker.last else [])
        return [PAIR] if len(self.prices) == SLOW else []

    def decide(self, candidate: Candidate, view: TradeView) -> Order | None:
        fast, slow = sum([*self.prices][-FAST:]) / FAST, sum(self.prices) / SLOW
        mine = view.balance.assets["XBT"].available if "XBT" in view.balance.assets else Decimal(0)
        if fast > slow and not mine:
            return Order(PAIR, "buy", "market", STAKE)
        return Order(PAIR, "sell", "market", mine) if fast < slow and mine else None


def main() -> None:
    walk, price, reports, settings = random.Random(7), 60_000.0, [], Settings(local_limits=False)  # for the show
    with Simulator(["MASTER"]) as kraken, tempfile.TemporaryDirectory() as state_dir:
        kraken.set_balance("MASTER", {"ZUSD": "10000.0000"})
        with Engine(kraken.accounts, url=kraken.url, state_dir=state_dir, live=True, settings=settings) as engine:
            bot = MovingAverage()
            plan = TradePlan(pairs=(PAIR,), scanner=bot.scan, strategy=bot.decide, reserve="500")
            for _ in range(TICKS):
                price *= 1 + walk.gauss(0, 0.004)
                kraken.set_price(PAIR, bid=f"{price:.1f}", ask=f"{price + 1:.1f}")
                reports.append(engine.gates("MASTER", plan, dry=False))
                if reports[-1].receipt:
                    print(f"at {price:9.1f}: {reports[-1].outcome}")
            balance = engine.balance("MASTER", max_age=0.001, timeout=10)
        orders = kraken.orders("MASTER")
        worth = balance.assets["USD"].total + balance.assets["XBT"].total * Decimal(f"{price:.1f}")
        print(f"{TICKS} passes, {len(orders)} orders, worth {worth:.2f} USD after 10000.00")
        assert len(orders) == sum(report.receipt is not None for report in reports) >= 2, "what passed was placed, once"
        assert all(report.passed or report.reasons for report in reports)


if __name__ == "__main__":
    main()
