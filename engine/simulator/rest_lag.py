"""A REST that tells one account's past: its balances and its orders as they were some seconds ago."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from engine.simulator.book_order import BookOrder
from engine.simulator.wallet import Rows


class RestLag:
    """What an account was, remembered from the moment when REST began to lag. The exchange holds its lock.

    `now` is the exchange's time, `rows` the balances now, `orders` the orders now.
    """

    def __init__(
        self, seconds: float, now: Callable[[], float], rows: Callable[[], Rows], orders: Callable[[], list[BookOrder]]
    ) -> None:
        self._seconds, self._now, self._rows, self._orders = seconds, now, rows, orders
        self._past: list[tuple[float, Rows, list[BookOrder]]] = []
        self.note("", [])

    def note(self, _: str, __: list[dict[str, Any]]) -> None:
        """Something has happened."""
        copies = [
            replace(each, misc=set(each.misc), fills=list(each.fills), amendments=list(each.amendments))
            for each in self._orders()
        ]
        self._past.append((self._now(), self._rows(), copies))

    @property
    def rows(self) -> Rows:
        """The balances that REST tells now."""
        return self._told()[1]

    @property
    def orders(self) -> list[BookOrder]:
        """The orders that REST tells now."""
        return self._told()[2]

    def _told(self) -> tuple[float, Rows, list[BookOrder]]:
        latest = self._now() - self._seconds
        return next((each for each in reversed(self._past) if each[0] <= latest), self._past[0])
