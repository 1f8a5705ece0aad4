"""An actor of yours talks to ours: by tell, with the answer as a message, and by ask. Runs on the simulator.

For real Kraken: `Engine.from_env()`, or start the actors yourself: `KrakenPrivateActor.start([account])` and
`BalanceActor.start("MASTER", private_ref)`.
"""

import tempfile
import threading
from typing import Any

import pykka

from engine import CallDone, CallFailed, Engine, PrivateCall, ReadBalance
from engine.simulator import Simulator


class Strategy(pykka.ThreadingActor):
    """Yours. It never waits for Kraken: what it asked for comes as a message."""

    def __init__(self, private: pykka.ActorRef[Any], balance: pykka.ActorRef[Any], finished: threading.Event) -> None:
        super().__init__()
        self.private, self.balance, self.finished = private, balance, finished

    def on_start(self) -> None:
        for tag, endpoint in (("equity", "TradeBalance"), ("typo", "TradeBalanc")):
            self.private.tell(PrivateCall("MASTER", endpoint, reply_to=self.actor_ref, tag=tag))

    def on_receive(self, message: object) -> None:
        match message:
            case CallDone(call=call, result=result):
                print(f"told: {call.tag}: {result['eb']}")
            case CallFailed(call=call, error=error):
                print(f"told: {call.tag}: {error.outcome.value}: {error}")
        if isinstance(message, CallDone):
            known = self.balance.ask(ReadBalance(), block=True)  # the last known, at once: it does not wait for Kraken
            print(f"asked inside the actor: cash {known.cash}, {known.state.name}")
            self.finished.set()


def main() -> None:
    with (
        Simulator() as kraken, tempfile.TemporaryDirectory() as state_dir,
        Engine(kraken.accounts, url=kraken.url, state_dir=state_dir) as engine,
    ):
        fresh = engine.balances["MASTER"].ask(ReadBalance(max_age=5, timeout=10), block=True, timeout=15)
        print(f"asked: cash {fresh.cash}, {fresh.state.name}")
        result = engine.private.ask(PrivateCall("ALICE", "Balance"), timeout=15)  # raises CallError
        print(f"asked: {result}")

        finished = threading.Event()
        strategy = Strategy.start(engine.private, engine.balances["MASTER"], finished)
        try:
            assert finished.wait(30), "no answer came"
        finally:
            strategy.stop()  # stops yours; the engine goes on until its `with` ends


if __name__ == "__main__":
    main()
