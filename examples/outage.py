"""What a bot sees while Kraken is away and when it is back: never a 0. Runs on the simulator.

For real Kraken: `Engine.from_env()`; the checks in `may_trade` are what a bot asks before it trades.
"""

import tempfile
import threading

from engine import AvailabilityChanged, BalanceState, CallNotSent, Engine, Settings
from engine.simulator import Simulator


def may_trade(engine: Engine, account: str) -> bool:
    balance = engine.balance(account)  # at once, whatever Kraken does
    state = f"{balance.state.name}, {balance.age:.1f} s old"
    print(f"  cash {balance.cash} ({state}), available: {balance.is_available}, errors: {balance.error_count}")
    return balance.is_available and balance.state is BalanceState.FRESH


def main() -> None:
    changed = {True: threading.Event(), False: threading.Event()}

    def on_event(event: object) -> None:
        if isinstance(event, AvailabilityChanged):
            print(f"told: available: {event.is_available}; {event.reason or 'all is well'}")
            changed[event.is_available].set()

    # Quicker than one needs, for the show; the simulator has no rate limits unless it is given some.
    settings = Settings(refresh_every=0.2, local_limits=False)
    with Simulator(["MASTER"]) as kraken, tempfile.TemporaryDirectory() as state_dir:
        engine = Engine(kraken.accounts, url=kraken.url, state_dir=state_dir, settings=settings)
        engine.subscribe(on_event)
        with engine:
            assert changed[True].wait(30)
            assert may_trade(engine, "MASTER")
            changed[True].clear()

            with kraken.outage():
                assert changed[False].wait(30), "three failures make it unavailable"
                assert not may_trade(engine, "MASTER")
                try:
                    engine.call("MASTER", "TradeBalance", timeout=1)
                except CallNotSent as error:  # nothing reached Kraken, so it may be tried again
                    print(f"  not sent: {error}")

            assert changed[True].wait(30), "it comes back by itself"
            assert may_trade(engine, "MASTER")


if __name__ == "__main__":
    main()
