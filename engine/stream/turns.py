"""Whose turn it is to connect: accounts with orders first, as many as the machine's budget allows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from engine.stream.budget import ConnectionBudget

AT_ONCE = 8  # connections under way: their tokens come through the lane, one after the other
LOOK_AGAIN = 30.0  # seconds at most between two looks at the budget, which other engines use as well


class Turns:
    """Lives in the push thread's loop. `first` names the accounts that have open or unknown orders."""

    def __init__(self, budget: ConnectionBudget, first: Callable[[], Collection[str]]) -> None:
        self._budget, self._first = budget, first
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._under_way = 0
        self._timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """The block begins when it is the account's turn, and there is room for an attempt."""
        mine = self._waiting[account] = asyncio.get_running_loop().create_future()
        self._look()
        try:
            await mine
        except asyncio.CancelledError:
            self._waiting.pop(account, None)
            if mine.done() and not mine.cancelled():
                self._under_way -= 1
                self._look()
            raise
        try:
            yield
        finally:
            self._under_way -= 1
            self._look()

    def end(self) -> None:
        """Nobody gets a turn any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if not self._waiting or self._under_way >= AT_ONCE:
            return
        room = min(self._budget.room, AT_ONCE) - self._under_way
        for account in self._in_order()[: max(0, room)]:
            self._under_way += 1
            self._waiting.pop(account).set_result(None)
        if self._waiting and room <= 0 and self._under_way == 0:
            self._look_in(min(max(self._budget.wait, 0.05), LOOK_AGAIN))

    def _look_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _in_order(self) -> list[str]:
        first = self._first()
        return sorted(self._waiting, key=lambda account: account not in first)
