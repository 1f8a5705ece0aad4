"""From a signal to its bytes at the exchange: what a placement takes before it is out, its writes to the disk included.

``python -m tests.benchmarks.order_path`` is the exchange, in a process of its own: it prints its address and the
account's key, and for each line that it reads when the orders since the last one arrived. Both processes read the
machine's monotonic clock.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from engine import Engine, Order, Settings
from engine.simulator import Simulator
from tests.benchmarks.findings import Finding, Sizes, finding, quantile

ACCOUNT = "MASTER"
PAIRS = ("XBTUSD", "ETHUSD", "XBTEUR", "ETHEUR")
BLOCK = 4096  # bytes that SQLite writes at once
MS = 1000.0


class ExchangeOfOrders:
    """The simulator in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        told = json.loads(self._out.readline())
        self.url, self.key = told["url"], tuple(told["key"])

    def arrivals(self) -> list[float]:
        """When each order since the last question arrived."""
        self._in.write("\n")
        self._in.flush()
        found: list[float] = json.loads(self._out.readline())
        return found


@contextmanager
def _exchange() -> Iterator[ExchangeOfOrders]:
    command = [sys.executable, "-m", __name__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield ExchangeOfOrders(process)
    finally:
        process.communicate()


def order_path(sizes: Sizes) -> Iterator[Finding]:
    """One placement after the other, then several at once; beside what the disk takes for a durable write."""
    settings = Settings(refresh_every=3600, local_limits=False, tier="pro")
    with tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder, _exchange() as exchange:
        accounts = [(ACCOUNT, *exchange.key)]
        with Engine(accounts, url=exchange.url, state_dir=folder + "/state", settings=settings, live=True) as engine:
            _placed(engine, 0)  # connections and caches are warm from here on
            exchange.arrivals()
            singly, floor = [], []
            for number in range(1, 1 + sizes.orders):
                floor.append(_durable_write(Path(folder, "floor")))
                began = _placed(engine, number)
                singly.append(exchange.arrivals()[0] - began)
            yield from _one_by_one(singly, floor)
            yield from _at_once(engine, exchange, sizes)


def _one_by_one(singly: list[float], floor: list[float]) -> Iterator[Finding]:
    topic = "order path"
    ratio = quantile(floor, 0.1) / quantile(singly, 0.1)  # the quick ones: a busy machine delays the longer way more
    yield finding(topic, "a durable write of the disk, median", "ms", [MS * statistics.median(floor)])
    yield finding(topic, "from a signal to the exchange, median", "ms", [MS * statistics.median(singly)], at_most=1.5)
    yield finding(topic, "from a signal to the exchange, p90", "ms", [MS * quantile(singly, 0.9)])
    yield finding(topic, "a durable write over a signal's way to the exchange", "×", [ratio], is_ratio=True)


def _at_once(engine: Engine, exchange: ExchangeOfOrders, sizes: Sizes) -> Iterator[Finding]:
    """Signals on several markets at the same moment: how long until the last of them is out."""
    taken = []
    with ThreadPoolExecutor(len(PAIRS)) as threads:
        for number in range(sizes.rounds):
            began = min(threads.map(lambda pair, number=number: _placed(engine, 10_000 + number, pair), PAIRS))
            taken.append(MS * (max(exchange.arrivals()) - began))
    yield finding("order path", f"{len(PAIRS)} signals at once, until the last is at the exchange", "ms", taken)


def _placed(engine: Engine, number: int, pair: str = PAIRS[0]) -> float:
    """Place an order that stays open; when that began."""
    order = Order(pair, "buy", "limit", "0.01", str(1000 + number % 500))
    began = time.monotonic()
    receipt = engine.place(ACCOUNT, order, id=f"{pair}-{number}", timeout=20)
    engine.cancel(ACCOUNT, receipt)
    return began


def _durable_write(path: Path) -> float:
    """Seconds that it takes to write a block and have it on the disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        os.write(descriptor, b"\0" * BLOCK)
        began = time.monotonic()
        os.pwrite(descriptor, b"\1" * BLOCK, 0)
        (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(descriptor)
        return time.monotonic() - began
    finally:
        os.close(descriptor)


def main() -> None:
    """Be the exchange until standard input ends."""
    with Simulator((ACCOUNT,)) as sim:
        sim.set_balance(ACCOUNT, {"ZUSD": "90000000", "ZEUR": "90000000"})
        _, *key = sim.accounts[0]
        print(json.dumps({"url": sim.url, "key": key}), flush=True)
        told = 0
        for _ in sys.stdin:
            orders = [call.started for call in sim.calls if call.endpoint == "AddOrder"]
            print(json.dumps(orders[told:]), flush=True)
            told = len(orders)


if __name__ == "__main__":
    main()
