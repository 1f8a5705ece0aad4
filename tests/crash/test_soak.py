"""A soak: everything at once for a while, then no resource is left over; and many starts and stops."""

from __future__ import annotations

import gc
import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pykka
import pytest

from engine import BalanceSnapshot, Engine, EngineWarning, PrivateCall, Settings
from engine.errors import CallError, CallRefused, CallUnknown, EngineStopped, InvalidNonce
from engine.simulator import Fault, Simulator
from tests.crash.torture import chance
from tests.stopwatch import LONG, PATIENCE, SOON, Stopwatch

CI_SECONDS = 5.0
GRACE = 1.0  # a call is answered by its deadline and so much more
JITTER = 0.5  # what the threads of a test on a busy machine may be late in looking at the clock
NAMES = ("MASTER", "ALICE", "BOB", "CAROL")
BALANCE = {"ZUSD": {"balance": "1000.50", "hold_trade": "0.25"}}
SETTINGS = Settings(
    refresh_every=0.1, max_age=1.0, call_timeout=1.0, cut_read_after=0.1, cut_write_after=0.2, local_limits=False
)
ORDER = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "30000"}
HELD = Decimal("302.4")  # by one such order, its fee included
AVAILABLE = {Decimal("1000.25") - orders * HELD for orders in range(4)}
ENDPOINTS = ("TradeBalance", "Balance", "TradeBalance", "BalanceEx", "Ledgers", "QueryOrders", "AddOrder", "CancelAll")


class Usage:
    """What a process holds."""

    def __init__(self) -> None:
        gc.collect()
        self.descriptors = len(os.listdir("/proc/self/fd"))
        self.threads = {thread.name for thread in threading.enumerate()}
        self.actors = len(pykka.ActorRegistry.get_all())
        self.memory = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


class Soak:
    """The threads of one run and what they have to complain of."""

    def __init__(self, sim: Simulator, engine: Engine, rng: random.Random) -> None:
        self.sim = sim
        self.engine = engine
        self.over = threading.Event()
        self.wrong: list[str] = []
        self.ends: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.late_nonces = 0
        self.slowest_read = 0.0
        self.warnings: Counter[str] = Counter()
        self._rng = rng
        self._orders = 0
        self._lock = threading.Lock()
        self._watch = Stopwatch()

    def run(self, seconds: float) -> None:
        """Everything at once, until the time is over."""
        self.engine.subscribe(self._listen)
        jobs = [self._call] * 8 + [self._read] * 2 + [self._come_and_go, self._break, self._audit]
        threads = [
            threading.Thread(target=self._guarded, args=(job, random.Random(self._rng.random())), name=job.__name__)
            for job in jobs
        ]
        with self._watch:
            for thread in threads:
                thread.start()
            self.over.wait(seconds)
            self.over.set()
            for thread in threads:
                thread.join(LONG)
                if thread.is_alive():
                    self.wrong.append(f"{thread.name} did not end")
        self.engine.unsubscribe(self._listen)

    def _guarded(self, job: Callable[[random.Random], None], rng: random.Random) -> None:
        try:
            while not self.over.is_set() and len(self.wrong) < 10:
                job(rng)
        except BaseException as error:
            self.wrong.append(f"{job.__name__} failed: {error!r}")
            self.over.set()

    def _listen(self, event: Any) -> None:
        if isinstance(event, EngineWarning):
            self.warnings[event.code] += 1

    # Jobs, each one round

    def _call(self, rng: random.Random) -> None:
        """One call in one of the ways there are; it ends in time, as something typed."""
        name, endpoint, timeout = rng.choice(NAMES), rng.choice(ENDPOINTS), rng.choice((0.05, 0.3, 1.0))
        params: dict[str, Any] = {}
        if endpoint == "AddOrder":
            with self._lock:
                self._orders += 1
                params = {**ORDER, "userref": str(self._orders)}
        if endpoint == "QueryOrders":
            params = {"txid": "OAAAAA-AAAAA-AAAAAA"}
        call = PrivateCall(name, endpoint, params, timeout)
        ways: tuple[Callable[[], Any], ...] = (
            lambda: self.engine.call(name, endpoint, params, timeout),
            lambda: self.engine.private.ask(call, timeout=LONG),
            lambda: self.engine.private.proxy().call(name, endpoint, params, timeout).get(timeout=LONG),
            lambda: self._give_up(name, endpoint, params, timeout, rng),
        )
        started = self._watch.clock()
        try:
            rng.choice(ways)()
            end = "done"
        except CallError as error:
            end = type(error).__name__
            if isinstance(error, InvalidNonce):
                self.wrong.append(f"{endpoint} of {name}: {error}")
        except CancelledError:
            end = "cancelled"
        except BaseException as error:
            end = "untyped"
            self.wrong.append(f"{endpoint} with {timeout} s ended as {error!r}")
        late = self._watch.clock() - started - timeout
        if late > GRACE + JITTER:
            self.wrong.append(f"{endpoint} with {timeout} s ended {late:.2f} s late as {end}")
        with self._lock:
            self.ends[end] += 1

    def _give_up(self, name: str, endpoint: str, params: Any, timeout: float, rng: random.Random) -> Any:
        future = self.engine.submit(name, endpoint, params, timeout)
        if rng.random() < 0.5:
            self.over.wait(rng.uniform(0, 0.02))
            future.cancel()
        return future.result(LONG)

    def _read(self, rng: random.Random) -> None:
        """Every account's snapshot: no failure is ever 0, no value is ever older than the one before."""
        newest: dict[str, datetime] = {}
        while not self.over.wait(0.001):
            for name in NAMES:
                started = self._watch.clock()
                snapshot = self.engine.balance(name)
                self.slowest_read = max(self.slowest_read, self._watch.clock() - started)
                self._judge(snapshot, newest)
            if rng.random() < 0.01:
                self._judge(self.engine.balance(rng.choice(NAMES), max_age=0, timeout=0.2), newest)

    def _judge(self, snapshot: BalanceSnapshot, newest: dict[str, datetime]) -> None:
        name = snapshot.account
        if snapshot.cash != Decimal("1000.50") or snapshot.available_cash not in AVAILABLE:
            self.wrong.append(f"{name} was shown {snapshot.cash}, {snapshot.available_cash}")
        if snapshot.as_of is None or snapshot.as_of < newest.get(name, snapshot.as_of):
            self.wrong.append(f"{name}'s as_of went back to {snapshot.as_of}")
        else:
            newest[name] = snapshot.as_of

    def _come_and_go(self, rng: random.Random) -> None:
        """Subscribers: slow ones, dead ones, some that fail."""

        class Listener(pykka.ThreadingActor):
            use_daemon_thread = True

        def slow(event: Any) -> None:
            self.over.wait(0.005)

        def fails(event: Any) -> None:
            raise SystemExit if rng.random() < 0.5 else RuntimeError

        ref = Listener.start()
        subscriber = rng.choice((slow, fails, ref))
        if rng.random() < 0.5:
            ref.stop()
        self.engine.subscribe(subscriber)
        self.over.wait(rng.uniform(0, 0.1))
        self.engine.unsubscribe(subscriber)
        ref.stop()

    def _break(self, rng: random.Random) -> None:
        """One thing goes wrong for a moment, then nothing."""
        kind = rng.choice(sorted(FAULTS))
        self.faults[kind] += 1
        if kind == "outage":
            with self.sim.outage():
                self.over.wait(rng.uniform(0.05, 0.4))
        elif kind == "no-connections":
            self.sim.fail_new_connections()
            self.sim.drop_connections()
            self.over.wait(rng.uniform(0.05, 0.3))
            self.sim.fail_new_connections(False)
        elif kind == "drop":
            self.sim.drop_connections()
        else:
            fault = self.sim.fault(FAULTS[kind](rng))
            self.over.wait(rng.uniform(0.05, 0.5))
            fault.remove()
        self.over.wait(rng.uniform(0, 0.3))

    def _audit(self, rng: random.Random) -> None:
        """A refused nonce belongs to a call that the test itself has held back, and that was given up."""
        self.over.wait(0.2)
        for call in self.sim.calls:
            held_back = {"hang", "delay", "jitter"} & set((call.fault or "").split("+"))
            if call.error == "EAPI:Invalid nonce" and not held_back:
                self.wrong.append(f"a nonce was refused: {call}")

    def settle(self) -> None:
        """Nothing goes wrong any more: every account comes back by itself."""
        self.sim.clear_faults()
        for name in NAMES:
            assert self.engine.call(name, "TradeBalance", timeout=PATIENCE)
            until = time.monotonic() + PATIENCE
            while not self.engine.balance(name, max_age=0, timeout=PATIENCE).is_available:
                assert time.monotonic() < until, f"{name} did not come back"

    def placements_are_single(self) -> bool:
        refs = [each.params["userref"] for name in NAMES for each in self.sim.placements(name)]
        return len(refs) == len(set(refs))


FAULTS: dict[str, Callable[[random.Random], Fault]] = {
    "delay": lambda rng: Fault.delay(rng.uniform(0, 0.15)),
    "jitter": lambda rng: Fault.jitter(0, 0.05, seed=rng.randrange(2**32)),
    "hang": lambda rng: Fault.hang(),
    "hang-late": lambda rng: Fault.hang(executed=True),
    "hang-reads": lambda rng: Fault.hang(endpoint="Ledgers"),
    "reset": lambda rng: Fault.reset(executed=rng.random() < 0.5),
    "close": lambda rng: Fault.close(executed=rng.random() < 0.5),
    "502": lambda rng: Fault.http(502, executed=rng.random() < 0.5),
    "empty": lambda rng: Fault.empty(executed=True),
    "truncated": lambda rng: Fault.truncated(),
    "drip": lambda rng: Fault.drip_body(every=0.02),
    "busy": lambda rng: Fault.error("EService:Busy"),
    "rate": lambda rng: Fault.error("EAPI:Rate limit exceeded"),
    "unlisted": lambda rng: Fault.error("EFoo:Bar"),
    "outage": lambda rng: Fault.reset(),
    "no-connections": lambda rng: Fault.reset(),
    "drop": lambda rng: Fault.reset(),
}


def _soak(tmp_path: Path, seconds: float, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="engine")  # pytest keeps every record, and that would look like a leak
    rng = chance()
    with Simulator(NAMES, remember=5000) as sim:
        for name in NAMES:
            sim.set_balance(name, BALANCE)
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=SETTINGS, live=True) as engine:
            for name in NAMES:
                engine.balance(name, max_age=60, timeout=PATIENCE)
            soak = Soak(sim, engine, rng)
            soak.settle()
            soak.run(seconds / 4)
            soak.settle()
            sim.drop_connections()
            soak.settle()
            before = Usage()
            soak.over.clear()
            soak.run(seconds * 3 / 4)
            soak.settle()
            sim.drop_connections()
            soak.settle()
            print(dict(soak.ends), dict(soak.faults), dict(soak.warnings))
            print(f"reads at most {soak.slowest_read * 1000:.0f} ms, refused nonces {sim.refused_nonces}")
            assert soak.wrong == []
            assert sim.highest_awaited == 1, "G3: two private calls were awaited at once"
            assert soak.placements_are_single(), "G5: an order was placed twice"
            assert not {"foreign-nonce", "key-used-elsewhere"} & set(soak.warnings)
            assert soak.slowest_read < 0.5, "G8"
            assert sum(soak.ends.values()) > 5 * seconds
            after = Usage()
            print(f"descriptors {before.descriptors} to {after.descriptors}, "
                  f"memory {before.memory / 1e6:.1f} to {after.memory / 1e6:.1f} MB")  # fmt: skip
            assert after.actors == before.actors
            assert after.descriptors <= before.descriptors + 4
            assert len(after.threads) <= len(before.threads) + 3, after.threads - before.threads
            assert after.memory - before.memory < 20e6 + 5e4 * seconds
            with Stopwatch() as watch:
                engine.stop(PATIENCE)
            assert watch.seconds < SOON


def test_some_seconds_of_everything_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """G3, G5, G6, G8, G9, G13 over random faults, with subscribers that come and go."""
    _soak(tmp_path, CI_SECONDS, caplog)


@pytest.mark.torture
def test_minutes_of_everything_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same for minutes: ``SOAK_SECONDS=N``, five minutes by default."""
    _soak(tmp_path, float(os.environ.get("SOAK_SECONDS") or 300), caplog)


def _start_and_stop(tmp_path: Path, sim: Simulator, turn: int, rng: random.Random) -> None:
    """One life of an engine: it ends in one of six ways, and everybody who waited is answered.

    A stop in a hung order waits for it for a part of its time: mostly the order then ends by itself.
    """
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=SETTINGS, live=True).start()
    reads = ("TradeBalance", "Balance", "OpenOrders")
    futures = [engine.submit(rng.choice(NAMES), rng.choice(reads), timeout=LONG) for _ in range(rng.randrange(20))]
    way = turn % 6
    hang = None
    if way in (1, 2):
        endpoint = ("Ledgers", "AddOrder")[way - 1]
        hang = sim.fault(Fault.hang(endpoint=endpoint))
        before = sum(call.endpoint == endpoint for call in sim.calls)
        futures.append(engine.submit("MASTER", endpoint, ORDER if way == 2 else {}, timeout=LONG))
        with suppress(TimeoutError):
            sim.wait_for_calls(before + 1, endpoint=endpoint, ended=False, timeout=0.5)
    elif way == 3:
        futures[0:0] = [engine.submit("MASTER", "TradeBalance", timeout=LONG)]
        futures[0].result(PATIENCE)
    with Stopwatch() as watch:
        if way == 4:
            pykka.ActorRegistry.stop_all(block=False)
        elif way == 5 or (way == 2 and turn % 100 != 26):
            threads = [threading.Thread(target=engine.stop, args=(PATIENCE,)) for _ in range(4)]
            for thread in threads:
                thread.start()
            if way == 2:
                assert hang is not None
                hang.remove()
            for thread in threads:
                thread.join()
        engine.stop(5)
    assert watch.seconds < 5.5
    for future in futures:
        error = future.exception(PATIENCE)
        assert error is None or isinstance(error, EngineStopped | CallUnknown | CallRefused), error
    if hang is not None:
        hang.remove()


@pytest.mark.parametrize("rounds", [50, pytest.param(1000, marks=pytest.mark.torture)])
def test_many_starts_and_stops_leave_no_thread_and_no_descriptor(tmp_path: Path, rounds: int) -> None:
    """G13: plain stops, stops in a hung read and a hung order, `stop_all`, many stops at once."""
    rng = chance()
    with Simulator(NAMES) as sim:
        for turn in range(6):
            _start_and_stop(tmp_path, sim, turn, rng)
        sim.drop_connections()
        before = Usage()
        for turn in range(rounds):
            _start_and_stop(tmp_path, sim, turn, rng)
        sim.drop_connections()
        until = time.monotonic() + PATIENCE
        while (after := Usage()).descriptors > before.descriptors + 2 and time.monotonic() < until:
            threading.Event().wait(0.05)
        assert after.actors == before.actors == 0
        assert not {name for name in after.threads if "kraken" in name or "Actor" in name}
        assert len(after.threads) <= len(before.threads) + 2, after.threads
        assert after.descriptors <= before.descriptors + 2
        assert after.memory - before.memory < 15e6 + 3e4 * rounds
        assert sim.refused_nonces <= sum("hang" in (call.fault or "") for call in sim.calls)
        foreign = [c for c in sim.calls if c.error == "EAPI:Invalid nonce" and "hang" not in (c.fault or "")]
        assert foreign == []
