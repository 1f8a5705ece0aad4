"""Replaces actors that have died. Callers hold names, not refs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pykka

from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.actors.runtime.mailbox import Mailbox
from engine.errors import EngineStopped

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.25  # seconds
LOOKS_AT_ALL = 40  # one of so many looks is at every actor, whether or not one has ended: with thousands it takes long
FINISHED_WITHIN = 10.0  # seconds for a successor that is not wanted any more

Start = Callable[..., "pykka.ActorRef[Any]"]


class Supervisor:
    """The actors of one engine by name, in the order of their start.

    An actor that is dead at two checks in a row is replaced, and `warn` is called with a code and a sentence. When the
    actor named `keystone` and all that were started after it are dead or stopping, the host has stopped every pykka
    actor: `world_stopped` is called once, in a thread of its own, and nothing is replaced.
    """

    def __init__(
        self,
        *,
        keystone: str,
        after: Callable[[float, Callable[[], None]], None],
        warn: Callable[[str, str], None],
        world_stopped: Callable[[], None],
    ) -> None:
        self._keystone = keystone
        self._after = after
        self._warn = warn
        self._world_stopped = world_stopped
        self._starts: dict[str, tuple[Any, ...]] = {}  # what starts each, and with what
        self._refs: dict[str, pykka.ActorRef[Any]] = {}
        self._seen_dead: set[str] = set()
        self._last_end, self._looks = -1, 0
        self._lost: set[str] = set()
        self._replacing: dict[str, threading.Thread] = {}
        self._lock = threading.Lock()
        self._is_watching = True

    def watch(self) -> None:
        """Look for dead actors from now on."""
        self._after(LOOK_EVERY, self._look)

    def start(self, name: str, start: Start, *parts: Any) -> pykka.ActorRef[Any]:
        """Start an actor under a name, with ``start(*parts)``. What that raises is raised here, and nothing is kept.

        Raises `EngineStopped` when the actors are being stopped already.
        """
        ref = start(*parts)
        with self._lock:
            if self._is_watching:
                self._refs[name], self._starts[name] = ref, (start, *parts)
                return ref
        stop_actor(ref)
        raise EngineStopped("The engine is stopping.")

    @property
    def refs(self) -> Mapping[str, pykka.ActorRef[Any]]:
        """The actor that bears each name now; it changes as actors are started, replaced and stopped."""
        return self._refs

    def ref(self, name: str) -> pykka.ActorRef[Any]:
        """The actor that bears the name now. Raises `KeyError`."""
        return self._refs[name]

    def stop(self, name: str, timeout: float) -> bool:
        """Stop one actor for good; whether it has finished in time."""
        with self._lock:
            self._starts.pop(name, None)
            ref = self._refs.pop(name, None)
        if ref is None:
            return True
        stop_actor(ref)
        return wait_finished(ref, timeout)

    def is_own_thread(self) -> bool:
        """Whether the caller runs in the thread of one of these actors."""
        mailboxes: list[Any] = [ref.actor_inbox for ref in self._refs.values()]
        return any(mailbox.reader == threading.get_ident() for mailbox in mailboxes)

    def names(self) -> list[str]:
        """Every name, in the order of the start."""
        return list(self._refs)

    def dead(self) -> list[str]:
        """The names whose actor is dead at this moment."""
        return [name for name, ref in tuple(self._refs.items()) if ref.actor_stopped.is_set()]

    def stop_watching(self, timeout: float) -> None:
        """Replace nobody any more; a successor that is being built is waited for, and stopped."""
        until = time.monotonic() + timeout
        with self._lock:
            self._is_watching = False
            under_way = list(self._replacing.values())
        for thread in under_way:
            thread.join(max(0.0, until - time.monotonic()))

    def _look(self) -> None:
        """Run by the scheduler's thread."""
        try:
            with self._lock:
                if self._is_watching:
                    self._look_at_all()
        finally:
            if self._is_watching:
                self._after(LOOK_EVERY, self._look)

    def _look_at_all(self) -> None:
        keystone = self._refs.get(self._keystone)
        if keystone is not None and _is_ending(keystone):
            names = list(self._refs)
            later = names[names.index(self._keystone) + 1 :]
            if all(_is_ending(self._refs[name]) for name in later):
                threading.Thread(target=self._world_stopped, name="kraken-engine stop", daemon=True).start()
                self._is_watching = False
                return
            if not wait_finished(keystone, 0):
                return  # it is told to stop and still works: the others may only be waiting for their turn
        dead = self._dead_now()
        for name in sorted(dead & self._seen_dead - self._replacing.keys()):
            if wait_finished(self._refs[name], 0):  # else it still closes what its successor will need
                self._begin_to_replace(name)
        self._seen_dead = dead

    def _dead_now(self) -> set[str]:
        """The names whose actor is dead, with the lock held; no actor dies without the end of its mailbox."""
        self._looks += 1
        last_end = Mailbox.last_end
        if last_end == self._last_end and not self._seen_dead and self._looks % LOOKS_AT_ALL:
            return set()
        self._last_end = last_end
        return set(self.dead())

    def _begin_to_replace(self, name: str) -> None:
        """In a thread of its own: the successor may have much to read, and timers must not wait for that."""
        replace = partial(self._replace, name, self._starts[name])
        thread = threading.Thread(target=replace, name=f"kraken-engine replaces {name}", daemon=True)
        try:
            thread.start()
            self._replacing[name] = thread  # `_replace` ends with the lock, which is held here
        except RuntimeError as error:  # no thread can be started now
            self._cannot(name, error)

    def _replace(self, name: str, begin: tuple[Any, ...]) -> None:
        start, *parts = begin
        try:
            ref = start(*parts)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again at the next look
            with self._lock:
                del self._replacing[name]
            self._cannot(name, error)
            return
        with self._lock:
            del self._replacing[name]
            is_wanted = self._is_watching and self._starts.get(name) is begin
            if is_wanted:
                self._refs[name] = ref
        if is_wanted:
            self._lost.discard(name)
            self._warn("actor-replaced", f"The actor {name} had died and was replaced.")
        else:
            stop_actor(ref)
            wait_finished(ref, FINISHED_WITHIN)

    def _cannot(self, name: str, error: Exception) -> None:
        if name not in self._lost:
            self._lost.add(name)
            self._warn("actor-lost", f"The actor {name} died and cannot be replaced: {error}")


def _is_ending(ref: pykka.ActorRef[Any]) -> bool:
    mailbox: Any = ref.actor_inbox
    return bool(mailbox.is_stopping)
