"""The actor that hands events to subscribers, so that a slow or broken one cannot hold up the lane."""

from __future__ import annotations

import logging
from typing import Any

import pykka

from engine.actors.events import BalanceChanged
from engine.actors.runtime.actor import EngineActor
from engine.actors.runtime.mailbox import Mailbox

logger = logging.getLogger(__name__)

COALESCED_FROM = 100  # waiting events


class Subscribe:
    """Adds a subscriber: an actor ref, which is told each event, or a callable, which is called with it."""

    def __init__(self, subscriber: Any) -> None:
        self.subscriber = subscriber


class Unsubscribe(Subscribe):
    """Takes a subscriber away again; does nothing for one that is not subscribed."""


class EventMailbox(Mailbox):
    """An inbox of events, in order. When many wait, an account's balances become one: the newest, with all changes.

    It takes the place of the newest, so an event in between is still delivered before the balance that it led to.
    """

    def __init__(self) -> None:
        super().__init__()
        self._balances: dict[str, Any] = {}  # by account, the envelope that waits

    def put(self, envelope: Any) -> None:
        """Take in an event; never blocks and never raises."""
        event = envelope.message
        if isinstance(event, BalanceChanged):
            with self._lock:
                earlier = self._balances.get(event.account)
                if earlier is not None and self.backlog() > COALESCED_FROM:
                    self._queues[1].remove(earlier)
                    envelope.message = event.after(earlier.message)
                self._balances[event.account] = envelope
                super().put(envelope)
        else:
            super().put(envelope)

    def _take(self) -> Any:
        envelope = super()._take()
        event = getattr(envelope, "message", None)
        if isinstance(event, BalanceChanged) and self._balances.get(event.account) is envelope:
            del self._balances[event.account]
        return envelope


class Publisher(EngineActor):
    """Gives every event to every subscriber, in order. Callables run in its thread; what they raise is logged."""

    @staticmethod
    def _create_actor_inbox() -> EventMailbox:
        return EventMailbox()

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
