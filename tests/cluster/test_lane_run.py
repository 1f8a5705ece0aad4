"""The keys of a lane are fenced a few at a time, each once, and who waits is told what for."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest

from engine import Engine
from engine.cluster.backing import LaneBacking
from engine.cluster.lane_run import FENCED_AT_ONCE, LaneRun
from engine.errors import LockedOut
from tests.cluster.nodes import eventually

ACCOUNTS = tuple(f"A{number}" for number in range(3 * FENCED_AT_ONCE))


class FakeEngine:
    """Answers a fence when the test says so."""

    private = object()

    def __init__(self) -> None:
        self.asked: list[tuple[str, Future[Any]]] = []

    def start(self) -> FakeEngine:
        return self

    def stop(self, within: float) -> None:
        pass

    def submit(self, account: str, endpoint: str, *, timeout: float) -> Future[Any]:
        assert sum(not each.done() for _, each in self.asked) < FENCED_AT_ONCE
        self.asked.append((account, future := Future[Any]()))
        return future


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def run(engine: FakeEngine) -> Any:
    """A lane that was claimed, whose lease does not end."""
    lease = SimpleNamespace(
        lane="one", epoch=1, sure_until=float("inf"), ttl=1.0, renew=lambda: True, release=lambda: None
    )
    backing = cast(LaneBacking, SimpleNamespace(lease=lease, is_handed_over=False))
    made = LaneRun(backing, ACCOUNTS, lambda _: cast(Engine, engine), lambda _: None)
    made.start()
    yield made
    made.hand_over(1.0, keeps_switches=False)
    assert made.wait_over(60.0)


def test_however_many_keys_a_lane_has_each_is_asked_for_once(run: LaneRun, engine: FakeEngine) -> None:
    """All at once, those at the end would time out in the lane, and wait longer after each time."""
    for number in range(len(ACCOUNTS)):
        wanted = min(number + FENCED_AT_ONCE, len(ACCOUNTS))
        eventually(lambda wanted=wanted: len(engine.asked) == wanted)  # type: ignore[misc]
        assert not run.serves(engine.asked[number][0])
        engine.asked[number][1].set_result({})
        eventually(lambda number=number: run.serves(engine.asked[number][0]))  # type: ignore[misc]
    assert sorted(account for account, _ in engine.asked) == sorted(ACCOUNTS)


def test_why_a_key_is_not_accepted_is_known_until_it_is(run: LaneRun, engine: FakeEngine) -> None:
    eventually(lambda: len(engine.asked) == FENCED_AT_ONCE)
    account, asked = engine.asked[0]
    asked.set_exception(LockedOut("Kraken has locked the key out.", retry_after=600.0))
    eventually(lambda: run.refusals.get(account) == "Kraken has locked the key out.")
    for number in range(1, len(ACCOUNTS) + 1):
        eventually(lambda number=number: len(engine.asked) > number)  # type: ignore[misc]
        engine.asked[number][1].set_result({})
    eventually(lambda: run.serves(account))
    assert run.refusals == {}
