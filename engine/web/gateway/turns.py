"""Each client of the gateway has one order at a time on its way into the lane, so that all have the same share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.errors import DeadlinePassed

LONGEST = 1.0  # seconds of a turn: an order whose outcome is looked up holds up no other of its client's


class Turns:
    """The turns of the clients. Lives in the thread of the event loop."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def turn(self, client: str, deadline: float) -> AsyncIterator[None]:
        """A client's turn, at most `LONGEST` seconds long. Raises `DeadlinePassed` (`deadline`: monotonic)."""
        lock = self._locks.setdefault(client, asyncio.Lock())
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                await lock.acquire()
        except TimeoutError:
            raise DeadlinePassed("The order's time was over before the turn of its client came.") from None
        is_over = asyncio.Event()

        def end() -> None:
            if not is_over.is_set():
                is_over.set()
                lock.release()

        timer = asyncio.get_running_loop().call_later(LONGEST, end)
        try:
            yield
        finally:
            timer.cancel()
            end()
