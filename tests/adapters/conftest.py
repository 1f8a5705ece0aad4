"""A live engine on a simulator, and the ways in which replies get lost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from engine import Engine, Settings
from engine.simulator import Fault, Simulator
from tests.stopwatch import PATIENCE

E = TypeVar("E", bound=Exception)
SOON = 0.5  # seconds after which nobody waits for an order that nobody can look up
LOOKUPS = ("OpenOrders", "ClosedOrders", "QueryOrders", "TradesHistory")


@pytest.fixture
def live(sim: Simulator, tmp_path: Path) -> Iterator[Engine]:
    """MASTER has money, and what is lost is looked up at once."""
    sim.set_balance("MASTER", {"ZUSD": "900000.0000", "XXBT": "9.0000000000"})
    settings = Settings(
        refresh_every=60.0, call_timeout=PATIENCE, local_limits=False, order_deadline=50.0, settle_margin=0.3,
        follow_every=0.2,
    )  # fmt: skip
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=settings, live=True) as engine:
        yield engine


def lose_replies(sim: Simulator, endpoint: str = "AddOrder", times: int = 1) -> None:
    """Kraken does what it is asked, and its answer is lost."""
    sim.fault(Fault.close(executed=True, endpoint=endpoint, times=times))


@contextlib.contextmanager
def blind(sim: Simulator) -> Iterator[None]:
    """Nobody can look up what became of an order."""
    faults = [sim.fault(Fault.http(502, endpoint=endpoint)) for endpoint in LOOKUPS]
    try:
        yield
    finally:
        for each in faults:
            each.remove()


def until_raises(error: type[E], send: Callable[[float], Any]) -> E:
    """Send with longer and longer times to wait until it ends so; a slow machine sends nothing in a short one."""
    seconds = SOON
    while seconds < PATIENCE:
        try:
            send(seconds)
        except error as told:
            return told
        except Exception as other:
            print(f"after {seconds} seconds: {other!r}")
        seconds *= 2
    raise AssertionError(f"it never ended as {error.__name__}")
