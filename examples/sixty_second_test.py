"""The 60-second test: connect, balance, availability, error count. Runs on the built-in simulator.

For real Kraken: set KRAKEN_API_KEY and KRAKEN_API_SECRET, leave out the simulator, and write `KrakenBroker()`; without
an engine of its own it builds one from the environment.
"""

import tempfile

from engine import Engine, KrakenBroker
from engine.simulator import Simulator


def main() -> None:
    with (
        Simulator(["MASTER"]) as kraken,
        tempfile.TemporaryDirectory() as state_dir,
        Engine(kraken.accounts, url=kraken.url, state_dir=state_dir) as engine,
    ):
        broker = KrakenBroker(engine=engine)

        assert broker.connect(), "no good balance came"
        print("connected:      yes")
        print("balance:       ", broker.get_account_balance(), "(a Decimal, never a guess)")
        print("available:     ", broker.is_available())
        print("error count:   ", broker.get_error_count())

        detailed = broker.get_account_balance_detailed()
        print("available cash:", detailed["available_cash"], "(what open orders hold is not in it)")
        print("as of:         ", detailed["as_of"].isoformat(timespec="seconds"), "stale:", detailed["stale"])
        broker.disconnect()


if __name__ == "__main__":
    main()
