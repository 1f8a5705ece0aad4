"""An engine with push, on a simulator with a WebSocket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import Engine, Settings
from engine.rules.stream.subscription import StreamState
from engine.simulator import Simulator
from tests.conftest import Events
from tests.stopwatch import PATIENCE

ROW = {"ZUSD": "10000.0000", "XXBT": "1.0000000000"}


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds that nobody tells of."""
    patience = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < patience, "it did not happen"
        time.sleep(0.005)


def pushing(sim: Simulator, **others: object) -> Settings:
    """Settings with push; polling is so rare that what comes at once has come from the stream."""
    given = {
        "push": True, "ws_url": sim.ws_url, "refresh_every": 3.0, "call_timeout": PATIENCE, "local_limits": False,
        "follow_every": 100.0,
    }  # fmt: skip
    return Settings(**{**given, **others})  # type: ignore[arg-type]


def state_of(engine: Engine, account: str = "MASTER") -> StreamState | None:
    found = {report.account: report.state for report in engine.status().push}
    return found.get(account)


def gaps_of(engine: Engine, account: str = "MASTER") -> int:
    return sum(report.gaps for report in engine.status().push if report.account == account)


def until_live(engine: Engine, account: str = "MASTER") -> None:
    until(lambda: state_of(engine, account) is StreamState.LIVE)


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """MASTER alone has 10000 dollars and a bitcoin; a bitcoin costs 30000."""
    with Simulator(["MASTER"]) as simulator:
        simulator.set_balance("MASTER", ROW)
        simulator.set_price("XBTUSD", "29999.9", "30000.0")
        yield simulator


@pytest.fixture
def engine(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    """Live, and its stream is believed."""
    settings = pushing(sim)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=settings, live=True) as running:
        until_live(running)
        yield running


@pytest.fixture
def events(engine: Engine) -> Events:
    collected = Events()
    engine.subscribe(collected)
    return collected
