"""The placements that are not over, as the engine's events tell of them."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import Any

from engine.actors.events import OrderChanged
from engine.app import Engine
from engine.errors import EngineError
from engine.rules.order.order import OrderReceipt

KEPT = 500


class OpenOrders:
    """A subscriber that knows which placements are open or unsettled. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], OrderReceipt] = {}

    def __call__(self, event: Any) -> None:
        """Take in an event of the engine's."""
        if isinstance(event, OrderChanged):
            self._note(event.receipt)

    def learn(self, engine: Engine) -> None:
        """Ask once for those that an earlier run has left open; an account that cannot be asked is left out."""
        for each in engine.status().accounts:
            with contextlib.suppress(EngineError):
                for receipt in engine.open_orders(each.account):
                    self._note(receipt)

    def receipts(self) -> list[OrderReceipt]:
        """All of them, those that are not settled first."""
        with self._lock:
            return sorted(self._open.values(), key=lambda each: each.state.is_settled)

    def unsettled(self) -> Counter[str]:
        """How many of each account are not settled: whether Kraken has them is not known."""
        return Counter(each.account for each in self.receipts() if not each.state.is_settled)

    def _note(self, receipt: OrderReceipt) -> None:
        key = (receipt.account, receipt.id)
        with self._lock:
            self._open.pop(key, None)
            if not receipt.state.is_over and len(self._open) < KEPT:
                self._open[key] = receipt
