"""Private calls: one thread and sixteen, on one CPU and with the scheduler free, a slow exchange and a busy host."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from tests.benchmarks.contestants import is_installed
from tests.benchmarks.findings import Finding, Sizes, all_cpus, alternate, finding, quantile, ratios
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import WorkerProcess

ENGINE = "this engine"
SLOW = 0.020  # seconds that an exchange like Kraken may take

# What is wanted of the engine over each peer, in calls per second.
ONE_CPU = {
    "krakenex": 4.5, "python-kraken-sdk": 4.5, "ccxt, raw": 3.0, "python-kraken-sdk, async": 2.0, "http.client": 1.0
}  # fmt: skip
FREE = {"krakenex": 1.8}
PEERS = (
    "krakenex", "python-kraken-sdk", "ccxt, raw", "python-kraken-sdk, async", "raw socket", "http.client",
    "requests, prepared", "requests Session",
)  # fmt: skip


def one_thread(exchange: ExchangeProcess, sizes: Sizes, only: Iterable[str] | None = None) -> Iterator[Finding]:
    """Call after call from one thread, client and server on one CPU, then wherever the system puts them."""
    yield from one_cpu_only(exchange, sizes, only)
    yield from _one_thread("free", all_cpus(), FREE, exchange, sizes, only)


def one_cpu_only(exchange: ExchangeProcess, sizes: Sizes, only: Iterable[str] | None = None) -> Iterator[Finding]:
    """Call after call from one thread, client and server on one CPU."""
    yield from _one_thread("one CPU", one_cpu(), ONE_CPU, exchange, sizes, only)


def _one_thread(
    where: str, cpus: set[int], wanted: Mapping[str, float], exchange: ExchangeProcess, sizes: Sizes,
    only: Iterable[str] | None,
) -> Iterator[Finding]:  # fmt: skip
    names = [name for name in (ENGINE, *PEERS) if _takes_part(name, only)]
    with _workers(exchange, names, cpus) as workers:
        measures = {name: partial(_median_call, workers[name], sizes.calls) for name in names}
        found = alternate(sizes.rounds, measures)
    topic = f"one thread, {where}"
    for name in names:
        yield finding(topic, f"a call, {name}", "µs", [1e6 * each for each in found[name]])
    for name in names[1:]:
        times = ratios(found[ENGINE], found[name])
        yield finding(topic, f"calls/s over {name}", "×", times, at_least=wanted.get(name), is_ratio=True)


def many_threads(exchange: ExchangeProcess, sizes: Sizes, only: Iterable[str] | None = None) -> Iterator[Finding]:
    """Sixteen threads share one account. Without a lock a bare client's nonces overtake each other."""
    names = [name for name in (ENGINE, "krakenex, locked", "krakenex") if _takes_part(name, only)]
    rates: dict[str, list[float]] = {name: [] for name in names}
    tails: dict[str, list[float]] = {name: [] for name in names}
    refused: dict[str, list[float]] = {name: [] for name in names}

    def measure(name: str, worker: WorkerProcess) -> float:
        exchange.stats()
        found = worker.ask(do="threads", threads=sizes.threads, count=sizes.calls // 3 + 1)
        rates[name].append(len(found["seconds"]) / found["elapsed"])
        tails[name].append(quantile(found["seconds"], 0.99) / statistics.mean(found["seconds"]))
        refused[name].append(exchange.stats()["refused"])
        return 1 / rates[name][-1]

    with _workers(exchange, names, one_cpu()) as workers:
        taken = alternate(sizes.rounds // 2 + 1, {name: partial(measure, name, workers[name]) for name in names})
    topic = f"{sizes.threads} threads, one CPU"
    for name in names:
        is_mine = name == ENGINE
        yield finding(topic, f"calls/s, {name}", "/s", rates[name])
        yield finding(topic, f"p99 wait over mean, {name}", "×", tails[name], at_most=2 if is_mine else None)
        yield finding(topic, f"nonces refused in a round, {name}", "", refused[name], at_most=0 if is_mine else None)
    if "krakenex, locked" in names:
        times = ratios(taken[ENGINE], taken["krakenex, locked"])
        yield finding(topic, "calls/s over krakenex, locked", "×", times, at_least=2.0, is_ratio=True)


def slow_exchange(exchange: ExchangeProcess, sizes: Sizes, only: Iterable[str] | None = None) -> Iterator[Finding]:
    """What the client adds to an exchange that takes 20 ms itself."""
    names = [name for name in (ENGINE, "raw socket", "krakenex", "python-kraken-sdk, async") if _takes_part(name, only)]

    def measure(worker: WorkerProcess) -> float:
        exchange.stats()
        seconds = worker.ask(do="calls", count=sizes.calls // 8 + 1)["seconds"]
        return float(statistics.median(seconds)) - float(exchange.stats()["own_median"])

    with _workers(exchange, names, all_cpus()) as workers, _delay(exchange, SLOW):
        found = alternate(sizes.rounds // 3 + 1, {name: partial(measure, workers[name]) for name in names})
    for name in names:
        added = [1000 * each for each in found[name]]
        goal = 0.8 if name == ENGINE else None
        yield finding("20 ms exchange", f"added to the server's own time, {name}", "ms", added, at_most=goal)
    if "raw socket" in names:
        more = ratios(found["raw socket"], found[ENGINE])
        yield finding("20 ms exchange", "what this engine adds over what a raw socket adds", "×", more, at_most=2)


def busy_host(exchange: ExchangeProcess, sizes: Sizes, only: Iterable[str] | None = None) -> Iterator[Finding]:
    """A thread of the host computes without a rest: whoever waits for the interpreter waits its switch interval."""
    names = [name for name in (ENGINE, "this engine, switch_interval", "krakenex") if _takes_part(name, only)]

    def measure(worker: WorkerProcess) -> float:
        return len(worker.ask(do="spell", seconds=sizes.spell)["seconds"]) / sizes.spell

    with _workers(exchange, names, all_cpus()) as workers:
        measures: dict[str, Callable[[], float]] = {name: partial(measure, workers[name]) for name in names}
        calm = alternate(sizes.rounds // 3 + 1, measures)
        burning = {name: partial(_while_burning, workers[name], measures[name]) for name in names}
        busy = alternate(sizes.rounds // 3 + 1, burning)
    for name in names:
        yield finding("busy host", f"calls/s at rest, {name}", "/s", calm[name])
        yield finding("busy host", f"calls/s beside a computing thread, {name}", "/s", busy[name])


def _while_burning(worker: WorkerProcess, measure: Callable[[], float]) -> float:
    worker.ask(do="burn", on=True)
    try:
        return measure()
    finally:
        worker.ask(do="burn", on=False)


def one_cpu() -> set[int]:
    """One CPU of ours."""
    return {min(all_cpus())}


def _median_call(worker: WorkerProcess, count: int) -> float:
    return float(statistics.median(worker.ask(do="calls", count=count)["seconds"]))


def _takes_part(name: str, only: Iterable[str] | None) -> bool:
    return is_installed(name) and (only is None or name in only)


@contextmanager
def _workers(exchange: ExchangeProcess, names: Iterable[str], cpus: set[int]) -> Iterator[dict[str, Any]]:
    """The contestants and the exchange, all on the same CPUs."""
    exchange.pin(cpus)
    with ExitStack() as stack:
        yield {name: stack.enter_context(WorkerProcess(name, exchange.url, cpus)) for name in names}


@contextmanager
def _delay(exchange: ExchangeProcess, seconds: float) -> Iterator[None]:
    exchange.delay(seconds)
    try:
        yield
    finally:
        exchange.delay(0)
