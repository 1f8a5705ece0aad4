"""The actor that hands events to subscribers, so that a slow or broken one cannot hold up the lane."""

from __future__ import annotations

import logging
from typing import Any

import pykka

from engine.actors.actor import EngineActor

logger = logging.getLogger(__name__)


class Subscribe:
    """Adds a subscriber: an actor ref, which is told each event, or a callable, which is called with it."""

    def __init__(self, subscriber: Any) -> None:
        self.subscriber = subscriber


class Unsubscribe(Subscribe):
    """Takes a subscriber away again; one that is not there is no error."""


class Publisher(EngineActor):
    """Gives every event to every subscriber, in order. Callables run in this actor's thread and are contained."""

    def __init__(self) -> None:
        super().__init__()
        self._subscribers: list[Any] = []

    def on_receive(self, message: Any) -> None:
        """Take in a subscriber, or pass an event on."""
        match message:
            case Unsubscribe(subscriber=subscriber):
                self._subscribers = [each for each in self._subscribers if each != subscriber]
            case Subscribe(subscriber=subscriber):
                self._subscribers.append(subscriber)
            case _:
                for subscriber in tuple(self._subscribers):
                    self._give(subscriber, message)

    def _give(self, subscriber: Any, event: Any) -> None:
        try:
            if isinstance(subscriber, pykka.ActorRef):
                subscriber.tell(event)
            else:
                subscriber(event)
        except BaseException as error:  # a SystemExit here would end every actor of the host
            if isinstance(subscriber, pykka.ActorRef) and isinstance(error, pykka.ActorDeadError):
                self._subscribers.remove(subscriber)
            else:
                logger.warning("A subscriber failed on %s.", type(event).__name__, exc_info=True)
