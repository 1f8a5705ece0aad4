"""Timers in one thread: it wakes actors, and does what must be done while the lane waits for Kraken."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from engine.actors.runtime.actor import Telling
from engine.values.dataclass import dataclass

logger = logging.getLogger(__name__)

LONGEST_WAIT = 3600.0  # seconds; the timeout of a lock is bounded


class Scheduler:
    """Timers, from `start()` on. Actions run in its thread, so they may only do what never waits: tell, answer or cut.

    An exception of an action is logged and affects no other. After `stop()` no action runs any more.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="kraken-engine scheduler", daemon=True)

    @classmethod
    def started(cls) -> Scheduler:
        """One that runs."""
        scheduler = cls()
        scheduler.start()
        return scheduler

    def start(self) -> None:
        """Start the thread. Raises `RuntimeError` when the system gives none."""
        self._thread.start()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` once, `seconds` from now; never blocks."""
        when = time.monotonic() + seconds
        with self._changed:
            if self._stopped:
                return
            heapq.heappush(self._due, (when, next(self._order), action))
            if self._due[0][0] == when:
                self._changed.notify()

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def stop(self, timeout: float | None = None) -> bool:
        """Drop all timers and end the thread; whether it has ended within `timeout` seconds."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify()
        if self._thread.ident is not None and threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except BaseException:  # even a SystemExit of the host: deadlines, cuts and refreshes need this thread
                logger.exception("A timer failed.")
            del action  # or what it refers to would live until the next one is due

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not self._stopped:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(None if wait is None else min(wait, LONGEST_WAIT))
            return None


@dataclass(frozen=True, slots=True)
class Due:
    """Tells an actor that one of its `ActorTimers` is due."""

    number: int


class ActorTimers:
    """Timers of one actor, whose actions run in its thread: it is told `Due`, and gives that to `run`.

    `after` is `Scheduler.after`.
    """

    def __init__(self, actor: Any, after: Callable[[float, Callable[[], None]], None]) -> None:
        self._actor, self._after = actor, after
        self._actions: dict[int, Callable[[], object]] = {}
        self._numbers = itertools.count()

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Run `action` once in the actor's thread, `seconds` from now, if it is alive then. Any thread may call it."""
        number = next(self._numbers)
        self._actions[number] = action
        self._after(seconds, Telling(self._actor, Due(number)))

    def run(self, due: Due) -> None:
        """Run the action that is due."""
        self._actions.pop(due.number)()
