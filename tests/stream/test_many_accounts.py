"""More accounts than the machine may connect in ten minutes: in the end all are live, and Kraken's limit is kept."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from engine import Engine, Settings
from engine.rules.stream.connections import MOST, WINDOW
from engine.rules.stream.subscription import StreamState
from engine.simulator import Simulator
from tests.stopwatch import PATIENCE
from tests.stream.conftest import until

ACCOUNTS = 200


@pytest.mark.torture
def test_200_accounts_are_live_at_once_and_at_most_120_connect_in_ten_minutes(tmp_path: Path) -> None:
    """In real time, with the real limit: the last 80 connect when the first 120 attempts count no longer."""
    with Simulator([f"USER{number}" for number in range(ACCOUNTS)], remember=1000) as sim:
        settings = Settings(push=True, ws_url=sim.ws_url, local_limits=False)
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
            def live() -> int:
                return sum(each.state is StreamState.LIVE for each in engine.status().push)

            until(lambda: len(sim.streams.state.upgrades) == MOST)
            assert live() <= MOST
            end = time.monotonic() + WINDOW + 2 * PATIENCE
            while live() < ACCOUNTS:
                assert time.monotonic() < end, f"{live()} are live"
                time.sleep(0.5)
            print(f"{live()} live after {time.monotonic() - end + WINDOW + 2 * PATIENCE:.0f} s")
            upgrades = list(sim.streams.state.upgrades)
    assert len(upgrades) >= ACCOUNTS
    for at in upgrades:
        assert sum(at - 600.0 <= each <= at for each in upgrades) <= MOST
