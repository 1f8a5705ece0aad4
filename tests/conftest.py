"""What many tests share: fixtures, and a check that no actor died unnoticed and no thread was left behind."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from engine import Engine, Settings
from engine.simulator import Call, Simulator
from tests.stopwatch import PATIENCE

QUICK = Settings(refresh_every=0.2, max_age=60.0, call_timeout=PATIENCE, local_limits=False)
"""Settings under which things happen soon, and nothing expires because the machine is slow."""

# Who starts the tests in the background lets them ignore Ctrl-C, and so all the processes that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing here: the machine may stand still.
PATIENT = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("search", PATIENT)
hypothesis.settings.register_profile("same", PATIENT, derandomize=True)
hypothesis.settings.load_profile("same")


def pytest_configure(config: pytest.Config) -> None:
    """The default run tries the same examples each time; ``-m torture`` searches for new ones."""
    if str(config.getoption("markexpr")) == "torture":
        hypothesis.settings.load_profile("search")
        os.environ.setdefault("TORTURE_SEED", str(random.SystemRandom().randrange(2**32)))


@pytest.fixture(autouse=True)
def no_dead_actor(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """pykka only logs an actor's death, so an ERROR from it fails the test; so does one of ours."""
    yield
    dead = [
        record.getMessage()
        for phase in ("setup", "call", "teardown")
        for record in caplog.get_records(phase)
        if record.levelno >= logging.ERROR and record.name.partition(".")[0] in ("pykka", "engine")
    ]
    assert not dead, dead


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """G13: whatever a test starts has ended when the test is over."""
    before = set(threading.enumerate())
    yield
    patience = time.monotonic() + PATIENCE
    left: list[threading.Thread] = []
    for thread in set(threading.enumerate()) - before:
        thread.join(max(0.0, patience - time.monotonic()))
        if thread.is_alive():
            left.append(thread)
    assert not left, left


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A strict Kraken on loopback with MASTER, ALICE and BOB."""
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def engine(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    """An engine for the simulator's accounts that refreshes quickly."""
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK) as running:
        yield running


def private_calls(sim: Simulator) -> list[Call]:
    """What came with a nonce; the engine also asks for the public time."""
    return [call for call in sim.calls if call.private]


class Events:
    """Collects events and waits for the one a test is after."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._changed = threading.Condition()

    def __call__(self, event: Any) -> None:
        with self._changed:
            self.seen.append(event)
            self._changed.notify_all()

    def forget(self) -> None:
        """What was seen until now does not count any more."""
        with self._changed:
            self.seen.clear()

    def wait_for(self, wanted: Callable[[Any], bool], timeout: float = PATIENCE) -> Any:
        """The first event that fits, seen already or still to come."""
        def found() -> Any:
            return next((event for event in self.seen if wanted(event)), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None, timeout)
            event = found()
        assert event is not None, f"it did not happen; seen last: {self.seen[-5:]}"
        return event


@pytest.fixture
def events(engine: Engine) -> Events:
    """Everything `engine` publishes from now on."""
    collected = Events()
    engine.subscribe(collected)
    return collected
