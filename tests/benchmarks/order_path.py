"""From a signal to its bytes at the exchange: what a placement takes before it is out, its writes to the disk included.

``python -m tests.benchmarks.order_path`` is the exchange, in a process of its own: it prints its address and the
account's key, and for each line that it reads when the orders since the last one arrived. Both processes read the
machine's monotonic clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from engine import Engine, Order, OrderReceipt, Settings
from engine.simulator import Simulator
from tests.benchmarks.contestants import CONTESTANTS
from tests.benchmarks.findings import Finding, Sizes, finding, quantile
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import SECRET

TOPIC = "order path"
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


def order_path(fast: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """One placement after the other, then several at once; beside what the disk takes for a durable write.

    `fast` is the exchange for http.client, whose processor time is what that of a placement is compared with: it does
    not depend on what else the machine does.
    """
    settings = Settings(refresh_every=3600, local_limits=False, tier="pro")
    with tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder, _exchange() as exchange:
        accounts = [(ACCOUNT, *exchange.key)]
        with Engine(accounts, url=exchange.url, state_dir=folder + "/state", settings=settings, live=True) as engine:
            _placed(engine, 0)  # connections and caches are warm from here on
            exchange.arrivals()
            yield from _one_by_one(engine, exchange, Path(folder, "floor"), sizes)
            yield from _at_once(engine, exchange, sizes)
            yield _work(engine, fast, sizes)


def _one_by_one(engine: Engine, exchange: ExchangeOfOrders, floor: Path, sizes: Sizes) -> Iterator[Finding]:
    singly, writes = [], []
    for number in range(1, 1 + sizes.orders):
        writes.append(_durable_write(floor))
        began = _placed(engine, number)
        singly.append(exchange.arrivals()[0] - began)
    out = [MS * each for each in singly]
    yield finding(TOPIC, "a durable write of the disk", "ms", [MS * each for each in writes])
    yield finding(TOPIC, "from a signal to the exchange", "ms", out, at_most=1.5)
    yield finding(TOPIC, "from a signal to the exchange, p90", "ms", [quantile(out, 0.9)])


def _work(engine: Engine, fast: ExchangeProcess, sizes: Sizes) -> Finding:
    """In turns, so that both find the caches as the rest of the machine has left them."""
    client, less = CONTESTANTS["http.client"](fast.url, "order path", SECRET), []
    try:
        for number in range(100_000, 100_000 + 2 * sizes.orders):
            began = time.thread_time()
            client.call()
            called, began = time.thread_time() - began, time.process_time()
            _placed(engine, number)
            less.append(called / (time.process_time() - began))
    finally:
        client.close()
    what = "processor time of an http.client call over that of an order and its cancel"
    return finding(TOPIC, what, "×", less, is_ratio=True)


def _at_once(engine: Engine, exchange: ExchangeOfOrders, sizes: Sizes) -> Iterator[Finding]:
    """Signals on several markets at the same moment: how long until the last of them is out."""
    taken = []
    with ThreadPoolExecutor(len(PAIRS)) as threads:
        for number in range(sizes.rounds):
            began = time.monotonic()
            list(threads.map(partial(_place, engine, 10_000 + number), PAIRS))
            taken.append(MS * (max(exchange.arrivals()) - began))
            engine.cancel_all(ACCOUNT)
    yield finding(TOPIC, f"{len(PAIRS)} signals at once, until the last is at the exchange", "ms", taken)


def _placed(engine: Engine, number: int) -> float:
    """Place an order and cancel it again; when that began."""
    began = time.monotonic()
    engine.cancel(ACCOUNT, _place(engine, number, PAIRS[0]))
    return began


def _place(engine: Engine, number: int, pair: str) -> OrderReceipt:
    """Place an order that stays open."""
    order = Order(pair, "buy", "limit", "0.01", str(1000 + number % 500))
    return engine.place(ACCOUNT, order, id=f"{pair}-{number}", timeout=20)


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
