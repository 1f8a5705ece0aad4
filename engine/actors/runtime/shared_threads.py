"""Few threads for many actors. Each actor belongs to one thread, which runs it while it has messages.

A thread of its own costs an actor 20 KiB of memory and a place in the system's table. An actor that never waits, in a
handler, can share one: it is a pykka actor all the same, with a ref, ask, tell, proxy and stop.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from queue import SimpleQueue
from typing import Any, Self

import pykka

from engine.actors.runtime.actor import EngineActor
from engine.actors.runtime.mailbox import QuietMailbox

logger = logging.getLogger(__name__)

TURN = 32  # messages that an actor may handle before the others of its thread have their turn


class _TurnOver(Exception):
    """Nothing is left to handle, or the others come first."""


class SharedMailbox(QuietMailbox):
    """The inbox of an actor that has no thread of its own: what comes in puts the actor in its thread's queue."""

    __slots__ = ("_left", "actor", "ready")

    def __init__(self) -> None:
        super().__init__()
        self.ready: SimpleQueue[SharedActor] | None = None
        self.actor: SharedActor | None = None
        self._left = TURN

    def _make_bell(self) -> None:
        """There is none."""

    def begin(self) -> None:
        """The actor's turn begins in this thread."""
        self.reader, self._left = threading.get_ident(), TURN

    def get(self) -> Any:
        """The next message. Raises `_TurnOver` when there is none, or too many were handled in a row."""
        with self._lock:
            envelope = self._take() if self._left else None
            if envelope is not None:
                self._left -= 1
                return envelope
            self._is_waiting = True
            if not self.empty():
                self._wake()
            self.reader = None
        raise _TurnOver

    def _wake(self) -> None:
        if self._is_waiting and self.ready is not None:
            self._is_waiting = False
            self.ready.put(self.actor)  # type: ignore[arg-type]


class SharedActor(EngineActor):
    """An actor that runs in a thread with others, between `start_on` and its end. No handler of it may wait."""

    actor_inbox: SharedMailbox
    _has_begun = False
    _thread: SharedThread

    @classmethod
    def start_on(cls, threads: SharedThreads, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """Start an actor in one of those threads. What it holds is given back when the system gives no thread."""
        actor = cls(*args, **kwargs)
        actor._thread = threads.with_room()
        actor._begin()
        return actor.actor_ref

    @staticmethod
    def _create_actor_inbox() -> Any:
        return SharedMailbox()

    def _start_actor_loop(self) -> None:
        self._thread.take(self)

    def take_turn(self) -> bool:
        """Handle what has come, in pykka's own loop; whether the actor has ended."""
        self.actor_inbox.begin()
        try:
            if not self._has_begun:
                self._has_begun = True
                self._actor_loop_setup()
            self._actor_loop_running()
        except _TurnOver:
            return False
        self._actor_loop_teardown()
        self.actor_inbox.reader = None
        return True


class SharedThread:
    """Runs its actors by turns. It lives as long as it has any: the end of the last one ends it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ready: SimpleQueue[SharedActor] = SimpleQueue()
        self._lock = threading.Lock()
        self.actors = 0
        """How many it has."""

    def take(self, actor: SharedActor) -> None:
        """Run this actor as well. Raises `RuntimeError` when the system gives no thread."""
        with self._lock:
            if not self.actors:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            self.actors += 1
        mailbox = actor.actor_inbox
        mailbox.actor, mailbox.ready = actor, self._ready
        self._ready.put(actor)

    def _run(self) -> None:
        while True:
            if self._has_ended(self._ready.get()):
                with self._lock:
                    self.actors -= 1
                    if not self.actors:
                        return

    def _has_ended(self, actor: SharedActor) -> bool:
        try:
            return actor.take_turn()
        except BaseException:  # pykka's loop lets none out; the other actors of this thread must not die of it
            logger.exception("A turn of %s failed.", actor)
            return not actor.actor_ref.is_alive()


class SharedThreads:
    """As many threads as it takes, with at most `each` actors in one."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._threads: deque[SharedThread] = deque()
        self._lock = threading.Lock()

    def with_room(self) -> SharedThread:
        """A thread that can take one more actor."""
        with self._lock:
            for thread in reversed(self._threads):
                if thread.actors < self._each:
                    return thread
            self._threads.append(SharedThread(f"kraken-engine shared {len(self._threads)}"))
            return self._threads[-1]
