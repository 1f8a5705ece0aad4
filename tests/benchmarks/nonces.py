"""Nonces: the durable ones of the engine, one in memory only, and one durable write for each."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from engine.store import Store
from engine.store.nonces import Nonces, file_nonces
from tests.benchmarks.findings import Finding, Sizes, alternate, finding, quantile, ratios

KEY = "0123456789abcdef" * 2
PACE = 0.05  # seconds between two nonces of a key at 20 a second


class InMemory:
    """``max(last + 1, now)`` under a lock: what a careful client does within one process."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def issue(self, _: str) -> int:
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return self._last


class WrittenEach:
    """The same, with each nonce made durable by itself before it is used."""

    def __init__(self, store: Store) -> None:
        self._last = 0
        self._store = store

    def issue(self, key: str) -> int:
        self._last = max(self._last + 1, time.time_ns())
        self._store.put(key, {"mark": str(self._last)})
        return self._last


def issuing(sizes: Sizes) -> Iterator[Finding]:
    """How fast nonces are issued, and how long the slowest of them takes."""
    with tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder, ThreadPoolExecutor(1) as disk:
        each = Store(Path(folder) / "each.sqlite")
        nonces = file_nonces(Path(folder), soon=disk.submit)
        with closing(each), closing(nonces):
            yield from _rates(sizes, nonces, WrittenEach(each))
            yield from _waits(sizes, nonces)
            disk.shutdown()


def _rates(sizes: Sizes, nonces: Nonces, each: WrittenEach) -> Iterator[Finding]:
    memory = InMemory()
    found = alternate(
        sizes.rounds,
        {
            "engine": lambda: _seconds_each(nonces.issue, sizes.nonces),
            "memory": lambda: _seconds_each(memory.issue, sizes.nonces),
            "each": lambda: _seconds_each(each.issue, sizes.nonces // 1000 + 1),
        },
    )
    for name, what in (("engine", "durable"), ("memory", "in memory only"), ("each", "one durable write for each")):
        yield finding("nonces", f"issued, {what}", "/s", [1 / seconds for seconds in found[name]])
    in_memory, writes = (ratios(found["engine"], found[name]) for name in ("memory", "each"))
    yield finding("nonces", "durable over in memory only", "×", in_memory, at_least=0.95, is_ratio=True)
    yield finding("nonces", "durable over one write for each", "×", writes, at_least=200, is_ratio=True)


def _waits(sizes: Sizes, nonces: Nonces) -> Iterator[Finding]:
    tails = [1e6 * quantile(_each_of(nonces, sizes.nonces // 3), 0.999) for _ in range(sizes.rounds // 3 + 1)]
    yield finding("nonces", "p99.9 of one nonce", "µs", tails, at_most=5)
    worst = [1e3 * max(_paced(nonces, 5 * sizes.rounds)) for _ in range(2)]
    yield finding("nonces", "the longest wait at 20 a second", "ms", worst, at_most=0.2)


def _seconds_each(issue: Callable[[str], int], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        issue(KEY)
    return (time.perf_counter() - began) / count


def _each_of(nonces: Nonces, count: int) -> list[float]:
    now, issue, taken = time.perf_counter_ns, nonces.issue, []
    for _ in range(count):
        began = now()
        issue(KEY)
        taken.append((now() - began) / 1e9)
    return taken


def _paced(nonces: Nonces, count: int) -> list[float]:
    """The first is left out: a key that was idle reserves in the foreground."""
    taken = []
    for _ in range(count + 1):
        time.sleep(PACE)
        taken += _each_of(nonces, 1)
    return taken[1:]
