"""A dead actor's successor is built while everything else goes on (promise G5)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine.actors.runtime.actor import EngineActor, wait_finished
from engine.actors.runtime.scheduler import Scheduler
from engine.actors.runtime.supervisor import LOOK_EVERY, Supervisor
from engine.errors import EngineStopped
from tests.stopwatch import PATIENCE, Stopwatch


class Idle(EngineActor):
    """Does nothing."""


class Stage:
    """A supervisor with an actor whose second start can be made to wait or to fail."""

    def __init__(self) -> None:
        self.scheduler = Scheduler.started()
        self.warnings: list[str] = []
        self.warned = threading.Condition()
        self.building, self.may_go_on = threading.Event(), threading.Event()
        self.fails = 0
        self.starts = 0
        self.built: list[Any] = []
        self.supervisor = Supervisor(
            keystone="none", after=self.scheduler.after, warn=self.warn, world_stopped=lambda: None
        )
        self.supervisor.watch()

    def warn(self, code: str, sentence: str) -> None:
        with self.warned:
            self.warnings.append(code)
            self.warned.notify_all()

    def wait_for(self, is_true: Callable[[], bool]) -> None:
        with self.warned:
            assert self.warned.wait_for(is_true, PATIENCE), self.warnings

    def start(self) -> Any:
        self.starts += 1
        if self.starts > 1:
            self.building.set()
            assert self.may_go_on.wait(PATIENCE)
            if self.fails:
                self.fails -= 1
                raise EngineStopped("Not yet.")
        self.built.append(Idle.start())
        return self.built[-1]

    def kill(self) -> None:
        self.supervisor.ref("it").stop()
        assert self.building.wait(PATIENCE)

    def end(self) -> None:
        self.may_go_on.set()
        self.supervisor.stop_watching(PATIENCE)
        self.supervisor.stop("it", PATIENCE)
        self.scheduler.stop(PATIENCE)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    made.supervisor.start("it", made.start)
    yield made
    made.end()


def test_timers_go_on_while_a_successor_is_built(stage: Stage) -> None:
    stage.kill()
    rang = threading.Event()
    stage.scheduler.after(0.0, rang.set)
    assert rang.wait(PATIENCE), "a timer waits for the building"
    assert stage.supervisor.dead() == ["it"]
    assert stage.starts == 2, "one successor is built at a time"
    stage.may_go_on.set()
    stage.wait_for(lambda: stage.warnings == ["actor-replaced"])
    assert stage.supervisor.dead() == []


def test_others_start_and_stop_while_a_successor_is_built(stage: Stage) -> None:
    stage.kill()
    with Stopwatch() as watch:
        stage.supervisor.start("other", Idle.start)
        assert stage.supervisor.stop("other", PATIENCE)
    assert watch.seconds < PATIENCE / 2


def test_only_one_successor_is_built_at_a_time(stage: Stage) -> None:
    stage.kill()
    looks = threading.Semaphore(0)
    for number in range(1, 5):  # each of them after one more look
        stage.scheduler.after(number * LOOK_EVERY, looks.release)
    for _ in range(4):
        assert looks.acquire(timeout=PATIENCE)
    assert stage.starts == 2


def test_a_successor_that_is_ready_too_late_is_stopped(stage: Stage) -> None:
    """G13: whoever stops waits for it, and nothing is left."""
    stage.kill()
    threading.Timer(0.1, stage.may_go_on.set).start()
    stage.supervisor.stop_watching(PATIENCE)
    late = stage.built[-1]
    assert len(stage.built) == 2
    assert wait_finished(late, 0)
    assert stage.warnings == []


def test_a_successor_of_an_actor_that_was_given_up_is_stopped(stage: Stage) -> None:
    stage.kill()
    stage.supervisor.stop("it", PATIENCE)
    stage.may_go_on.set()
    stage.supervisor.stop_watching(PATIENCE)
    assert wait_finished(stage.built[-1], 0)
    with pytest.raises(KeyError):
        stage.supervisor.ref("it")


def test_a_successor_is_stopped_when_its_name_was_started_anew_meanwhile(stage: Stage) -> None:
    """Also with the same function, as when an account is removed and comes back."""
    starts: list[str] = []
    built: list[Any] = []

    def start(what: str) -> Any:
        starts.append(what)
        if len(starts) == 2:
            stage.building.set()
            assert stage.may_go_on.wait(PATIENCE)
        built.append(Idle.start())
        return built[-1]

    stage.supervisor.start("twin", start, "BOB").stop()
    assert stage.building.wait(PATIENCE)
    stage.supervisor.stop("twin", PATIENCE)
    anew = stage.supervisor.start("twin", start, "BOB")
    stage.may_go_on.set()
    stage.supervisor.stop_watching(PATIENCE)
    assert starts == ["BOB"] * 3
    assert stage.supervisor.ref("twin") is anew
    assert wait_finished(built[-1], 0)
    assert stage.supervisor.stop("twin", PATIENCE)


def test_a_start_that_fails_is_told_once_and_tried_again(stage: Stage) -> None:
    stage.fails = 2
    stage.may_go_on.set()
    stage.kill()
    stage.wait_for(lambda: "actor-replaced" in stage.warnings)
    assert stage.warnings == ["actor-lost", "actor-replaced"]
    assert stage.starts == 4
