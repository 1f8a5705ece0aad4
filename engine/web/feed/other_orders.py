"""Open orders that other programs, or a person, have placed: asked for while somebody looks at the page."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime

from engine.app.served import ServedEngine
from engine.errors import EngineError
from engine.rules.order.open_order import OpenOrder

EACH_AFTER = 30.0  # seconds between two requests for one account: OpenOrders costs two points of its counter
NEVER = float("-inf")
APART = 5.0  # seconds between two requests, so that many accounts do not fill the lane


class OtherOrders:
    """The last known open orders of each account that are not the engine's. Any thread may read them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._orders: dict[str, tuple[OpenOrder, ...]] = {}
        self._unknown: set[str] = set()
        self._opened: dict[str, dict[tuple[str, str], datetime]] = {}
        self._requested: dict[str, float] = {}
        self._last = NEVER

    def due(self, accounts: Iterable[str], now: float) -> str | None:
        """The account to ask for next, by the monotonic clock; `None` while it is too early for any of them."""
        asked = self._requested
        oldest = min(accounts, key=lambda name: asked.get(name, NEVER), default=None)
        if oldest is None or now - self._last < APART or now - asked.get(oldest, NEVER) < EACH_AFTER:
            return None
        self._last = self._requested[oldest] = now
        return oldest

    def look(self, engine: ServedEngine, account: str) -> None:
        """Ask Kraken for an account's open orders; after a failure the last known stay. Waits, and raises nothing."""
        try:
            found = engine.open_orders(account, all=True)
            others = tuple(each for each in found if not each.is_ours)
            opened = {(account, each.txid): each.opened for each in found if each.txid and each.opened}
        except EngineError:
            with self._lock:
                self._unknown.add(account)
            return
        with self._lock:
            self._orders[account], self._opened[account] = others, opened
            self._unknown.discard(account)

    def orders(self) -> list[OpenOrder]:
        """The last known ones, by account."""
        with self._lock:
            return [each for _, orders in sorted(self._orders.items()) for each in orders]

    def opened(self) -> dict[tuple[str, str], datetime]:
        """Since when each order at Kraken is open, ours among them, by account and txid."""
        with self._lock:
            return {name: at for part in self._opened.values() for name, at in part.items()}

    def unknown(self) -> list[str]:
        """The accounts for which Kraken could not be asked the last time."""
        with self._lock:
            return sorted(self._unknown)
