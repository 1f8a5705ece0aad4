"""Actors that share threads are pykka actors like the others, and none of them starves another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pykka
import pytest

from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.actors.runtime.flag import Flag
from engine.actors.runtime.shared_threads import TURN, SharedActor, SharedThreads
from tests.stopwatch import PATIENCE


@dataclass(frozen=True)
class Hold:
    """Wait, as no handler of a real one may, so that messages pile up."""

    begun: threading.Event
    until: threading.Event


class Recorder(SharedActor):
    """Notes what it is told in a list that it may share."""

    def __init__(self, name: str = "", seen: list[Any] | None = None) -> None:
        super().__init__()
        self.name, self.seen = name, [] if seen is None else seen
        self.ident: int | None = None

    def on_start(self) -> None:
        self.ident = threading.get_ident()

    def on_receive(self, message: Any) -> Any:
        match message:
            case Hold(begun, until):
                begun.set()
                return until.wait(PATIENCE)
            case Exception():
                raise message
            case _:
                self.seen.append((self.name, message))
                return self.name, message

    def closing(self) -> None:
        self.seen.append((self.name, "closed"))

    def thread(self) -> int:
        """Where a proxy's call runs."""
        assert self.ident == threading.get_ident()
        return self.ident


@pytest.fixture
def threads() -> Iterator[SharedThreads]:
    """Threads of two actors each; whatever runs in them is stopped in the end."""
    yield SharedThreads(2)
    for ref in pykka.ActorRegistry.get_by_class(Recorder):
        stop_actor(ref)
        assert wait_finished(ref, PATIENCE)


def test_actors_share_threads_and_answer_like_others(threads: SharedThreads) -> None:
    refs = [Recorder.start_on(threads, str(number)) for number in range(5)]
    assert [ref.ask("hello", timeout=PATIENCE) for ref in refs] == [(str(number), "hello") for number in range(5)]
    idents = [ref.proxy().thread().get(timeout=PATIENCE) for ref in refs]
    assert len(set(idents)) == 3
    assert threading.get_ident() not in idents
    assert all(ref.is_alive() and ref.actor_class is Recorder for ref in refs)
    assert len(pykka.ActorRegistry.get_by_class(Recorder)) == 5


def test_a_failing_message_ends_nobody(threads: SharedThreads) -> None:
    first, second = (Recorder.start_on(threads, name) for name in "ab")
    first.tell(ValueError("told"))
    with pytest.raises(ValueError, match="asked"):
        first.ask(ValueError("asked"), timeout=PATIENCE)
    assert first.ask(1, timeout=PATIENCE) == ("a", 1)
    assert second.ask(2, timeout=PATIENCE) == ("b", 2)


def test_a_flooded_actor_does_not_starve_another(threads: SharedThreads) -> None:
    seen: list[Any] = []
    flooded, other = (Recorder.start_on(threads, name, seen) for name in ("flooded", "other"))
    begun, until = threading.Event(), threading.Event()
    flooded.tell(Hold(begun, until))
    assert begun.wait(PATIENCE)
    for number in range(10 * TURN):
        flooded.tell(number)
    answer = other.ask("urgent", block=False)
    until.set()
    assert answer.get(timeout=PATIENCE) == ("other", "urgent")
    assert flooded.ask("last", timeout=PATIENCE) == ("flooded", "last")
    assert seen.index(("other", "urgent")) < 2 * TURN
    assert [each for name, each in seen if name == "flooded"] == [*range(10 * TURN), "last"]


def test_a_stop_answers_who_waits_and_ends_the_thread_with_its_last_actor(threads: SharedThreads) -> None:
    seen: list[Any] = []
    first, second = (Recorder.start_on(threads, name, seen) for name in "ab")
    begun, until = threading.Event(), threading.Event()
    first.tell(Hold(begun, until))
    assert begun.wait(PATIENCE)
    waiting = first.ask("too late", block=False)
    stop_actor(first)
    until.set()
    with pytest.raises(pykka.ActorDeadError):
        waiting.get(timeout=PATIENCE)
    assert wait_finished(first, PATIENCE)
    assert not first.is_alive()
    assert second.ask("still here", timeout=PATIENCE) == ("b", "still here")
    ident = second.proxy().thread().get(timeout=PATIENCE)
    thread = next(each for each in threading.enumerate() if each.ident == ident)
    second.stop(timeout=PATIENCE)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert seen == [("a", "closed"), ("b", "still here"), ("b", "closed")]
    again = Recorder.start_on(threads, "c", seen)
    assert again.ask("a new thread", timeout=PATIENCE) == ("c", "a new thread")


def test_pykka_can_stop_all(threads: SharedThreads) -> None:
    refs = [Recorder.start_on(threads, str(number)) for number in range(3)]
    pykka.ActorRegistry.stop_all(timeout=PATIENCE)
    assert not any(ref.is_alive() for ref in refs)


def test_a_thread_that_cannot_be_had_leaves_no_actor(monkeypatch: pytest.MonkeyPatch, threads: SharedThreads) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="new thread"):
            Recorder.start_on(threads, "a")
    assert pykka.ActorRegistry.get_by_class(Recorder) == []
    assert Recorder.start_on(threads, "b").ask(1, timeout=PATIENCE) == ("b", 1)


def test_a_flag_is_set_once_and_wakes_who_waits() -> None:
    flag, woken = Flag(), threading.Event()

    def wait() -> None:
        if flag.wait(PATIENCE):
            woken.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not flag.wait(0)
    assert not flag.is_set()
    flag.set()
    waiting.join(PATIENCE)
    assert woken.is_set()
    assert flag.wait(0)
    assert flag.wait()
