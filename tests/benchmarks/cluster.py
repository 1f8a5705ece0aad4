"""A cluster on one machine: a call beside the file store's, four lanes beside one, and many accounts on many lanes."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psycopg

from engine import Account, Engine, Settings
from engine.cluster import Node
from tests.benchmarks.findings import Finding, Sizes, alternate, finding, ratios
from tests.benchmarks.server import ExchangeProcess
from tests.benchmarks.worker import SECRET
from tests.cluster.nodes import FarNode, eventually
from tests.cluster.postgresql import Server, directory, programs

SETTINGS = Settings(refresh_every=3600.0, local_limits=False, tier="pro")
SLOW = 0.05  # seconds that an exchange may take
LANES = 4
MANY_LANES = 10


class Where(NamedTuple):
    """The exchange as nodes are told of it."""

    url: str
    accounts: Sequence[Iterable[str]]


def cluster(exchange: ExchangeProcess, sizes: Sizes) -> Iterator[Finding]:
    """Everything of this file; nothing where there is no PostgreSQL server to start."""
    found = programs()
    if found is None:
        return
    with directory() as place, tempfile.TemporaryDirectory() as local, contextlib.ExitStack() as undo:
        server = Server(found, place)
        server.create()
        server.start()
        undo.callback(server.stop)
        yield from own_time(exchange, sizes, _dsn(server, "own"), Path(local))
        yield from lanes(exchange, sizes, _dsn(server, "lanes"), Path(local))
        yield from many_accounts(exchange, sizes, _dsn(server, "many"), Path(local))


def own_time(exchange: ExchangeProcess, sizes: Sizes, dsn: str, local: Path) -> Iterator[Finding]:
    """A call of an engine with a state directory, and of one whose lane is in PostgreSQL."""
    file, lane = Account("FILE", "file-key", SECRET), Account("LANE", "lane-key", SECRET)
    with (
        Engine([file], url=exchange.url, state_dir=local / "file", settings=SETTINGS) as engine,
        Node([lane], {"one": ["LANE"]}, dsn, "red", settings=SETTINGS, kraken_url=exchange.url,
             local=local / "red") as node,
    ):  # fmt: skip
        eventually(lambda: node.engine("LANE"))
        measures: dict[str, Callable[[], float]] = {
            "state directory": lambda: _median_call(engine, "FILE", sizes.calls),
            "cluster": lambda: _median_call(node.engine("LANE"), "LANE", sizes.calls),
        }
        found = alternate(1 + 2 * sizes.rounds, measures)
    for name, seconds in found.items():
        yield finding("cluster", f"a call, {name}", "µs", [1e6 * each for each in seconds[1:]])
    times = ratios(found["state directory"][1:], found["cluster"][1:])
    yield finding("cluster", "a call in a cluster over one with a state directory", "×", times, at_most=1.1)


def lanes(exchange: ExchangeProcess, sizes: Sizes, dsn: str, local: Path) -> Iterator[Finding]:
    """Calls a second of one lane and of four at once, each call taking 50 ms at the exchange."""
    names = {f"lane{number}": [f"USER{number}"] for number in range(LANES)}
    accounts = [Account(name, f"key-{name}", SECRET) for each in names.values() for name in each]
    with Node(accounts, names, dsn, "red", settings=SETTINGS, kraken_url=exchange.url, local=local / "lanes") as node:
        engines = {each.name: eventually(partial(node.engine, each.name)) for each in accounts}
        exchange.delay(SLOW)
        try:
            found = alternate(sizes.rounds, {
                "one lane": lambda: _rate({"USER0": engines["USER0"]}, sizes.spell),
                "four lanes": lambda: _rate(engines, sizes.spell),
            })  # fmt: skip
        finally:
            exchange.delay(0)
    for name, rates in found.items():
        yield finding("cluster", f"calls/s at 50 ms, {name}", "/s", rates)
    more = ratios(found["one lane"], found["four lanes"])
    yield finding("cluster", "calls/s of four lanes over one, at 50 ms", "×", more, at_least=3.8, is_ratio=True)


def many_accounts(exchange: ExchangeProcess, sizes: Sizes, dsn: str, local: Path) -> Iterator[Finding]:
    """Many accounts on ten lanes of two nodes: until all are served, and what PostgreSQL writes for it then."""
    count = sizes.accounts[-1]
    names: dict[str, list[str]] = {f"lane{number}": [] for number in range(min(MANY_LANES, count))}
    for number in range(count):
        names[f"lane{number % len(names)}"].append(f"MANY{number}")
    accounts = [(name, f"key-{name}", SECRET) for each in names.values() for name in each]
    where = Where(exchange.url, accounts)
    began = time.monotonic()
    nodes = [FarNode(where, dsn, local, name, names, SETTINGS) for name in ("red", "blue")]
    try:
        eventually(lambda: sum(map(_served, nodes)) == count, patience=300.0)
        served = time.monotonic() - began
        writes = _writes_a_second(dsn, 10 * sizes.spell) / len(names)
        lanes_each = [sum(bool(lane.served) for lane in node.do("", "status").lanes) for node in nodes]
    finally:
        for node in nodes:
            node.end()
    topic = f"{count:,} accounts on {len(names)} lanes of two nodes"
    yield finding("cluster", f"{topic}, all served after", "s", [served])
    yield finding("cluster", f"{topic}, lanes at the node with more", "", [float(max(lanes_each))])
    yield finding("cluster", f"{topic}, writes a second and lane at rest", "/s", [writes], at_most=4)


def _median_call(engine: Engine, account: str, count: int) -> float:
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        engine.call(account, "BalanceEx")
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _rate(engines: Mapping[str, Engine], seconds: float) -> float:
    """Calls a second, with one caller for each account."""
    done: list[int] = []

    def work(account: str, engine: Engine) -> None:
        ends, calls = time.monotonic() + seconds, 0
        while time.monotonic() < ends:
            engine.call(account, "BalanceEx")
            calls += 1
        done.append(calls)

    threads = [threading.Thread(target=work, args=each) for each in engines.items()]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / (time.monotonic() - began)


def _served(node: FarNode) -> int:
    return sum(len(lane.served) for lane in node.do("", "status").lanes)


def _writes_a_second(dsn: str, seconds: float) -> float:
    """Transactions that write, which are those that PostgreSQL gives a number."""
    newest = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    with psycopg.connect(dsn, autocommit=True) as connection:
        before = connection.execute(newest).fetchall()[0][0]
        time.sleep(seconds)
        return float(connection.execute(newest).fetchall()[0][0] - before) / seconds


def _dsn(server: Server, name: str) -> str:
    server.sql(f"CREATE DATABASE {name}")
    return server.dsn_of(name)
