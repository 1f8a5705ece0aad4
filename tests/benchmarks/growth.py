"""What grows with the accounts and the mailbox, and what should not. Each size in a process of its own.

``python -m tests.benchmarks.growth URL accounts COUNT KEPT CALLS PER_THREAD``, ``... URL most COUNT``, or ``... URL
mailbox DEPTH CALLS``.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine import Engine
from tests.benchmarks.findings import Finding, Sizes, finding
from tests.benchmarks.reading import ORDER, running
from tests.benchmarks.server import Elsewhere, ExchangeProcess

KIB = 1024
IDLE = 1.0  # seconds over which idle CPU is measured
MOST_IDLE = 10.0  # the same for ten thousand accounts
FOR_EVER = 3600.0
HANGS = 3600.0
WINDOWS = 9


def accounts(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """From one account to a thousand: start, stop, memory, idle CPU, and what a call costs."""
    found = {count: _child(exchange, "accounts", count, 1, sizes.calls, 0) for count in sizes.accounts}
    most, least = max(found), min(found)
    bare = _child(exchange, "accounts", most, 0, sizes.calls, 0)
    own = _child(exchange, "accounts", most, 1, sizes.calls, 1)
    for count, told in found.items():
        for what, unit in (
            ("start", "s"), ("stop", "s"), ("memory", "MiB"), ("idle CPU", "%"), ("a call", "µs"), ("status", "ms"),
        ):  # fmt: skip
            yield finding(f"growth: {count} accounts", what, unit, [told[what]])
    for what, told, at_most in (("that shares a thread", found[most], 6), ("with its own thread", own, 26)):
        each = (told["memory"] - bare["memory"]) * KIB / most
        yield finding("growth", f"memory of one balance actor {what}", "KiB", [each], at_most=at_most)
    flat = found[most]["a call"] / found[least]["a call"]
    yield finding("growth", f"a call with {most} accounts over {least}", "×", [flat], at_most=1.25)


def most_accounts(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """Ten thousand accounts: start, stop and descriptors, and the idle CPU once every balance is known.

    Their refreshes are an hour apart, and so is what an account takes for silence: else each looks once, a minute after
    it was asked for. Their balance actors share threads, as they do by themselves.
    """
    count = sizes.most_accounts
    told = _child(exchange, "most", count)
    for what, unit, at_most in (
        ("start", "s", 5), ("stop", "s", 2), ("idle CPU", "%", 2), ("descriptors of a key", "", 1),
        ("until every balance is known", "s", None),
    ):  # fmt: skip
        yield finding(f"growth: {count:,} accounts", what, unit, [told[what]], at_most=at_most)


def mailbox(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """From an empty mailbox to a deep one: what a call costs, and what it costs to put one in."""
    told = _child(exchange, "mailbox", sizes.depth, sizes.calls)
    for what in ("a call", "putting a read in", "putting a cancel in"):
        yield finding("growth", f"{what}, empty mailbox", "µs", [told["empty"][what]])
        yield finding("growth", f"{what}, {sizes.depth:,} deep", "µs", [told["deep"][what]])
    flat = told["deep"]["a call"] / told["empty"]["a call"]
    yield finding("growth", "a call from a deep mailbox over an empty one", "×", [flat], at_most=1.25)


def _child(exchange: ExchangeProcess, *words: Any) -> dict[str, Any]:
    command = [sys.executable, "-m", __name__, exchange.url, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _measure_accounts(
    exchange: ExchangeProcess, count: int, kept: bool, calls: int, per_thread: int
) -> dict[str, float]:
    importlib.import_module("requests")  # an engine imports it for its first public call, which one of two makes
    began = time.perf_counter()
    with running(exchange, count, balances=kept, refresh=FOR_EVER, per_thread=per_thread or None) as engine:
        started = time.perf_counter() - began
        if kept:
            for name in engine.balances:
                while engine.balance(name).as_of is None:  # asking for it would leave a timer of the asker's
                    time.sleep(0.01)
        call = statistics.median(_call(engine, "ACCOUNT0") for _ in range(4 * calls))
        status = statistics.median(_status(engine) for _ in range(calls))
        memory, before = resident() / KIB, time.process_time()
        time.sleep(IDLE)
        idle = 100 * (time.process_time() - before) / IDLE
        began = time.perf_counter()
        engine.stop()
        stopped = time.perf_counter() - began
    return {
        "start": started, "stop": stopped, "memory": memory, "idle CPU": idle, "a call": 1e6 * call,
        "status": 1e3 * status,
    }  # fmt: skip


def _measure_most(exchange: ExchangeProcess, count: int) -> dict[str, float]:
    importlib.import_module("requests")
    files, began = descriptors(), time.perf_counter()
    with running(exchange, count, refresh=FOR_EVER, silence=FOR_EVER) as engine:
        started = time.perf_counter() - began
        files = descriptors() - files
        for name in engine.balances:
            while engine.balance(name).as_of is None:
                time.sleep(0.1)
        known = time.perf_counter() - began - started
        time.sleep(IDLE)
        before = time.process_time()
        time.sleep(MOST_IDLE)
        idle = 100 * (time.process_time() - before) / MOST_IDLE
        began = time.perf_counter()
        engine.stop()
        stopped = time.perf_counter() - began
    return {
        "start": started, "stop": stopped, "idle CPU": idle, "descriptors of a key": files / count,
        "until every balance is known": known,
    }  # fmt: skip


def _measure_mailbox(exchange: ExchangeProcess, depth: int, calls: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, waiting in (("empty", 0), ("deep", depth)):
        with running(exchange, 2, balances=False, refresh=FOR_EVER) as engine:
            _call(engine, "ACCOUNT0")
            try:
                put, call = _reads(engine, exchange, waiting, calls)
                cancel = _cancels(engine, exchange, waiting, calls)
            finally:
                exchange.delay(0)
        found[name] = {"putting a read in": put, "a call": call, "putting a cancel in": cancel}
    return found


def _reads(engine: Engine, exchange: ExchangeProcess, depth: int, calls: int) -> tuple[float, float]:
    """Microseconds to put a read in behind `depth` others, and to make one while that many wait."""
    ask = partial(engine.submit, "ACCOUNT1", "TradeBalance", timeout=FOR_EVER)
    exchange.delay(HANGS)
    ask()  # holds the lane while the mailbox is filled
    first, _ = [ask() for _ in range(WINDOWS * calls + 1)], [ask() for _ in range(depth)]
    began = time.perf_counter()
    last = [ask() for _ in range(calls)]
    put = (time.perf_counter() - began) / calls
    exchange.delay(0)
    first[0].result(60)
    windows = []
    for window in range(WINDOWS):
        began = time.perf_counter()
        first[(window + 1) * calls].result(60)
        windows.append((time.perf_counter() - began) / calls)
    call = statistics.median(windows)
    if not depth:
        last[-1].result(60)
    return 1e6 * put, 1e6 * call


def _cancels(engine: Engine, exchange: ExchangeProcess, depth: int, calls: int) -> float:
    """Microseconds to put a cancel in that covers none of `depth` placements of its account."""
    exchange.delay(HANGS)
    order = engine.submit("ACCOUNT0", "AddOrder", ORDER, FOR_EVER)
    while not order.running():
        time.sleep(0.001)
    for number in range(depth):
        engine.submit("ACCOUNT0", "AddOrder", {**ORDER, "cl_ord_id": f"o{number}"}, FOR_EVER)
    began = time.perf_counter()
    for number in range(calls):
        engine.submit("ACCOUNT0", "CancelOrder", {"cl_ord_id": f"none{number}"}, FOR_EVER)
    return 1e6 * (time.perf_counter() - began) / calls


def _call(engine: Engine, account: str) -> float:
    began = time.perf_counter()
    engine.call(account, "TradeBalance")
    return time.perf_counter() - began


def _status(engine: Engine) -> float:
    began = time.perf_counter()
    engine.status()
    return time.perf_counter() - began


def descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/dev/fd"))


def resident() -> float:
    """Memory in KiB, now where the system says it, else the most ever."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / KIB
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (KIB if sys.platform == "darwin" else 1)


def main(url: str, what: str, *numbers: str) -> None:
    """Measure one size and print what came of it."""
    exchange = Elsewhere(url)
    if what == "accounts":
        count, kept, calls, per_thread = map(int, numbers)
        print(json.dumps(_measure_accounts(exchange, count, bool(kept), calls, per_thread)))
    elif what == "most":
        print(json.dumps(_measure_most(exchange, *map(int, numbers))))
    else:
        depth, calls = map(int, numbers)
        print(json.dumps(_measure_mailbox(exchange, depth, calls)))


if __name__ == "__main__":
    main(*sys.argv[1:])
