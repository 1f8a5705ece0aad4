"""The journal with a month of finished placements in it, beside an empty one.

``python -m tests.benchmarks.journal FOLDER`` opens one in a process of its own.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from engine import Engine, Order, Settings
from engine.actors.backing.journal_file import JournalFile
from engine.actors.order.journal import Journal
from engine.simulator import Simulator
from tests.benchmarks.findings import Finding, Sizes, alternate, finding, ratios
from tests.benchmarks.growth import resident
from tests.finished import fill

KIB = 1024
ACCOUNTS = {"empty": "ALICE", "full": "BOB"}  # a key each, so that the nonces of one do not spoil the other's


def size(sizes: Sizes) -> Iterator[Finding]:
    """Opening, finding and placing, empty and full, in alternating rounds."""
    with tempfile.TemporaryDirectory(prefix="kraken-engine-benchmark-") as folder:
        where = {name: Path(folder, name) for name in ACCOUNTS}
        began = time.perf_counter()
        for name, directory in where.items():
            fill(directory, sizes.placements if name == "full" else 0, ACCOUNTS[name])
        yield finding("journal", "writing it, once", "s", [time.perf_counter() - began])
        yield from _opening(where, sizes)
        yield from _finding(where["full"], sizes)
        yield from _placing(where, sizes)


def _opening(where: dict[str, Path], sizes: Sizes) -> Iterator[Finding]:
    told = {name: [_opened(directory) for _ in range(sizes.rounds)] for name, directory in where.items()}
    pairs = list(zip(told["full"], told["empty"], strict=True))
    what = f"{sizes.placements:,} placements over none"
    yield finding("journal", f"opening, {what}: more", "s", [a["seconds"] - b["seconds"] for a, b in pairs], at_most=1)
    memory = [(a["memory"] - b["memory"]) / KIB for a, b in pairs]
    yield finding("journal", f"memory, {what}: more", "MiB", memory, at_most=20)


def _opened(directory: Path) -> dict[str, float]:
    command = [sys.executable, "-m", __name__, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _finding(directory: Path, sizes: Sizes) -> Iterator[Finding]:
    journal, account = Journal(JournalFile(directory), wall=time.time), ACCOUNTS["full"]
    numbers = [number * sizes.placements // sizes.calls for number in range(sizes.calls)]
    kinds = {"an id": "signal-{}", "a txid": "O{:05}-AAAAA-AAAAAA", "an unknown id": "never-{}"}
    for kind, name in kinds.items():
        times = [1e3 * _seconds(partial(journal.find, account, name.format(number))) for number in numbers]
        yield finding("journal", f"finding {kind} among {sizes.placements:,}", "ms", times, at_most=1)
    journal.close()


def _placing(where: dict[str, Path], sizes: Sizes) -> Iterator[Finding]:
    settings = Settings(refresh_every=3600, local_limits=False, tier="pro")
    with Simulator(tuple(ACCOUNTS.values()), remember=100) as sim:
        accounts = {account.name: account for account in sim.accounts}
        engines = {
            name: Engine([accounts[ACCOUNTS[name]]], url=sim.url, state_dir=directory, settings=settings, live=True)
            for name, directory in where.items()
        }
        for name, engine in engines.items():
            sim.set_balance(ACCOUNTS[name], {"ZUSD": "90000000"})
            engine.start()
        try:
            rounds: dict[str, Callable[[], float]] = {
                name: partial(_placed, engine, ACCOUNTS[name], sizes.orders) for name, engine in engines.items()
            }
            found = alternate(1 + sizes.rounds, rounds)
        finally:
            for engine in engines.values():
                engine.stop()
    for name, seconds in found.items():
        yield finding("journal", f"a placement, {name} journal", "ms", [1e3 * each for each in seconds[1:]])
    times = ratios(found["empty"][1:], found["full"][1:])
    what = f"a placement, {sizes.placements:,} placements over none"
    yield finding("journal", what, "×", times, at_most=1.5)


def _placed(engine: Engine, account: str, count: int) -> float:
    order, tag = Order("XBTUSD", "buy", "market", "0.0001"), time.time_ns()
    return statistics.median(
        _seconds(partial(engine.place, account, order, id=f"{tag}-{number}", timeout=20)) for number in range(count)
    )


def _seconds(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def main(folder: str) -> None:
    """Open the journal of a directory, and print how long that took and how much memory the process has then."""
    opened: list[Journal] = []
    seconds = _seconds(lambda: opened.append(Journal(JournalFile(Path(folder)), wall=time.time)))
    print(json.dumps({"seconds": seconds, "memory": resident()}))
    opened[0].close()


if __name__ == "__main__":
    main(*sys.argv[1:])
