"""From the balance to a trade through the five gates: let through, stopped with every reason, placed. On the simulator.

For real Kraken: `Engine.from_env()`; leave out `live=True`, and Kraken only checks the orders.
"""

import tempfile

from engine import Candidate, Engine, GateDenied, Order, TradePlan, TradeView
from engine.simulator import Simulator


def scanner(view: TradeView) -> list[str]:
    """Yours: which pairs to look at, the best first. Here: the narrowest spread."""
    known = {pair: view.market(pair).ticker for pair in view.plan.pairs}
    spreads = {pair: (ticker.ask - ticker.bid) / ticker.ask for pair, ticker in known.items() if ticker}
    return sorted(spreads, key=spreads.__getitem__)


def strategy(candidate: Candidate, view: TradeView) -> Order | None:
    """Yours: an order for a candidate, or None."""
    ticker = view.market(candidate.pair).ticker
    return Order(candidate.pair, "buy", "limit", "0.01", ticker.bid) if ticker else None


PLAN = TradePlan(pairs=("XBTUSD", "ETHUSD"), scanner=scanner, strategy=strategy, reserve="1000", max_spread="0.2")


def main() -> None:
    with (
        Simulator(["MASTER"]) as kraken,
        tempfile.TemporaryDirectory() as state_dir,
        Engine(kraken.accounts, url=kraken.url, state_dir=state_dir, live=True) as engine,
    ):
        report = engine.gates("MASTER", PLAN)  # dry unless it says otherwise: Kraken checks the order
        print(report, "\n")
        assert report.passed

        kraken.set_status("maintenance")
        kraken.set_balance("MASTER", {"ZUSD": "900.0000"})
        poor = TradePlan(pairs=PLAN.pairs, strategy=strategy, reserve="1000", max_balance_age=0.001)
        try:
            engine.gates("MASTER", poor).require()
        except GateDenied as error:
            print(f"denied: {error}\n")
        assert not kraken.orders("MASTER")

        kraken.set_status("online")
        kraken.set_balance("MASTER", {"ZUSD": "20000.0000"})
        report = engine.gates("MASTER", TradePlan(strategy=strategy, max_balance_age=0.001), dry=False)
        print(report)
        assert report.receipt is not None
        print(f"{len(kraken.orders('MASTER'))} order on the exchange: {report.receipt.txids[0]}")
        assert [order["txid"] for order in kraken.orders("MASTER")] == list(report.receipt.txids)


if __name__ == "__main__":
    main()
