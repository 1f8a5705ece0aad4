"""Push in other processes: a server that stands still, a library that is missing, and every place a token could be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine import Account, Engine, Settings
from engine.rules.balance.snapshot import BalanceState
from tests import ROOT
from tests.stopwatch import PATIENCE, again_if_stalled
from tests.stream.conftest import until, until_live


@contextmanager
def simulator() -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The simulator in a process of its own."""
    command = [sys.executable, "-m", "engine", "--json", "simulate", "--accounts", "MASTER"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            document, text = None, ""
            while document is None:
                text += process.stdout.readline()
                try:
                    document = json.loads(text)
                except ValueError:
                    assert process.poll() is None, text
            yield process, document
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@again_if_stalled
def test_a_server_that_stands_still_is_not_believed(tmp_path: Path) -> None:
    """Nothing fails: the socket is open and the call hangs. 4 seconds later no balance is FRESH all the same."""
    with simulator() as (process, found):
        account = Account(**found["accounts"][0])
        settings = Settings(
            push=True, ws_url=found["ws_url"], local_limits=False, max_age=PATIENCE, silence_to_unavailable=PATIENCE
        )
        with Engine([account], url=found["url"], state_dir=tmp_path, settings=settings) as engine:
            until_live(engine)
            until(lambda: engine.balance("MASTER").state is BalanceState.FRESH)
            process.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            until(lambda: engine.balance("MASTER").state is not BalanceState.FRESH)
            assert time.monotonic() - stopped < 4.0
            process.send_signal(signal.SIGCONT)
            until(lambda: engine.balance("MASTER").state is BalanceState.FRESH)
            until_live(engine)


def run(code: str, tmp_path: Path, **environment: str) -> str:
    """What a program prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "STATE": str(tmp_path / "state"), **environment}, timeout=4 * PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


WITHOUT = """
import os, sys, time
sys.modules["websockets"] = None
from engine import Engine, Settings
from engine.simulator import Simulator
with Simulator(["MASTER"]) as sim:
    settings = Settings(push=True, ws_url=sim.ws_url)
    with Engine(sim.accounts, url=sim.url, state_dir=os.environ["STATE"], settings=settings) as engine:
        assert engine.balance("MASTER", max_age=5, timeout=30).state.value == "fresh"
        print([each.message for each in engine.status().warnings], engine.status().push)
"""


def test_without_the_library_it_starts_and_says_so_once(tmp_path: Path) -> None:
    told = run(WITHOUT, tmp_path)
    assert told.count("websockets is not installed (pip install 'kraken-engine[push]'") == 1
    assert "()" in told


LOUD = """
import logging, os, sys, threading
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
from engine import CallDone, Engine, PrivateCall, Settings
from engine.simulator import Simulator, StreamFault
from tests.stream.conftest import until, until_live

with Simulator(["MASTER"]) as sim:
    settings = Settings(push=True, ws_url=sim.ws_url, local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=os.environ["STATE"], settings=settings, live=True) as engine:
        seen = []
        engine.subscribe(seen.append)
        until_live(engine)
        sim.streams.state.add(StreamFault.STALE_TOKEN, None)
        sim.streams.close(1001)
        until(lambda: any("ESession" in (report.reason or "") for report in engine.status().push))
        sim.streams.state.clear()
        until_live(engine)
        call = PrivateCall("MASTER", "GetWebSocketsToken")
        print(CallDone(call, engine.private.ask(call)), engine.status(), engine.status().to_dict(), seen)
    with sim._exchange.customer("MASTER") as customer:
        open(os.environ["TOKENS"], "w").write("\\n".join(customer.key.tokens))
"""


@pytest.mark.parametrize("longest", ["75", "100000"])
def test_a_token_is_in_no_log_repr_status_or_file(tmp_path: Path, longest: str) -> None:
    """G11. The library writes what it sends to its logger, at DEBUG, as long as this variable says."""
    tokens = tmp_path / "tokens"
    told = run(LOUD, tmp_path, WEBSOCKETS_MAX_LOG_SIZE=longest, TOKENS=str(tokens), PYTHONASYNCIODEBUG="1")
    issued = tokens.read_text().split()
    assert len(issued) >= 3
    files = [each.read_bytes() for each in (tmp_path / "state").rglob("*") if each.is_file()]
    written = [told.encode(), *files]
    assert b"GetWebSocketsToken" in written[0]
    for token in issued:
        for part in (token, token[:20], token[-20:]):
            assert not any(part.encode() in each for each in written)


def test_it_needs_few_threads(tmp_path: Path) -> None:
    code = """
import os, threading
from engine import Engine, Settings
from engine.simulator import Simulator
from tests.stream.conftest import until, state_of, pushing
from engine.rules.stream.subscription import StreamState

names = [f"USER{number}" for number in range(20)]
with Simulator(names) as sim:
    def threads(push):
        settings = pushing(sim, push=push)
        with Engine(sim.accounts, url=sim.url, state_dir=os.environ["STATE"], settings=settings) as engine:
            until(lambda: all(each.state.value == "fresh" for each in engine.status().accounts))
            if push:
                until(lambda: all(state_of(engine, name) is StreamState.LIVE for name in names))
            return [each.name for each in threading.enumerate() if not each.name.startswith("simulator")]
    without, pushing_too = threads(False), threads(True)
    print("kraken-engine push" in pushing_too, len(pushing_too) - len(without) <= 5)
"""
    assert run(code, tmp_path).split() == ["True", "True"]
