"""MASTER and five users through one lane: every balance, and events instead of polling. Runs on the simulator.

For real Kraken: `Engine.from_env()` takes MASTER from KRAKEN_API_KEY and KRAKEN_API_SECRET, and user NAME from
KRAKEN_USER_<NAME>_API_KEY and KRAKEN_USER_<NAME>_API_SECRET.
"""

import tempfile
import threading

from engine import BalanceChanged, Engine, Settings
from engine.simulator import Simulator

NAMES = ["MASTER", "ALICE", "BOB", "CAROL", "DAVE", "ERIN"]


def main() -> None:
    with Simulator(NAMES) as kraken, tempfile.TemporaryDirectory() as state_dir:
        settings = Settings(refresh_every=0.5, local_limits=False)  # for the show
        with Engine(kraken.accounts, url=kraken.url, state_dir=state_dir, settings=settings) as engine:
            for name in NAMES:
                balance = engine.balance(name, max_age=5, timeout=10)
                print(f"{name:7} {balance.state.name:7} cash {balance.cash:>16}  available: {balance.is_available}")

            paid = threading.Event()

            def on_event(event: object) -> None:
                if isinstance(event, BalanceChanged) and event.account == "ERIN":
                    print(f"ERIN's balance changed by {dict(event.changes)}")
                    paid.set()

            engine.subscribe(on_event)
            kraken.set_balance("ERIN", {"ZUSD": "1100.0000", "XXBT": "0.1000000000"})
            assert paid.wait(30), "the change was not told"

        print(f"{kraken.highest_in_flight} call at a time, {kraken.refused_nonces} nonces refused")
        assert kraken.highest_in_flight == 1
        assert kraken.refused_nonces == 0


if __name__ == "__main__":
    main()
