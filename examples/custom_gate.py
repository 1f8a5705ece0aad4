"""Gates of yours beside the five: any function of the view that returns Allow or Deny. Runs on the simulator.

For real Kraken: `Engine.from_env()`; the gates stay as they are.
"""

import tempfile
from collections.abc import Callable
from decimal import Decimal

from engine import FIVE_GATES, Allow, Deny, Engine, Gate, Order, TradePlan, TradeView
from engine.simulator import Simulator

AnyGate = Gate | Callable[[TradeView], Allow | Deny]


def enough_bitcoin(view: TradeView) -> Allow | Deny:
    """Stop buying once there is enough of it."""
    mine = view.balance.assets["XBT"].total
    return Allow(f"{mine} XBT") if mine < 1 else Deny(f"There are {mine} XBT already, and 1 is enough.")


def small_orders(view: TradeView) -> Allow | Deny:
    """No order may take more than 2 % of the cash. It looks at the strategy's order, so it `needs_order`."""
    order = view.signal and view.signal.order
    ticker = order and view.market(order.pair).ticker
    if not (order and ticker and view.balance.cash):
        return Deny("There is no cash, or the order or its price is unknown.")
    cost, most = order.volume * ticker.ask, view.balance.cash * Decimal("0.02")
    return Allow(f"{cost:.2f} of {most:.2f}") if cost <= most else Deny(f"It costs {cost:.2f}; {most:.2f} at most may.")


def broken(view: TradeView) -> Allow:
    raise RuntimeError("somebody's bug")  # what errs denies: it can never let an order through


SMALL = Gate("Small orders", small_orders, needs_order=True)
GATES: tuple[AnyGate, ...] = (*FIVE_GATES[:2], enough_bitcoin, *FIVE_GATES[2:], SMALL)


def buy(volume: str, gates: tuple[AnyGate, ...]) -> TradePlan:
    return TradePlan(strategy=lambda candidate, view: Order(candidate.pair, "buy", "market", volume), gates=gates)


def main() -> None:
    with (
        Simulator(["MASTER"]) as kraken, tempfile.TemporaryDirectory() as state_dir,
        Engine(kraken.accounts, url=kraken.url, state_dir=state_dir) as engine,
    ):
        tries = (("0.005", GATES, True), ("0.1", GATES, False), ("0.005", (broken, *GATES), False))
        for volume, gates, passes in tries:
            report = engine.gates("MASTER", buy(volume, gates))
            print(report, "\n")
            assert report.passed is passes
        assert "broken: The gate 'broken' failed: RuntimeError: somebody's bug." in report.reasons


if __name__ == "__main__":
    main()
