"""Push with many accounts: how soon a change is known, and what the streams cost, with the simulator as the exchange.

The simulator is a process of its own; ``python -m tests.benchmarks.push COUNT`` is that process. It reads a command in
each line: ``set ACCOUNT DOLLARS`` changes a balance and prints when, ``drop N`` loses the replies of N placements,
``tickers TIME`` counts the calls of Ticker since then.
Times are of the machine's monotonic clock, which both processes share.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engine import Account, BalanceChanged, CallFinished, Engine, Order, Settings, TradePlan
from engine.rules.balance.snapshot import BalanceState
from engine.rules.stream.connections import MOST
from engine.rules.stream.subscription import StreamState
from engine.simulator import Fault, Simulator
from engine.stream.budget import ConnectionBudget
from engine.stream.connection import StreamEndpoints
from engine.stream.ears import Ears
from engine.stream.price_board import PriceBoard
from engine.stream.pulse import Pulse
from engine.stream.push import Push
from engine.values import SYSTEM_CLOCK, Secret
from tests.benchmarks.findings import Finding, Sizes, finding, quantile

BUSY = 10  # accounts whose balances change, each less often than once a second
PER_SECOND = 200.0
PATIENCE = 120.0
PAIRS = tuple(f"{base}{quote}" for quote in ("USD", "EUR") for base in (
    "XBT", "ETH", "DOT", "XDG", "XRP", "LTC", "XLM", "XMR", "SOL", "ADA", "LINK", "AVAX", "BCH", "PEPE",
))  # fmt: skip


class PushExchange:
    """The simulator in its own process."""

    def __init__(self, count: int) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.push", str(count)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.url, self.ws_url = told["url"], told["ws_url"]
        self.accounts = [Account(*each) for each in told["accounts"]]

    def __enter__(self) -> PushExchange:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def tell(self, *words: object) -> Any:
        """Send a command; what it answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def _serve(count: int) -> None:
    """The exchange's process."""
    with Simulator([f"USER{number}" for number in range(count)], remember=10_000) as sim:
        sim.set_price("XBTUSD", "29999.9", "30000.0")
        accounts = [list(each) for each in sim.accounts]
        print(json.dumps({"url": sim.url, "ws_url": sim.ws_url, "accounts": accounts}), flush=True)
        for line in sys.stdin:
            what, *words = line.split()
            answer: Any = time.monotonic()
            if what == "set":
                sim.set_balance(words[0], {"ZUSD": words[1], "XXBT": "1.0000000000"})
            elif what == "token":
                with sim._exchange.customer(words[0]) as customer:
                    answer = f"token of {words[0]}"
                    customer.key.tokens[answer] = time.time() + 900
            elif what == "tickers":
                answer = sum(call.endpoint == "Ticker" and call.started >= float(words[0]) for call in sim.calls)
            elif what == "drop":
                sim.fault(Fault.reset(endpoint="AddOrder", times=int(words[0]), executed=True))
            print(json.dumps(answer), flush=True)


def push(sizes: Sizes) -> Iterator[Finding]:
    """Many accounts on streams: the engine whole, as far as the machine's budget goes, then the push thread alone."""
    count = min(200, max(sizes.accounts))
    spell = 30.0 * min(1.0, sizes.spell)
    with contextlib.ExitStack() as undo:
        exchange = undo.enter_context(PushExchange(count))
        undo.callback(_restore, os.environ.get("XDG_RUNTIME_DIR"))
        os.environ["XDG_RUNTIME_DIR"] = undo.enter_context(tempfile.TemporaryDirectory())
        yield from _whole(exchange, count, sizes, spell)
        os.environ["XDG_RUNTIME_DIR"] = undo.enter_context(tempfile.TemporaryDirectory())  # with room for one more
        yield from _prices(exchange, sizes)
        yield from _alone(exchange, count, spell)


def _restore(before: str | None) -> None:
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before


def _whole(exchange: PushExchange, count: int, sizes: Sizes, spell: float) -> Iterator[Finding]:
    topic = f"push: {count} accounts"
    threads = threading.active_count()
    settings = Settings(push=True, ws_url=exchange.ws_url, local_limits=False)
    with tempfile.TemporaryDirectory() as state, Engine(
        exchange.accounts, url=exchange.url, state_dir=Path(state), settings=settings, live=True
    ) as engine:
        began = time.monotonic()
        live = min(count, MOST)
        _until(lambda: sum(each.state is StreamState.LIVE for each in engine.status().push) >= live)
        yield finding(topic, f"{live} live after", "s", [time.monotonic() - began])
        _until(lambda: all(each.state is BalanceState.FRESH for each in engine.status().accounts))
        names = sorted(each.account for each in engine.status().push if each.state is StreamState.LIVE)
        mine = sum(each.name == "kraken-engine push" or each.name.startswith("kraken-engine push_")
                   for each in threading.enumerate())  # fmt: skip
        yield finding(topic, "threads of push", "", [mine], at_most=5, before=threads)
        yield from _changes(exchange, engine, names[:BUSY], sizes, topic)
        yield from _quiet(engine, set(names[BUSY:]), spell, topic)
        yield from _lost(exchange, engine, names[-1], sizes, topic)


def _changes(
    exchange: PushExchange, engine: Engine, names: list[str], sizes: Sizes, topic: str
) -> Iterator[Finding]:
    """How soon a changed balance is STALE, and how soon its new amount is told."""
    told: dict[str, tuple[str, float]] = {}
    heard = threading.Event()

    def hear(event: Any) -> None:
        if isinstance(event, BalanceChanged):
            told[event.account] = (str(event.snapshot.cash), time.monotonic())
            heard.set()

    engine.subscribe(hear)
    stale, known = [], []
    for number in range(sizes.polled):
        name, amount = names[number % len(names)], f"{number + 1}.0000"
        _until(lambda name=name: engine.balance(name).state is BalanceState.FRESH)  # type: ignore[misc]
        at = exchange.tell("set", name, amount)
        while engine.balance(name).state is BalanceState.FRESH and str(engine.balance(name).cash) != amount:
            time.sleep(0.0002)
        stale.append((time.monotonic() - at) * 1e3)
        _until(lambda name=name, amount=amount: told.get(name, ("",))[0] == amount)  # type: ignore[misc]
        known.append((told[name][1] - at) * 1e3)
    engine.unsubscribe(hear)
    for what, values, most in (("STALE after a frame", stale, 20), ("BalanceChanged after it", known, 350)):
        yield finding(topic, f"{what}, p50", "ms", [quantile(values, 0.5)])
        yield finding(topic, f"{what}, p99", "ms", [quantile(values, 0.99)], at_most=most)


def _quiet(engine: Engine, names: set[str], spell: float, topic: str) -> Iterator[Finding]:
    """What a quiet engine asks for: the accounts whose first balance with a live stream was read count."""
    reads: list[str] = []

    def hear(event: Any) -> None:
        if isinstance(event, CallFinished) and event.endpoint == "BalanceEx" and event.account in names:
            reads.append(event.account)

    time.sleep(min(spell, 30.0))
    engine.subscribe(hear)
    began, cpu = time.monotonic(), time.process_time()
    time.sleep(spell)
    seconds = time.monotonic() - began
    used = time.process_time() - cpu
    engine.unsubscribe(hear)
    yield finding(topic, f"balance reads/s of {len(names)} live and quiet accounts", "1/s", [len(reads) / seconds],
                  at_most=4)  # fmt: skip
    yield finding(topic, "CPU of the quiet engine", "%", [100 * used / seconds])


def _lost(exchange: PushExchange, engine: Engine, name: str, sizes: Sizes, topic: str) -> Iterator[Finding]:
    """From the placement whose reply is lost to its receipt."""
    taken = []
    exchange.tell("set", name, "1000.0000")
    for number in range(min(20, sizes.orders)):
        exchange.tell("drop", 1)
        began = time.monotonic()
        engine.place(name, Order("XBTUSD", "buy", "limit", "0.001", f"{1000 + number}"), timeout=PATIENCE)
        taken.append(time.monotonic() - began)
    yield finding(topic, "a lost reply settled, p50", "s", [quantile(taken, 0.5)])
    yield finding(topic, "a lost reply settled, the longest", "s", [max(taken)], at_most=1)


def _prices(exchange: PushExchange, sizes: Sizes) -> Iterator[Finding]:
    """Passes through the gates over many pairs: how old their prices are, and how often REST was asked for them."""
    topic = f"push: prices of {len(PAIRS)} pairs"
    ages: list[float] = []
    taken: list[float] = []

    def scan(view: Any) -> Any:
        ages.extend(time.monotonic() - each.at for each in view.markets.values())
        return ()

    plan = TradePlan(pairs=PAIRS, scanner=scan)
    account = exchange.accounts[0]
    settings = Settings(push=True, ws_url=exchange.ws_url, local_limits=False)
    with tempfile.TemporaryDirectory() as state, Engine(
        [account], url=exchange.url, state_dir=Path(state), settings=settings
    ) as engine:
        def one() -> int:
            """A pass; how often it asked REST."""
            began = time.monotonic()
            engine.gates(account.name, plan)
            taken.append((time.monotonic() - began) * 1e3)
            return int(exchange.tell("tickers", began))

        _until(lambda: one() == 0)
        ages.clear()
        taken.clear()
        asked = 0
        for _ in range(sizes.polled):
            asked += one()
            time.sleep(0.02)  # over some seconds, so that heartbeats lie between
    yield finding(topic, f"REST calls of Ticker in {sizes.polled} passes", "", [asked], at_most=0)
    yield finding(topic, "age of a price, p50", "s", [quantile(ages, 0.5)])
    yield finding(topic, "age of a price, p99", "s", [quantile(ages, 0.99)])
    yield finding(topic, "a pass, p50", "ms", [quantile(taken, 0.5)])


class _Roomy(ConnectionBudget):
    """Lets all connect: what is measured is loopback."""

    room = 10_000

    def take(self) -> bool:
        return True


def _alone(exchange: PushExchange, count: int, spell: float) -> Iterator[Finding]:
    """The push thread with a socket for each account, and what it costs at so many updates a second."""
    topic, names = f"push: {count} sockets, the thread alone", [each.name for each in exchange.accounts]
    pulses = {name: Pulse(name, SYSTEM_CLOCK) for name in names}
    tokens = {name: Secret(exchange.tell("token", name)) for name in names}
    frames: list[float] = []
    ears = Ears(
        lambda name, answer: answer(tokens[name]), lambda name: frames.append(time.monotonic()), lambda name: None,
        lambda name, rows, is_snapshot: None, lambda: (), lambda code, told: None, lambda field, what: None,
    )  # fmt: skip
    settings = Settings(push=True, ws_url=exchange.ws_url)
    roomy = _Roomy(exchange.ws_url)
    thread = Push(StreamEndpoints.of(settings), settings, ears, pulses.__getitem__, PriceBoard(SYSTEM_CLOCK), roomy)
    thread.start(names)
    try:
        _until(lambda: all(each.is_live for each in pulses.values()))
        began, cpu, sent = time.monotonic(), time.process_time(), 0
        while time.monotonic() - began < spell:
            exchange.tell("set", names[sent % len(names)], f"{sent + 1}.5")
            sent += 1
            time.sleep(max(0.0, began + sent / PER_SECOND - time.monotonic()))
        seconds, used = time.monotonic() - began, time.process_time() - cpu
        _until(lambda: len(frames) >= sent)
    finally:
        thread.stop(10.0)
    yield finding(topic, f"CPU at {sent / seconds:.0f} updates/s", "%", [100 * used / seconds], at_most=12)


def _until(holds: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.001)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
