"""``python -m tests.benchmarks``: everything side by side, on loopback, in a few minutes; it ends by itself.

``--short`` measures in less than a minute what ``baseline.json`` keeps. With ``--check`` it fails when a ratio has
fallen by more than 30 % against that file, twice in a row; ``--keep`` writes the file anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.benchmarks import (
    baseline,
    calls,
    cluster,
    gateway,
    growth,
    journal,
    nonces,
    order_path,
    page,
    push,
    reading,
    readme,
    remote,
    report,
    stages,
)
from tests.benchmarks.findings import FULL, SHORT, TINY, Finding, Sizes
from tests.benchmarks.server import ExchangeProcess

FOLDER = Path(__file__).parent.parent.parent / "build" / "benchmarks"

PARTS: dict[str, Callable[[ExchangeProcess, Sizes], Iterator[Finding]]] = {
    "one-thread": calls.one_thread,
    "stages": stages.stages,
    "many-threads": calls.many_threads,
    "slow-exchange": calls.slow_exchange,
    "busy-host": calls.busy_host,
    "order-path": order_path.order_path,
    "nonces": lambda _, sizes: nonces.issuing(sizes),
    "snapshots": reading.snapshots,
    "polls": reading.orders_among_polls,
    "accounts": growth.accounts,
    "most-accounts": growth.most_accounts,
    "mailbox": growth.mailbox,
    "remote": remote.remote_calls,
    "gateway": gateway.gateway_calls,
    "page": page.watching,
    "journal": lambda _, sizes: journal.size(sizes),
    "cluster": cluster.cluster,
    "push": lambda _, sizes: push.push(sizes),
    "imports": lambda _, sizes: growth.imports(sizes),
}
SHORT_PARTS: dict[str, Callable[[ExchangeProcess, Sizes], Iterator[Finding]]] = {
    "one-cpu": calls.one_cpu_only,
    "many-threads": calls.many_threads,
    "order-path": order_path.order_path,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print each line as it is found, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything without")
    parser.add_argument("--tiny", action="store_true", help="only see whether it runs: the figures say nothing")
    parser.add_argument("--short", action="store_true", help="only what baseline.json keeps, in less than a minute")
    parser.add_argument("--check", action="store_true", help="fail when a ratio has fallen by more than 30 %%")
    parser.add_argument("--keep", action="store_true", help="write the ratios to baseline.json")
    parser.add_argument("--readme", action="store_true", help="write the tables of README.rst")
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder for the table, the JSON and the picture")
    given = parser.parse_args(arguments)
    where, measured = report.machine(), SHORT_PARTS if given.short else PARTS
    sizes = TINY if given.tiny else SHORT if given.short else FULL
    names = given.parts or list(measured)
    found = list(_measured(measured, names, sizes))
    for path in report.write(found, where, given.out):
        print(path)
    if given.readme:
        readme.write(found, where)
    if given.keep:
        baseline.write(found)
    if given.check and not _holds(found, lambda: list(_measured(measured, names, sizes))):
        sys.exit("The engine has become slower than baseline.json says.")


def _measured(
    parts: dict[str, Callable[[ExchangeProcess, Sizes], Iterator[Finding]]], names: Sequence[str], sizes: Sizes
) -> Iterator[Finding]:
    for name in names:
        with ExchangeProcess() as exchange:
            for each in parts[name](exchange, sizes):
                print(f"{each.topic}: {each.what}: {each.value:,.4g} {each.unit} {each.goal}", flush=True)
                yield each


def _holds(found: Sequence[Finding], again: Callable[[], Sequence[Finding]]) -> bool:
    """Whether no ratio has fallen, in the better of two runs where the first one says so."""
    ratios, kept = baseline.ratios_in(found), baseline.read()
    if baseline.fallen(ratios, kept):
        print("Once more, since a busy machine may be the reason:")
        ratios = baseline.better(ratios, baseline.ratios_in(again()))
    for name, (now, before) in baseline.fallen(ratios, kept).items():
        print(f"{name} has fallen from {before:.3g} to {now:.3g}.")
    return not baseline.fallen(ratios, kept)


if __name__ == "__main__":
    main()
