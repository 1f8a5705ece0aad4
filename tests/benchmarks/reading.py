"""What a bot does beside calling: reading snapshots, also while the exchange hangs, and ordering among polls."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from engine import Account, Engine, Settings
from tests.benchmarks.findings import Finding, Sizes, all_cpus, finding, quantile
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import SECRET

HANGS = 3600.0
SLOW = 0.020
ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000", "validate": True}


@contextmanager
def running(
    exchange: ExchangeProcess, accounts: int, *, balances: bool = True, refresh: float, per_thread: int | None = None,
    silence: float = 60.0,
) -> Iterator[Engine]:  # fmt: skip
    """An engine with so many accounts, ACCOUNT0 and so on, each polled every `refresh` seconds."""
    made = [Account(f"ACCOUNT{n}", f"polled-{n}-{time.time_ns()}", SECRET) for n in range(accounts)]
    settings = Settings(
        refresh_every=refresh, local_limits=False, cut_read_after=60, accounts_per_thread=per_thread,
        silence_to_unavailable=silence,
    )  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder,
        Engine(made, url=exchange.url, state_dir=folder + "/state", settings=settings,
               balances=None if balances else ()) as engine,
    ):  # fmt: skip
        yield engine


def snapshots(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """`engine.balance(NAME)`, at rest and while every call hangs."""
    exchange.pin(all_cpus())
    with running(exchange, 1, refresh=0.5) as engine:
        engine.balance("ACCOUNT0", max_age=60, timeout=10)
        yield from _reads(engine, sizes, "at rest")
        exchange.delay(HANGS)
        try:
            engine.balance("ACCOUNT0", max_age=0, timeout=0.1)  # a refresh hangs from here on
            yield from _reads(engine, sizes, "while the exchange hangs")
        finally:
            exchange.delay(0)


def _reads(engine: Engine, sizes: Sizes, when: str) -> Iterator[Finding]:
    read, rates, tails = engine.balance, [], []
    for _ in range(sizes.rounds):
        began = time.perf_counter()
        for _ in range(sizes.nonces):
            read("ACCOUNT0")
        rates.append(sizes.nonces / (time.perf_counter() - began))
        tails.append(1e6 * quantile(_each_read(engine, sizes.nonces // 3), 0.99))
    yield finding("snapshots", f"read {when}", "/s", rates, at_least=1_000_000)
    yield finding("snapshots", f"p99 of a read {when}", "µs", tails, at_most=10)


def _each_read(engine: Engine, count: int) -> list[float]:
    now, read, taken = time.perf_counter_ns, engine.balance, []
    for _ in range(count):
        began = now()
        read("ACCOUNT0")
        taken.append((now() - began) / 1e9)
    return taken


def orders_among_polls(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """An order from ask to reply while many accounts poll a 20 ms exchange; then a read, which waits its turn."""
    exchange.pin(all_cpus())
    chance = random.Random(7)
    topic = f"{sizes.polled} accounts poll a 20 ms exchange"
    exchange.delay(SLOW)
    try:
        with running(exchange, sizes.polled, refresh=1.0) as engine:
            time.sleep(10 * SLOW)
            taken = []
            for _ in range(sizes.orders):
                time.sleep(chance.uniform(0, 2 * SLOW))
                began = time.perf_counter()
                engine.call("ACCOUNT0", "AddOrder", ORDER)
                taken.append(1000 * (time.perf_counter() - began))
            read = []
            for _ in range(2):
                began = time.perf_counter()
                engine.call("ACCOUNT0", "TradeBalance", timeout=60)
                read.append(1000 * (time.perf_counter() - began))
    finally:
        exchange.delay(0)
    yield finding(topic, "an order from ask to reply, median", "ms", taken)
    yield finding(topic, "an order from ask to reply, p99", "ms", [quantile(taken, 0.99)], at_most=50)
    yield finding(topic, "a read from ask to reply", "ms", read)
