"""The placements that are not over, as the engine's events tell of them."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from engine.actors.events import OrderChanged
from engine.app.verbs import Verbs
from engine.errors import EngineError
from engine.rules.order.order import OrderReceipt

KEPT = 500  # placements that are settled and open; what is not settled is always kept

_Key = tuple[str, str]


class OpenOrders:
    """A subscriber that knows which placements are open or unsettled. Any thread may ask.

    Beyond `KEPT` open ones, those of which nothing was heard for longest are left out. `now` tells the time.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._since: dict[_Key, datetime] = {}  # of those that are not settled
        self._lock = threading.Lock()
        self._open: dict[_Key, OrderReceipt] = {}  # the one heard of last at the end
        self._heard: set[_Key] = set()
        self._is_learning = False

    def __call__(self, event: Any) -> None:
        """Take in an event of the engine's."""
        if isinstance(event, OrderChanged):
            with self._lock:
                if self._is_learning:
                    self._heard.add(_key(event.receipt))
                self._note(event.receipt)

    def learn(self, engine: Verbs, accounts: Iterable[str] | None = None) -> None:
        """Ask once for those that were left open earlier; an account that cannot be asked is left out.

        What an event tells meanwhile counts more than an answer, which may be older.
        """
        with self._lock:
            self._is_learning = True
        for each in [one.account for one in engine.status().accounts] if accounts is None else accounts:
            with contextlib.suppress(EngineError):
                self._learn(engine.open_orders(each))
        with self._lock:
            self._is_learning = False
            self._heard.clear()

    def receipts(self) -> list[OrderReceipt]:
        """All of them, those that are not settled first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda each: each.state.is_settled)

    def unsettled(self) -> Counter[str]:
        """How many of each account are not settled: whether Kraken has them is not known."""
        return Counter(each.account for each in self.receipts() if not each.state.is_settled)

    def since(self) -> dict[tuple[str, str], datetime]:
        """When each placement that is not settled was first heard of in this run, by account and id."""
        with self._lock:
            return dict(self._since)

    def _learn(self, receipts: tuple[OrderReceipt, ...]) -> None:
        with self._lock:
            for receipt in receipts:
                if _key(receipt) not in self._heard:
                    self._note(receipt)

    def _note(self, receipt: OrderReceipt) -> None:
        self._open.pop(_key(receipt), None)
        if receipt.state.is_settled:
            self._since.pop(_key(receipt), None)
        else:
            self._since.setdefault(_key(receipt), self._now())
        if receipt.state.is_over:
            return
        self._open[_key(receipt)] = receipt
        settled = [key for key, each in self._open.items() if each.state.is_settled]
        for key in settled[: max(0, len(settled) - KEPT)]:
            del self._open[key]


def _key(receipt: OrderReceipt) -> _Key:
    return receipt.account, receipt.id
