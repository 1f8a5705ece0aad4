"""Whose turn it is to connect: accounts with orders first, as many as the machine's budget allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from engine.stream.budget import ConnectionBudget

AT_ONCE = 8  # connections under way: their tokens come through the lane, one after the other
SOON = 0.5  # seconds between two looks while room is kept for others
LOOK_AGAIN = 30.0  # seconds at most between two looks at the budget, which other engines use as well
PRICES = ""
"""In the place of an account, and the name of none: the one connection for prices. It serves every account, so it comes
before those without orders."""


class ConnectionTurns:
    """Lives in the push thread's loop. `urgent` names the accounts that have orders and no stream that is believed.

    What room is left is kept for those, also for one that does not wait yet: it pauses after a failure.
    """

    def __init__(self, budget: ConnectionBudget, urgent: Callable[[], Collection[str]]) -> None:
        self._budget, self._urgent = budget, urgent
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """The block begins when it is the account's turn, and there is room for an attempt."""
        mine = self._waiting[account] = asyncio.get_running_loop().create_future()
        self._look_in(0.0)  # when all that begin at this moment wait
        try:
            await mine
        except asyncio.CancelledError:
            self._waiting.pop(account, None)
            if mine.done() and not mine.cancelled():
                self._under_way -= 1
                self._look_in(0.0)
            raise
        try:
            yield
        finally:
            self._under_way -= 1
            self._look_in(0.0)

    def end(self) -> None:
        """Give no more turns."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Give turns to those who may have one; look again when that may have changed."""
        if not self._waiting or self._under_way >= AT_ONCE:
            return
        urgent = set(self._urgent())
        room = self._budget.room - self._under_way
        for account in sorted(self._waiting, key=lambda each: (each not in urgent, each != PRICES)):
            urgent.discard(account)
            if room - len(urgent) <= 0 or self._under_way >= AT_ONCE:
                break
            room -= 1
            self._under_way += 1
            self._waiting.pop(account).set_result(None)
        if self._waiting and self._under_way == 0:
            self._look_in(min(max(self._budget.wait, SOON), LOOK_AGAIN))

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)
