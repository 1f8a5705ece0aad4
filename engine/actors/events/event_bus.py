"""The way of an event from any thread to the engine and its subscribers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pykka

from engine.actors.events import (
    AvailabilityChanged,
    BalanceChanged,
    CallFinished,
    EngineWarning,
    KeyChanged,
    OrderChanged,
    OrderFilled,
    PassFinished,
)
from engine.actors.runtime.actor import tell_if_alive
from engine.rules.order.states import OrderState

PUBLISHER = "events"  # the name of the actor that hands events to subscribers
EVENTS_AT_MOST = 10_000  # waiting for a slow subscriber

_NOTICED = (EngineWarning, KeyChanged, PassFinished)  # the events that an engine keeps the last of
_MARKED = (AvailabilityChanged, OrderChanged, OrderFilled)  # those that the history may mark


class EventBus:
    """Takes in events from any thread and never waits.

    `refs` has the `Publisher` under its name, while it runs. `subscribers` is the engine's own list, which it changes
    as they come and go. Before them, `notice` is called with those events that the engine keeps, and `mark` with what
    the history of balances marks.
    """

    def __init__(
        self,
        refs: Mapping[str, pykka.ActorRef[Any]],
        subscribers: Sequence[Any],
        notice: Callable[[Any], None],
        mark: Callable[[Any], None],
    ) -> None:
        self._refs, self._subscribers, self._notice, self._mark = refs, subscribers, notice, mark
        self._is_dropping = False

    def publish(self, event: Any) -> None:
        """Give an event to the engine, where it keeps such events, and to every subscriber."""
        if isinstance(event, _NOTICED):
            self._notice(event)
        elif isinstance(event, _MARKED) and _is_marked(event):
            self._mark(event)
        if self._subscribers:  # without subscribers no actor is woken
            self._pass_on(event)

    def _pass_on(self, event: Any) -> None:
        publisher = self._refs.get(PUBLISHER)
        if publisher is not None and self._has_room(publisher, event):
            tell_if_alive(publisher, event)

    def _has_room(self, publisher: pykka.ActorRef[Any], event: Any) -> bool:
        """Whether subscribers keep up: beyond a bound events are dropped, so that a hung subscriber takes no memory.

        Balance events are kept, since at most one waits for each account; other events have twice the room of finished
        calls.
        """
        mailbox: Any = publisher.actor_inbox
        waiting = mailbox.backlog()
        is_full = waiting >= EVENTS_AT_MOST
        if is_full and not self._is_dropping:
            self._notice(EngineWarning("events-dropped", "A subscriber does not keep up: events are dropped."))
        self._is_dropping = is_full
        if isinstance(event, CallFinished):
            return not is_full
        return isinstance(event, BalanceChanged) or waiting < 2 * EVENTS_AT_MOST


def _is_marked(event: Any) -> bool:
    """That an order was placed is all that the history says of it, beside what was filled."""
    return not isinstance(event, OrderChanged) or event.receipt.state is OrderState.PLACED
