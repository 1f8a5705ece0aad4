"""A bot that runs for an hour at a walking pace while everything goes wrong at times: it holds no more at the end.

`tests/crash/test_soak.py` does as much in a few seconds as one process can; this is the same for a long time.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.crash.torture import chance
from tests.served import Served
from tests.soak.usage import Sampler, Usage, growth
from tests.stopwatch import LONG, PATIENCE
from tests.web.gateway.asking import key_of, send, signed

NAMES = ("MASTER", "ALICE", "BOB", "CAROL")
BALANCE = {"ZUSD": "1000000.50", "USDT": "1000000"}
WARM_UP = 0.2  # of the time: what is made once is made by then
LIMITS = {"memory": 8e6, "threads": 2.0, "descriptors": 3.0}
"""By how much the line through the samples may rise. SQLite keeps up to 2 MB of each file of the store in memory, which
takes a while to fill; after that nothing grows."""

FAULTS: dict[str, Callable[[random.Random], Fault]] = {
    "502": lambda rng: Fault.http(502, executed=rng.random() < 0.5),
    "reset": lambda rng: Fault.reset(executed=rng.random() < 0.5),
    "close": lambda rng: Fault.close(executed=rng.random() < 0.5),
    "silence": lambda rng: Fault.hang(executed=rng.random() < 0.5),
    "nonce": lambda rng: Fault.error("EAPI:Invalid nonce", times=1),
    "slow": lambda rng: Fault.delay(rng.uniform(0.2, 2.0)),
    "drip": lambda rng: Fault.drip_body(every=0.05),
    "truncated": lambda rng: Fault.truncated(),
    "busy": lambda rng: Fault.error("EService:Busy"),
}


class Weather:
    """What goes wrong, and who comes by, while the bot runs: one thread for each job."""

    def __init__(self, sim: Simulator, service: Served, rng: random.Random) -> None:
        self.seen: Counter[str] = Counter()
        self.failed: list[str] = []
        self._sim, self._service = sim, service
        self._over = threading.Event()
        self._key = key_of(service, "ALICE", "soak", "--trading")
        jobs = (self._break, self._fill, self._ask_the_gateway, self._watch)
        self._threads = [
            threading.Thread(target=self._repeat, args=(job, random.Random(rng.random())), name=job.__name__)
            for job in jobs
        ]
        self._nonce = 0

    def __enter__(self) -> Weather:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(LONG)
        self._sim.clear_faults()

    def _repeat(self, job: Callable[[random.Random], object], rng: random.Random) -> None:
        try:
            while not self._over.wait(rng.uniform(0.2, 2.0)):
                job(rng)
        except BaseException as error:
            self.failed.append(f"{job.__name__}: {error!r}")

    def _break(self, rng: random.Random) -> None:
        """One thing goes wrong for a while, then nothing for a while."""
        kind = rng.choice((*FAULTS, "restart", "dropped", "foreign nonce"))
        self.seen[kind] += 1
        if kind == "restart":
            with self._sim.outage():
                self._over.wait(rng.uniform(0.1, 5.0))
        elif kind == "dropped":
            self._sim.drop_connections()
        elif kind == "foreign nonce":
            name = rng.choice(NAMES)
            with suppress(ValueError):  # the bot has sent a higher one meanwhile
                self._sim.set_nonce(name, self._sim.nonce(name) + 10**8)
        else:
            fault = self._sim.fault(FAULTS[kind](rng))
            self._over.wait(rng.uniform(0.5, 6.0))
            fault.remove()
        self._over.wait(rng.uniform(0.0, 6.0))

    def _fill(self, rng: random.Random) -> None:
        """Another trader takes one of the orders, or a part of it."""
        name = rng.choice(NAMES)
        for row in [each for each in self._sim.orders(name) if each["status"] == "open"][:1]:
            with suppress(LookupError, ValueError):
                self._sim.fill(name, row["txid"], rng.choice(("0.005", "0.001")))

    def _ask_the_gateway(self, rng: random.Random) -> None:
        """A client of the gateway, each call over a connection of its own."""
        self._nonce += 1
        order = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "30000", "volume": "0.005"}
        endpoint, params = rng.choice((("Balance", {}), ("OpenOrders", {}), ("AddOrder", order), ("CancelAll", {})))
        reply = send(self._service, signed(self._service, self._key, endpoint, self._nonce, params))
        is_answer = reply.status == 200  # else a page of HTML, as Kraken's own when nobody knows what became of a call
        self.seen[f"gateway {(reply.json['error'] or ['done'])[0] if is_answer else reply.status}"] += 1

    def _watch(self, rng: random.Random) -> None:
        """A person with a dashboard, and a monitor."""
        for path in ("/", "/metrics", "/api/history", "/healthz"):
            self._service.ask(path)
        with urllib.request.urlopen(f"{self._service.url}/api/events", timeout=PATIENCE) as stream:
            stream.read(rng.randrange(1, 2000))
        self.seen["dashboard"] += 1


@contextmanager
def running_bot(sim: Simulator, state: Path, seed: int) -> Iterator[Served]:
    """The process of `bot.py`; killed at the end when it still runs."""
    accounts = [[each.name, each.key, each.secret] for each in sim.accounts]
    asked = {"url": sim.url, "state": str(state), "accounts": accounts, "seed": seed}
    log = state.with_name("bot.log")
    with log.open("w", encoding="utf-8") as written:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.soak.bot", json.dumps(asked)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=written, text=True, cwd=ROOT,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, f"the bot did not start: {log.read_text()}"
        environment = {**os.environ, "KRAKEN_ENGINE_STATE": str(state), "KRAKEN_SPOT_URL": sim.url}
        for each in sim.accounts:
            prefix = "KRAKEN_API" if each.name == "MASTER" else f"KRAKEN_USER_{each.name}_API"
            environment |= {f"{prefix}_KEY": each.key, f"{prefix}_SECRET": each.secret}
        yield Served(process, int(url.rstrip("/").rpartition(":")[2]), state, environment)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def soak(state: Path, seconds: float, every: float) -> tuple[list[Usage], dict[str, Any], Weather]:
    """Let the bot run for so long; the samples, what it told at its end, and what had gone wrong around it."""
    rng = chance()
    with Simulator(NAMES, remember=1000) as sim:
        for name in NAMES:
            sim.set_balance(name, BALANCE)
        with running_bot(sim, state, rng.randrange(2**32)) as service:
            log = state.with_name("usage.tsv")
            with Sampler(service.process.pid, every, log) as sampler, Weather(sim, service, rng) as weather:
                threading.Event().wait(seconds)
            told, _ = service.process.communicate("", timeout=LONG)
            said = state.with_name("bot.log").read_text(encoding="utf-8")
            assert service.process.returncode == 0, said[-2000:]
    return sampler.samples, json.loads(told), weather


def test_a_bot_for_some_seconds_with_faults_and_clients(tmp_path: Path) -> None:
    """G5, G6, G13: whatever goes wrong around it, each call ends as something typed, and so does the bot."""
    samples, told, weather = soak(tmp_path / "state", 6.0, 0.5)
    assert (told["wrong"], weather.failed) == ([], [])
    assert samples
    assert told["ends"]


@pytest.mark.torture
def test_a_bot_for_an_hour_holds_no_more_at_its_end(tmp_path: Path) -> None:
    """``SOAK_SECONDS=N`` for another time than an hour. Prints every sixth sample."""
    faulthandler.cancel_dump_traceback_later()  # pytest would print what all threads do after some minutes
    seconds = float(os.environ.get("SOAK_SECONDS") or 3600)
    samples, told, weather = soak(tmp_path / "state", seconds, 10.0)
    print("\n".join(map(str, samples[::6])))
    print(told["ends"], dict(weather.seen))
    assert (told["wrong"], weather.failed) == ([], [])
    measured = [sample for sample in samples if sample.at > seconds * WARM_UP]
    grown = {of: growth(measured, of) for of in LIMITS}
    print(f"growth from {measured[0].at:.0f} to {measured[-1].at:.0f} s:", grown)
    assert not {of for of, limit in LIMITS.items() if grown[of] > limit}, grown
