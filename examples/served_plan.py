"""A plan in a file, by which a service trades: ``kraken-engine serve --trade MASTER=served_plan:plan``, in this folder.

Run as a program it starts that service on the built-in simulator, without a key, and asks it for a pass. Not advice.
"""

import os
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path

from engine import Candidate, Engine, Order, TradePlan, TradeView
from engine.simulator import Simulator

STAKE, BELOW = Decimal("0.001"), Decimal("0.99")


def decide(candidate: Candidate, view: TradeView) -> Order | None:
    """Bids one percent below the market."""
    ticker = view.market(candidate.pair).ticker
    if ticker is None:
        return None
    return Order(candidate.pair, "buy", "limit", STAKE, (ticker.bid * BELOW).quantize(Decimal("0.1")), flags=("post",))


# Without an interval it makes a pass when it is asked to; with interval=60 it makes one every minute by itself.
plan = TradePlan(pairs=("XBTUSD",), strategy=decide, reserve="1000", max_spread="1")


def main() -> None:
    """The service has the key; this program has none, and reaches it by the state directory."""
    with Simulator() as kraken, tempfile.TemporaryDirectory() as state:
        environment = {
            **os.environ, "KRAKEN_SPOT_URL": kraken.url, "KRAKEN_ENGINE_STATE": state,
            "KRAKEN_API_KEY": kraken.accounts[0].key, "KRAKEN_API_SECRET": kraken.accounts[0].secret,
        }  # fmt: skip
        serve = "-B -m engine serve --live --json --port 0 --trade MASTER=served_plan:plan"
        with subprocess.Popen(
            [sys.executable, *serve.split()], cwd=Path(__file__).parent, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as service:  # fmt: skip
            try:
                assert service.stdout is not None
                while service.stdout.readline() not in (b"}\n", b""):
                    pass  # it prints one JSON document when it listens
                with Engine.connect(state) as engine:
                    print(engine.gates("MASTER", dry=False).outcome)
            finally:
                service.terminate()
        print(f"Orders on the exchange: {len(kraken.placements('MASTER'))}")


if __name__ == "__main__":
    main()
