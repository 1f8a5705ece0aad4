"""A name with two addresses of which one swallows everything, as where IPv6 is half broken: trading goes on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from engine import Engine, Order, OrderState, Settings
from engine.simulator import Simulator
from engine.transport.wire import FIRST_TRY
from tests.stopwatch import PATIENCE, Stopwatch

SETTINGS = Settings(refresh_every=3600.0, local_limits=False, call_timeout=PATIENCE, cut_write_after=PATIENCE)
TRIES = 20  # to find a port that is free on both addresses
ORDER = Order("XBTUSD", "buy", "limit", "0.01", "30000")


@pytest.fixture
def half_broken() -> Iterator[tuple[Simulator, str]]:
    """A simulator on ``::1``, and its URL by a name that stands for 127.0.0.1 as well, where nobody answers."""
    with ExitStack() as undo:
        for _ in range(TRIES):
            full = undo.enter_context(socket.socket())
            full.bind(("127.0.0.1", 0))
            try:
                sim = undo.enter_context(Simulator(host="::1", port=full.getsockname()[1]))
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    pytest.skip(f"there is no IPv6 on loopback: {error.strerror}")
        full.listen(0)
        for _ in range(8):  # until its queue is full, and it drops what comes
            waiting = undo.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield sim, f"http://localhost:{sim.port}"


def test_orders_and_cancels_go_by_the_address_that_answers(
    half_broken: tuple[Simulator, str], tmp_path: Path
) -> None:
    """G4, G9: the dead address costs its share once, and then nothing, also over a new connection."""
    sim, url = half_broken
    with Engine(sim.accounts, url=url, state_dir=tmp_path, settings=SETTINGS, live=True) as engine:
        receipt = engine.place("MASTER", ORDER, id="one", timeout=PATIENCE)
        assert receipt.state is OrderState.PLACED
        sim.drop_connections()
        with Stopwatch() as watch:
            ended = engine.cancel("MASTER", receipt, timeout=PATIENCE)
        assert watch.seconds < FIRST_TRY, "a new connection begins with the address that answered the last time"
        assert (ended.state, ended.filled) == (OrderState.CANCELED, Decimal(0))
        assert engine.balance("ALICE", max_age=0, timeout=PATIENCE).is_available
    assert len(sim.placements("MASTER")) == 1
    assert sim.refused_nonces == 0
