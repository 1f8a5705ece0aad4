"""A call through `Engine.connect` beside the same call in process.

``python -m tests.benchmarks.remote URL FOLDER`` is the engine that is connected to, in a process of its own.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from engine import Account, Engine, RemoteEngine, Settings
from tests.benchmarks.findings import Finding, Sizes, all_cpus, alternate, finding, quantile, ratios
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import SECRET

SLOW = 0.020  # seconds: what Kraken takes at least
NAME = "ACCOUNT"


def remote_calls(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """At an exchange that takes no time, and at one that takes 20 ms, in alternating rounds."""
    exchange.pin(all_cpus())
    with tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder, started(
        exchange.url, folder + "/own"
    ) as engine, served(exchange.url, folder + "/served") as client:
        calls: dict[str, Callable[[], Any]] = {
            "in process": partial(engine.call, NAME, "Balance"), "remote": partial(client.call, NAME, "Balance"),
        }  # fmt: skip
        at_once = alternate(sizes.rounds, {name: partial(_median, call, sizes.calls) for name, call in calls.items()})
        more = [1e3 * (there - here) for here, there in zip(at_once["in process"], at_once["remote"], strict=True)]
        yield finding("remote", "a call through Engine.connect: more than in process", "ms", more)
        read = [_seconds(partial(client.balance, NAME)) for _ in range(sizes.calls)]
        yield finding("remote", "a snapshot through Engine.connect, median", "ms", [1e3 * statistics.median(read)])
        yield finding("remote", "the same, p99", "ms", [1e3 * quantile(read, 0.99)])
        exchange.delay(SLOW)
        try:
            count = max(1, sizes.calls // 10)
            slow = alternate(sizes.rounds, {name: partial(_median, call, count) for name, call in calls.items()})
        finally:
            exchange.delay(0)
        times = ratios(slow["in process"], slow["remote"])
        yield finding("remote", "a call of a 20 ms exchange, remote over in process", "×", times, at_most=1.15)


@contextmanager
def started(url: str, folder: str) -> Iterator[Engine]:
    """An engine that polls nothing."""
    account = Account(NAME, f"remote-{time.time_ns()}", SECRET)
    with Engine([account], url=url, state_dir=folder, settings=Settings(local_limits=False), balances=()) as engine:
        yield engine


@contextmanager
def served(url: str, folder: str) -> Iterator[RemoteEngine]:
    """A client of such an engine in another process."""
    command = [sys.executable, "-m", __name__, url, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with Engine.connect(folder) as client:
            yield client
        process.communicate()


def _median(call: Callable[[], Any], count: int) -> float:
    return statistics.median(_seconds(call) for _ in range(count))


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main(url: str, folder: str) -> None:
    """Serve until standard input ends."""
    with started(url, folder) as engine, engine.serve(port=0):
        print("served", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
