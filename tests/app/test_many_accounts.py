"""With many accounts balance actors share threads, and everything else is as it was."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import pytest

from engine import ConfigError, Engine, Settings
from engine.actors.balance.balance import BalanceActor
from engine.simulator import Simulator
from tests.stopwatch import PATIENCE

OWN_AT_MOST = 200  # accounts


def of_balances() -> set[threading.Thread]:
    """The threads that balance actors have now."""
    names = ("BalanceActor", "kraken-engine shared")
    return {each for each in threading.enumerate() if each.name.startswith(names)}


def have_ended(threads: set[threading.Thread]) -> bool:
    """Whether none of these lives any more; an actor has finished a moment before its thread has."""
    for each in threads:
        each.join(PATIENCE)
    return not any(each.is_alive() for each in threads)


def test_balance_actors_share_threads_when_they_are_told_to(tmp_path: Path) -> None:
    before = of_balances()
    with Simulator([f"A{number}" for number in range(5)]) as sim:
        settings = Settings(accounts_per_thread=2)
        with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
            shared = of_balances() - before
            assert len(shared) == 3
            for name, ref in engine.balances.items():
                assert issubclass(ref.actor_class, BalanceActor)
                assert engine.balance(name, max_age=0, timeout=PATIENCE).cash is not None
                assert ref.proxy().snapshot().get(timeout=PATIENCE).account == name
            engine.remove_account("A4")
            assert "A4" not in engine.balances
            engine.add_account(sim.accounts[4])
            assert engine.balance("A4", max_age=0, timeout=PATIENCE).is_available
            assert engine.status().dead == ()
    assert have_ended(shared)


def test_many_accounts_share_threads_by_themselves(tmp_path: Path) -> None:
    before = of_balances()
    accounts = [(f"A{number}", f"key-{number}-{tmp_path.name}", "c2VjcmV0") for number in range(OWN_AT_MOST + 1)]
    settings = Settings(refresh_every=3600)
    with Engine(accounts, url="http://127.0.0.1:9", state_dir=tmp_path, settings=settings) as engine:
        shared = of_balances() - before
        assert len(shared) == 1
        assert len(engine.balances) == OWN_AT_MOST + 1
        assert len(engine.status().accounts) == OWN_AT_MOST + 1
    assert have_ended(shared)
    few = Engine(accounts[:3], url="http://127.0.0.1:9", state_dir=tmp_path, settings=settings)
    with few:
        assert len(of_balances() - before) == 3


def test_a_status_tells_of_its_own_moment_however_late_it_is_read(tmp_path: Path) -> None:
    with Simulator(["A", "B"]) as sim, Engine(sim.accounts, url=sim.url, state_dir=tmp_path, balances=()) as engine:
        before = engine.status()
        engine.call("A", "Balance", timeout=PATIENCE)
        after = engine.status()
        engine.call("A", "Balance", timeout=PATIENCE)
        assert before.lane is not None
        assert after.lane is not None
        assert list(before.lane.keys) == ["A", "B"]
        assert [each.lane.keys["A"].nonces for each in (before, after) if each.lane] == [0, 1]
        assert (before.lane.keys["A"].mark, after.lane.keys["A"].mark > 0) == (0, True)
        assert after.lane.keys["A"].level > before.lane.keys["A"].level == before.lane.keys["B"].level
        again = pickle.loads(pickle.dumps(after.lane))
        assert again == after.lane
        assert type(again.keys) is dict


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "10"])
def test_accounts_per_thread_is_a_whole_number(wrong: object) -> None:
    with pytest.raises(ConfigError, match="accounts_per_thread"):
        Settings(accounts_per_thread=wrong)  # type: ignore[arg-type]
