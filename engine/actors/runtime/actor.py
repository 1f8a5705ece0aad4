"""The base of the engine's actors."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping
from typing import Any, Self

import pykka

from engine.actors.runtime.flag import Flag
from engine.actors.runtime.mailbox import Mailbox

logger = logging.getLogger(__name__)

IS_THERE_WITHIN = 0.2  # seconds in which a thread that was made has begun


class EngineActor(pykka.ThreadingActor):
    """An actor that no message can kill and that answers every ask, also while it stops.

    A subclass releases its resources in `closing()`, which runs once, in the actor's thread. The mailbox's `finished`
    is set after that: pykka reports an actor as stopped before its `on_stop` has run.

    The threads are daemons, so that a host that forgets to stop the engine can still end; nothing durable depends on
    an orderly stop.
    """

    use_daemon_thread = True

    actor_inbox: Mailbox

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.actor_stopped = self.actor_ref.actor_stopped = Flag()  # type: ignore[assignment]

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """Start an actor, in its own thread. What it holds is given back when the system gives no thread."""
        actor = cls(*args, **kwargs)
        actor._begin()
        return actor.actor_ref

    def _begin(self) -> None:
        pykka.ActorRegistry.register(self.actor_ref)
        try:
            self._start_actor_loop()
        except BaseException as error:
            stop_actor(self.actor_ref)  # an exception of a signal handler's leaves open whether there is a thread
            if isinstance(error, RuntimeError | MemoryError) or not wait_finished(self.actor_ref, IS_THERE_WITHIN):
                pykka.ActorRegistry.unregister(self.actor_ref)
                self.actor_stopped.set()
                self.on_stop()
            raise

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Mailbox()

    def on_receive(self, message: Any) -> Any:
        """Refuse a message that no subclass handles: pykka's own answer, `None`, would look like success."""
        raise TypeError(f"{type(self).__name__} does not understand {type(message).__name__}.")

    def closing(self) -> None:
        """Release what this actor holds."""

    def on_stop(self) -> None:
        """Close the mailbox, then release what the subclass holds. Runs in the actor's thread."""
        self.actor_inbox.end()
        try:
            self.closing()
        except Exception:
            logger.exception("%s did not close cleanly.", type(self).__name__)
        finally:
            self.actor_inbox.finished.set()

    def on_failure(self, *_: Any) -> None:
        """The same as `on_stop`, when pykka ends the actor because of an exception."""
        self.on_stop()


class ActorAddress:
    """A name that messages can be sent to: they reach the actor that bears it now. `refs`: the actors by name."""

    __slots__ = ("_name", "_refs")

    def __init__(self, refs: Mapping[str, pykka.ActorRef[Any]], name: str) -> None:
        self._refs = refs
        self._name = name

    def tell(self, message: Any) -> None:
        """Tell the actor of that name. Raises `KeyError` when there is none, `pykka.ActorDeadError` when it is dead."""
        self._refs[self._name].tell(message)


def stop_actor(ref: pykka.ActorRef[Any]) -> None:
    """Tell an engine actor to stop, ahead of everything else in its mailbox, unless it was told; does not wait."""
    mailbox: Any = ref.actor_inbox
    if not mailbox.state.needs_no_stop:
        with contextlib.suppress(pykka.ActorDeadError):
            ref.stop(block=False)


def tell_if_alive(ref: Any, message: Any) -> None:
    """Tell an actor something that no longer matters once it has stopped. `None`: there is no such actor."""
    if ref is not None:
        with contextlib.suppress(pykka.ActorDeadError, KeyError):
            ref.tell(message)


class Telling:
    """Tells an actor a message when it is called, if the actor is still alive then: what a timer does.

    Takes a third of the memory of a `functools.partial`; thousands of actors have some.
    """

    __slots__ = ("_message", "_ref")

    def __init__(self, ref: Any, message: Any) -> None:
        self._ref, self._message = ref, message

    def __call__(self) -> None:
        tell_if_alive(self._ref, self._message)


def wait_finished(ref: pykka.ActorRef[Any], timeout: float) -> bool:
    """Whether an engine actor has released everything it holds within `timeout` seconds.

    In the actor's own thread it is `True` at once: the actor ends after it has handled its message.
    """
    mailbox: Any = ref.actor_inbox
    return mailbox.reader == threading.get_ident() or bool(mailbox.finished.wait(max(0.0, timeout)))
