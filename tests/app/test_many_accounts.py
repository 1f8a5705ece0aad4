"""A thousand accounts: they start, answer and stop, in little memory and with one thread each."""

from __future__ import annotations

import resource
import sys
import threading
from pathlib import Path

from engine import BalanceState, Engine, Settings
from engine.simulator import Simulator

THOUSAND = 1000
MOST_THREADS = THOUSAND + 20
MOST_MEMORY = 200  # MiB, for all that the process has, the simulator included
PATIENCE = 60.0


def mebibytes() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


def test_a_thousand_accounts_in_one_process(tmp_path: Path) -> None:
    """Every one is there at once; who is asked for is fetched at once, though all the others wait for their turn."""
    before, memory = threading.active_count(), mebibytes()
    names = [f"U{number}" for number in range(THOUSAND)]
    settings = Settings(refresh_every=60.0, call_timeout=PATIENCE)
    with Simulator(names, remember=100) as sim:
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
            assert threading.active_count() - before < MOST_THREADS
            assert len(engine.status().accounts) == THOUSAND
            for name in names[:: THOUSAND // 10]:
                snapshot = engine.balance(name, max_age=60, timeout=PATIENCE)
                assert snapshot.state is BalanceState.FRESH
            assert mebibytes() - memory < MOST_MEMORY
        assert not sim.refused_nonces
        assert sim.highest_in_flight == 1
