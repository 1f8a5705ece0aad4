"""The dead man's switch: fed while all is well, disarmed by a stop, and settled by the next start."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engine import ConfigError, Engine, EngineWarning, NotLive, OrderState
from engine.actors.system import ORDERS
from engine.simulator import Fault, Simulator
from tests.app.test_place import RESTS, live, running, seen, wait_for
from tests.conftest import Events

__all__ = ["live", "seen"]  # fixtures

ENDPOINT = "CancelAllOrdersAfter"


def timeouts(sim: Simulator) -> list[str]:
    return [call.params["timeout"] for call in sim.calls if call.endpoint == ENDPOINT]


def warned(events: Events, code: str) -> None:
    events.wait_for(lambda event: isinstance(event, EngineWarning) and event.code == code)


def test_it_is_fed_until_it_is_disarmed(sim: Simulator, live: Engine) -> None:
    receipt = live.place("MASTER", RESTS)
    live.arm("MASTER", 3)
    before = live.balance("MASTER", max_age=0.0)
    sim.wait_for_calls(3, endpoint=ENDPOINT)
    assert live.balance("MASTER").as_of == before.as_of
    assert not live.balance("MASTER").invalidated, "setting it changes no balance"
    live.disarm("MASTER")
    assert timeouts(sim)[-1] == "0"
    assert set(timeouts(sim)[:-1]) == {"3"}
    assert [each.id for each in live.open_orders("MASTER")] == [receipt.id]
    live.disarm("MASTER")
    assert timeouts(sim).count("0") == 1, "there is nothing to disarm"


def test_kraken_cancels_the_orders_of_an_engine_that_it_does_not_hear_of(
    sim: Simulator, live: Engine, seen: Events
) -> None:
    live.place("MASTER", RESTS)
    live.arm("MASTER", 3)
    sim.fault(Fault.http(502, endpoint=ENDPOINT))
    warned(seen, "dead-man-not-fed")
    assert wait_for(seen, OrderState.CANCELED).filled == 0


def test_a_stop_disarms_it(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path) as engine:
        engine.arm("MASTER", 30)
    assert timeouts(sim) == ["30", "0"]
    with running(sim, tmp_path) as engine:
        engine.balance("MASTER", max_age=0.0)
    assert timeouts(sim) == ["30", "0"]


def test_a_lost_disarm_is_reported_and_sent_again_also_by_the_next_engine(sim: Simulator, tmp_path: Path) -> None:
    seen = Events()
    engine = running(sim, tmp_path)
    engine.subscribe(seen)
    with engine:
        engine.arm("MASTER", 30)
        lost = sim.fault(Fault.error("EService:Unavailable", endpoint=ENDPOINT))
        engine.stop()
    warned(seen, "dead-man-not-disarmed")
    lost.remove()
    told = len(timeouts(sim))
    with running(sim, tmp_path):
        sim.wait_for_calls(told + 1, endpoint=ENDPOINT)
    assert timeouts(sim)[-1] == "0"


@pytest.mark.parametrize("is_live", [True, False])
def test_a_switch_that_was_armed_when_the_engine_died_is_fed_again_by_a_live_one(
    sim: Simulator, tmp_path: Path, is_live: bool
) -> None:
    with running(sim, tmp_path) as engine:
        engine.arm("MASTER", 30)
        shutil.copytree(tmp_path / "state", tmp_path / "died" / "state")
    told, seen = len(timeouts(sim)), Events()
    engine = running(sim, tmp_path / "died", live=is_live)
    engine.subscribe(seen)
    with engine:
        warned(seen, "dead-man-armed" if is_live else "dead-man-not-fed")
        if is_live:
            sim.wait_for_calls(told + 1, endpoint=ENDPOINT)
            assert timeouts(sim)[-1] == "30"
    assert timeouts(sim)[told:] == (["30", "0"] if is_live else [])


def test_it_is_not_fed_while_the_journal_cannot_be_written(
    sim: Simulator, tmp_path: Path, live: Engine, seen: Events
) -> None:
    live.arm("MASTER", 3)
    fed = len(timeouts(sim))
    (tmp_path / "state" / "orders.sqlite").rename(tmp_path / "gone")
    warned(seen, "dead-man-not-fed")
    assert len(timeouts(sim)) == fed
    assert live._state.ref(ORDERS).is_alive()


def test_it_is_never_armed_in_a_dry_run(sim: Simulator, tmp_path: Path) -> None:
    with running(sim, tmp_path, live=False) as engine:
        with pytest.raises(NotLive):
            engine.arm("MASTER", 60)
        for seconds in (1, 86_400):  # Kraken takes less than a day
            with pytest.raises(ConfigError):
                engine.arm("MASTER", seconds)
    assert timeouts(sim) == []
