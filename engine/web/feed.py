"""The messages to the dashboard's clients: one a second, built once for all of them, with the recent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from engine.actors.events import (
    AvailabilityChanged,
    BalanceChanged,
    CallFinished,
    EngineWarning,
    KeyChanged,
    OrderChanged,
    PassFinished,
)
from engine.app.status import EngineStatus
from engine.errors import Outcome
from engine.rules.order.states import OrderState
from engine.values import SYSTEM_CLOCK, Clock
from engine.web.orders import OpenOrders
from engine.web.other_orders import OtherOrders
from engine.web.series import Series
from engine.web.view import View, view_of

EVENTS_KEPT = 100
CLIENTS_AT_MOST = 256
BEHIND_AT_MOST = 8  # messages that a slow client may lag before it is dropped


class Feed:
    """Collects the engine's events, and once a second sends every client what has changed on the page.

    As a subscriber it runs in a thread of the engine's; everything else runs in the thread of the event loop.
    """

    def __init__(self, status: Callable[[], EngineStatus], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._status = status
        self._clock = clock
        self._lock = threading.Lock()
        self._events: deque[dict[str, str]] = deque(maxlen=EVENTS_KEPT)
        self._calls: list[CallFinished] = []
        self._nonces: dict[str, tuple[float, int]] = {}
        self._rates: dict[str, float] = {}
        self._clients: set[asyncio.Queue[bytes | None]] = set()
        self._is_closed = False
        self.series = Series()
        self.orders = OpenOrders()
        self.others = OtherOrders()
        self._shown = view_of(status(), [], {}, [])

    def __call__(self, event: Any) -> None:
        """Take in an event of the engine's."""
        self.orders(event)
        told = _told(event)
        with self._lock:
            if isinstance(event, CallFinished):
                self._calls.append(event)
            if told is not None:
                self._note(*told)

    def _note(self, kind: str, state: str, text: str) -> None:
        """Add an event; a failed call that is listed already is only counted, so that it displaces no other."""
        times = 1
        for known in [each for each in islice(self._events, 20) if kind == "call" and each["told"] == text]:
            self._events.remove(known)
            times = int(known["times"]) + 1
        now = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).isoformat(timespec="milliseconds")
        shown = text if times == 1 else f"{text} ({times} times)"
        self._events.appendleft(
            {"time": now, "kind": kind, "state": state, "text": shown, "told": text, "times": str(times)}
        )

    @property
    def view(self) -> View:
        """What the page shows now."""
        with self._lock:
            events = list(self._events)
        return view_of(self._status(), events, self._rates, self.orders.receipts(),
                       self.others.orders(), self.others.unknown())  # fmt: skip

    @property
    def clients(self) -> int:
        """The number of connected clients."""
        return len(self._clients)

    def join(self) -> asyncio.Queue[bytes | None] | None:
        """A queue of messages: first the whole state, at the end `None`. `None` if there are too many clients."""
        if self._is_closed or len(self._clients) >= CLIENTS_AT_MOST:
            return None
        client: asyncio.Queue[bytes | None] = asyncio.Queue(BEHIND_AT_MOST)
        client.put_nowait(_message(self._shown.to_dict()))
        self._clients.add(client)
        return client

    def leave(self, client: asyncio.Queue[bytes | None]) -> None:
        """Remove a client."""
        self._clients.discard(client)

    def tick(self) -> None:
        """Take a sample for the charts, and tell the clients what has changed since the last time."""
        with self._lock:
            calls, self._calls = self._calls, []
        status = self._status()
        self._count_nonces(status)
        point = self.series.add(status, calls, self._clock.wall_ns() / 1e9)
        before, self._shown = self._shown, self.view
        self._tell(_message({**self._shown.changes(before), "point": point}))

    def close(self) -> None:
        """End every client's stream."""
        self._is_closed = True
        for client in tuple(self._clients):
            self._drop(client)

    def _count_nonces(self, status: EngineStatus) -> None:
        now = self._clock.monotonic()
        for name, key in (status.lane.keys if status.lane else {}).items():
            then, before = self._nonces.get(name, (now, key.nonces))
            if now > then:
                self._rates[name] = (key.nonces - before) / (now - then)
            self._nonces[name] = (now, key.nonces)

    def _tell(self, message: bytes) -> None:
        for client in tuple(self._clients):
            try:
                client.put_nowait(message)
            except asyncio.QueueFull:
                self._drop(client)

    def _drop(self, client: asyncio.Queue[bytes | None]) -> None:
        """End a stream; a client that reconnects gets the whole state again."""
        self._clients.discard(client)
        while not client.empty():
            client.get_nowait()
        client.put_nowait(None)


def _message(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def _told(event: Any) -> tuple[str, str, str] | None:
    """Kind, state and sentence of an event worth showing; successful reads are not."""
    match event:
        case AvailabilityChanged(is_available=True):
            return "available", "good", f"{event.account} is available."
        case AvailabilityChanged():
            return "not available", "bad", f"{event.account} is not available: {event.reason or 'no reason is known.'}"
        case KeyChanged():
            state = "good" if event.state == "open" else "bad"
            return "key", state, f"{event.account}: {event.sentence}"
        case PassFinished(report=report):
            state = "good" if report.passed else "warn"
            return "gates", state, f"{event.account}: {report.outcome} {' '.join(report.reasons)}".strip()
        case OrderChanged(receipt=receipt):
            state = "bad" if receipt.state is OrderState.UNKNOWN else "plain"
            why = f" {receipt.reason}" if receipt.reason else ""
            return "order", state, f"{event.account} {receipt.id}: {receipt.state.value}.{why}"
        case EngineWarning():
            return "warning", "warn", event.message
        case BalanceChanged():
            changes = ", ".join(f"{amount:+f} {name}" for name, amount in list(event.changes.items())[:6])
            return "balance", "plain", f"{event.account}: {changes}"
        case CallFinished(outcome=Outcome.DONE) if event.call_class in ("cancel", "order"):
            return "call", "plain", f"{event.account} {event.endpoint}: done in {event.seconds * 1000:.0f} ms."
        case CallFinished(outcome=outcome) if outcome is not Outcome.DONE:
            state = "bad" if outcome is Outcome.UNKNOWN else "warn"
            return "call", state, f"{event.account} {event.endpoint}: {outcome.value}. {event.error or ''}".strip()
    return None
