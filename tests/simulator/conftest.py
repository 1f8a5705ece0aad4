"""Fixtures of the tests of the simulator."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import krakenex
import pytest

from engine.simulator import Simulator
from tests.simulator.clients import NOW, Client, Clock


@pytest.fixture
def clock() -> Clock:
    """The exchange's clock, in tests whose simulator is given it."""
    return Clock(NOW)


@pytest.fixture
def client(sim: Simulator) -> Iterator[Client]:
    with contextlib.closing(Client(sim)) as made:
        yield made


@pytest.fixture
def api(sim: Simulator) -> Iterator[krakenex.API]:
    """krakenex, unmodified, with MASTER's key."""
    master = sim.accounts[0]
    with contextlib.closing(krakenex.API(master.key, master.secret)) as made:
        made.uri = sim.url
        yield made
