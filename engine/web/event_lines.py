"""The engine's events for programs that follow them: bounded for each, so that a slow one costs only itself."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from engine.actors.events import EngineWarning
from engine.app.remote import codec

KEPT = 10_000  # events that wait for one program
_LOST = "This program reads too slowly: {count} events are lost here, the oldest of those that waited for it."


class EventLines:
    """The events for one program, as lines: a subscriber. Beyond `KEPT` the oldest are lost, and counted."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._lock = threading.Lock()
        self._events: deque[Any] = deque()
        self._lost = 0
        self._is_over = False

    def __call__(self, event: Any) -> None:
        """Take an event. Run by the publisher's thread."""
        with self._lock:
            if len(self._events) >= KEPT:
                self._events.popleft()
                self._lost += 1
            self._events.append(event)
        self._wake()

    def end(self) -> None:
        """The service ends: what waits is still sent to a program that reads."""
        self._is_over = True
        self._wake()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The events, until the end."""
        while True:
            while (event := self._next()) is not None:
                yield line(event)
            if self._is_over:
                return
            await self._arrived.wait()
            self._arrived.clear()

    def _next(self) -> Any:
        with self._lock:
            if self._lost:
                count, self._lost = self._lost, 0
                return EngineWarning("events-dropped", _LOST.format(count=count))
            return self._events.popleft() if self._events else None

    def _wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._arrived.set)


def line(value: Any) -> bytes:
    """A value as a line."""
    return codec.write(value) + b"\n"
