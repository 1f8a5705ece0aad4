"""The engine's events as sentences for people, the newest first, and as a log to download."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from engine.actors.events import (
    AvailabilityChanged,
    BalanceChanged,
    CallFinished,
    EngineWarning,
    KeyChanged,
    OperatorActed,
    OrderChanged,
    PassFinished,
)
from engine.errors import Outcome
from engine.rules.order.order import OrderReceipt
from engine.rules.order.states import OrderState
from engine.web.page.number import amount
from engine.web.page.seen import LoggedEvent

KEPT = 5000
LOOK_BACK = 20  # events among which a call that fails again is counted, and not listed anew


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be said of an event."""

    kind: str
    state: str
    account: str
    text: str


class EventLog:
    """The newest events. Any thread may add and read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: deque[LoggedEvent] = deque(maxlen=KEPT)
        self._number = 0

    def add(self, event: Any, at: datetime) -> None:
        """Take in an event, if it is worth showing."""
        told = told_of(event)
        if told is not None:
            self.note(told, at)

    def note(self, told: Told, at: datetime) -> None:
        """Take in what is to be said; a call that fails again is only counted, and displaces no other."""
        with self._lock:
            known = self._again(told) if told.kind == "call" else None
            times = 1
            if known is not None:
                self._events.remove(known)
                times = known.times + 1
            self._number += 1
            self._events.appendleft(
                LoggedEvent(self._number, at, told.kind, told.state, told.account, told.text, times)
            )

    def newest(self, number: int) -> list[LoggedEvent]:
        """So many of them, the newest first."""
        with self._lock:
            return list(islice(self._events, number))

    def lines(self) -> Iterable[str]:
        """All of them as lines of text, the oldest first."""
        with self._lock:
            events = list(self._events)
        return (_line(each) for each in reversed(events))

    def _again(self, told: Told) -> LoggedEvent | None:
        recent = islice(self._events, LOOK_BACK)
        return next((each for each in recent if (each.kind, each.text) == (told.kind, told.text)), None)


def told_of(event: Any) -> Told | None:
    """What is worth showing of an event; successful reads are not."""
    match event:
        case AvailabilityChanged(is_available=True):
            return Told("available", "good", event.account, f"{event.account} is available.")
        case AvailabilityChanged():
            why = event.reason or "no reason is known."
            return Told("not available", "bad", event.account, f"{event.account} is not available: {why}")
        case KeyChanged():
            state = "good" if event.state == "open" else "bad"
            return Told("key", state, event.account, f"{event.account}: {event.sentence}")
        case PassFinished(report=report):
            state = "good" if report.passed else "warn"
            text = f"{event.account}: {report.outcome} {' '.join(report.reasons)}".strip()
            return Told("gates", state, event.account, text)
        case OrderChanged(receipt=receipt):
            state = "bad" if receipt.state is OrderState.UNKNOWN else "plain"
            return Told("order", state, event.account, _order(receipt))
        case OperatorActed():
            text = f"{event.account}: {event.action}, by {event.who}: {event.sentence}"
            return Told("action", "plain" if event.is_done else "warn", event.account, text)
        case EngineWarning():
            return Told("warning", "warn", "", event.message)
        case BalanceChanged():
            changes = ", ".join(f"{change:+f} {name}" for name, change in sorted(event.changes.items())[:6])
            return Told("balance", "plain", event.account, f"{event.account}: {changes}")
        case CallFinished(outcome=Outcome.DONE) if event.call_class in ("cancel", "order"):
            text = f"{event.account} {event.endpoint}: done in {event.seconds * 1000:.0f} ms."
            return Told("call", "plain", event.account, text)
        case CallFinished(outcome=outcome) if outcome is not Outcome.DONE:
            state = "bad" if outcome is Outcome.UNKNOWN else "warn"
            text = f"{event.account} {event.endpoint}: {outcome.value}. {event.error or ''}".strip()
            return Told("call", state, event.account, text)
    return None


def _order(receipt: OrderReceipt) -> str:
    """Which order it is, and what has become of it."""
    order = receipt.sent or receipt.order
    price = f" at {order.price if isinstance(order.price, str) else amount(order.price)}" if order.price else ""
    what = f"{order.side} {amount(order.volume)} {order.pair} {order.type}{price}"
    filled = f", {amount(receipt.filled)} filled" if receipt.filled else ""
    why = f" {receipt.reason}" if receipt.reason else ""
    return f"{receipt.account} {receipt.id}: {what}: {receipt.state.value}{filled}.{why}"


def _line(event: LoggedEvent) -> str:
    times = f" ({event.times} times)" if event.times > 1 else ""
    return f"{event.at.isoformat(timespec='milliseconds')} {event.kind}: {event.text}{times}\n"
