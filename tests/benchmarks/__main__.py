"""``python -m tests.benchmarks``: everything side by side, on loopback, in a few minutes; it ends by itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks import calls, gateway, growth, journal, nonces, push, reading, remote, report, stages
from tests.benchmarks.findings import FULL, TINY, Finding, Sizes
from tests.benchmarks.server import ExchangeProcess

FOLDER = Path(__file__).parent.parent.parent / "build" / "benchmarks"

PARTS: dict[str, Callable[[ExchangeProcess, Sizes], Iterator[Finding]]] = {
    "one-thread": calls.one_thread,
    "stages": stages.stages,
    "many-threads": calls.many_threads,
    "slow-exchange": calls.slow_exchange,
    "busy-host": calls.busy_host,
    "nonces": lambda _, sizes: nonces.issuing(sizes),
    "snapshots": reading.snapshots,
    "polls": reading.orders_among_polls,
    "accounts": growth.accounts,
    "mailbox": growth.mailbox,
    "remote": remote.remote_calls,
    "gateway": gateway.gateway_calls,
    "journal": lambda _, sizes: journal.size(sizes),
    "push": lambda _, sizes: push.push(sizes),
    "imports": lambda _, sizes: growth.imports(sizes),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print each line as it is found, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything without")
    parser.add_argument("--tiny", action="store_true", help="only see whether it runs: the figures say nothing")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder for the table, the JSON and the picture")
    given = parser.parse_args(arguments)
    sizes, where, found = TINY if given.tiny else FULL, report.machine(), []
    for name in given.parts or PARTS:
        with ExchangeProcess() as exchange:
            for each in PARTS[name](exchange, sizes):
                print(f"{each.topic}: {each.what}: {each.value:,.4g} {each.unit} {each.goal}", flush=True)
                found.append(each)
    for path in report.write(found, where, given.out):
        print(path)


if __name__ == "__main__":
    main()
