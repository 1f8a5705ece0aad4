"""Gates of yours beside the five: any function of the view that returns Allow or Deny. Runs on the simulator.

For real Kraken: `Engine.from_env()`; the gates stay as they are.
"""

import tempfile
from decimal import Decimal

from engine import FIVE_GATES, Allow, Candidate, Deny, Engine, Gate, Order, TradePlan, TradeView
from engine.simulator import Simulator


def enough_bitcoin(view: TradeView) -> Allow | Deny:
    """Stop buying once there is enough of it."""
    mine = view.balance.assets["XBT"].total
    return Allow(f"{mine} XBT") if mine < 1 else Deny(f"There are {mine} XBT already, and 1 is enough.")


def small_orders(view: TradeView) -> Allow | Deny:
    """No order may take more than 2 % of the cash. It looks at the strategy's order, so it `needs_order`."""
    order = view.signal.order
    cost = order.volume * view.market(order.pair).ticker.ask
    most = view.balance.cash * Decimal("0.02")
    return Allow(f"{cost:.2f} of {most:.2f}") if cost <= most else Deny(f"It costs {cost:.2f}; {most:.2f} at most may.")


def broken(view: TradeView) -> Allow:
    raise RuntimeError("somebody's bug")  # what errs denies: it can never let an order through


GATES = (*FIVE_GATES[:2], enough_bitcoin, *FIVE_GATES[2:], Gate("Small orders", small_orders, needs_order=True))


def buy(volume: str, gates: tuple) -> TradePlan:
    def strategy(candidate: Candidate, view: TradeView) -> Order:
        return Order(candidate.pair, "buy", "market", volume)

    return TradePlan(strategy=strategy, gates=gates)


def main() -> None:
    with (
        Simulator(["MASTER"]) as kraken,
        tempfile.TemporaryDirectory() as state_dir,
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
