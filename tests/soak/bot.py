"""A trading bot that runs at a walking pace until its standard input ends: the process whose use of resources is told.

Its arguments are one JSON document: ``url``, ``state``, ``accounts``, ``seed``. It prints the address of its service as
soon as that listens, and at the end one JSON document: how its calls ended, and what was wrong.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pykka

from engine import CallError, Engine, Order, OrderReceipt, Settings

SETTINGS = Settings(
    refresh_every=2.0, call_timeout=5.0, cut_read_after=0.5, cut_write_after=1.0, local_limits=False,
    order_deadline=3.0, settle_margin=2.0, follow_every=1.0,
)  # fmt: skip
READS = ("TradeBalance", "Balance", "OpenOrders", "Ledgers", "ClosedOrders")
MARKETS = (("XBTUSD", "30000"), ("ETHUSD", "1000"), ("XBTUSDT", "30000"))
PATIENCE = 60.0


class Listener(pykka.ThreadingActor):
    """A subscriber that is an actor."""

    use_daemon_thread = True


class Bot:
    """The threads of a bot; each job is one round of one of them."""

    def __init__(self, engine: Engine, names: list[str], seed: int) -> None:
        self.ends: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.over = threading.Event()
        self._engine, self._names = engine, names
        self._placed: list[OrderReceipt] = []
        jobs = (self._read, self._trade, self._look, self._come_and_go, self._await)
        self._threads = [
            threading.Thread(target=self._repeat, args=(job, random.Random(seed + number)), name=job.__name__)
            for number, job in enumerate(jobs)
        ]

    def run_until(self, wait: Callable[[], object]) -> None:
        """Work until `wait` returns."""
        for thread in self._threads:
            thread.start()
        wait()
        self.over.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.wrong.append(f"{thread.name} does not end")

    def _repeat(self, job: Callable[[random.Random], object], rng: random.Random) -> None:
        while not self.over.wait(rng.uniform(0.3, 1.2)):
            try:
                job(rng)
                end = "done"
            except CallError as error:
                end = type(error).__name__
            except BaseException as error:
                end = "untyped"
                self.wrong.append(f"{job.__name__} ended as {error!r}"[:500])
            self.ends[f"{job.__name__.strip('_')} {end}"] += 1

    def _read(self, rng: random.Random) -> None:
        self._engine.call(rng.choice(self._names), rng.choice(READS))

    def _trade(self, rng: random.Random) -> None:
        """An order; some are canceled by name, some with all others, some left to be filled."""
        account, (pair, price) = rng.choice(self._names), rng.choice(MARKETS)
        chance = rng.random()
        if chance < 0.1:
            self._engine.cancel_all(account)
        elif chance < 0.4 and self._placed:
            receipt = self._placed.pop()
            self._engine.cancel(receipt.account, receipt)
        else:
            order = Order(pair, "buy", "limit", "0.005", price)
            self._placed = [*self._placed[-9:], self._engine.place(account, order, timeout=10.0)]

    def _look(self, rng: random.Random) -> None:
        """No failure is ever a zero, however old the value."""
        snapshot = self._engine.balance(rng.choice(self._names), max_age=rng.choice((0, 1, 60)), timeout=3.0)
        if snapshot.cash is not None and snapshot.cash <= 0:
            self.wrong.append(f"{snapshot.account} was shown {snapshot.cash}")
        self._engine.status().to_dict()

    def _come_and_go(self, rng: random.Random) -> None:
        """Subscribers: one that is slow, one that fails, an actor that lives and one that has died."""

        def slow(event: Any) -> None:
            self.over.wait(0.02)

        def fails(event: Any) -> None:
            raise RuntimeError("a subscriber of the host fails")

        ref = Listener.start()
        subscriber = rng.choice((slow, fails, ref))
        if rng.random() < 0.3:
            ref.stop()
        self._engine.subscribe(subscriber)
        self.over.wait(rng.uniform(0, 1))
        self._engine.unsubscribe(subscriber)
        ref.stop()

    def _await(self, rng: random.Random) -> None:
        asyncio.run(self._awaited(rng.choice(self._names)))

    async def _awaited(self, account: str) -> None:
        """A loop that comes and goes, with its subscription and a call that is given up."""
        aio = self._engine.aio

        async def first_event() -> None:
            async for _ in aio.events():
                return

        with suppress(TimeoutError):
            await asyncio.wait_for(first_event(), 2.0)
        with suppress(TimeoutError):
            await asyncio.wait_for(aio.call(account, "TradeBalance"), 0.02)


def main() -> None:
    asked = json.loads(sys.argv[1])
    accounts = [tuple(account) for account in asked["accounts"]]
    names = [name for name, _, _ in accounts]
    with Engine(accounts, url=asked["url"], state_dir=asked["state"], settings=SETTINGS, live=True) as engine:
        service = engine.serve(port=0)
        print(service.url, flush=True)
        bot = Bot(engine, names, asked["seed"])
        bot.run_until(sys.stdin.read)
    print(json.dumps({"ends": bot.ends, "wrong": bot.wrong[:20]}))


if __name__ == "__main__":
    main()
