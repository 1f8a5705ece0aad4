"""The one question that needs a real order: how soon Kraken's lists show it, and how soon they drop it.

The order is the smallest possible, post-only, at half of the bid, and canceled right after. It goes through the
engine's own `place` and `cancel`, so that at most one can ever be on the exchange.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Mapping
from typing import Any

from engine.app import Engine
from engine.errors import CallError, CallRefused, CallUnknown, EngineError, OrderUnknown
from engine.kraken.drift import field_name
from engine.kraken.fact_readings import Reading
from engine.kraken.facts import NotSettled
from engine.rules.order.order import Order, OrderReceipt
from engine.values import Clock, Settings

PATIENCE = 10.0  # seconds for one call
LOOK_EVERY = 2.0
PLACE_WITHIN = 30.0


class PlaceProbe:
    """Places one order and cancels it. `pause`: seconds between two looks."""

    def __init__(
        self, engine: Engine, account: str, settings: Settings, clock: Clock, pause: float = LOOK_EVERY
    ) -> None:
        self._engine, self._account, self._settings, self._clock = engine, account, settings, clock
        self._pause = pause
        self._stop = threading.Event()

    def ask(self, order: Order) -> Reading:
        """Place, list, cancel, cancel again, list. Raises `NotSettled`, or the error of the failed call.

        Whatever fails, the order is canceled, or the error says that it may still be open.
        """
        name = f"settle-{uuid.uuid4().hex[:12]}"
        began = self._clock.monotonic()
        try:
            receipt = self._engine.place(self._account, order, id=name, timeout=PLACE_WITHIN)
        except OrderUnknown:
            self._cancel(name)
            raise NotSettled("Whether the order was placed was not known in time; it was canceled.") from None
        try:
            shown, row = self._listed("OpenOrders", "open", receipt, began)
        finally:
            self._cancel(name)
        gone_from = self._clock.monotonic()
        second = self._second_cancel(receipt)
        closed, _ = self._listed("ClosedOrders", "closed", receipt, gone_from)
        echo = "with our name" if _has_name(row, receipt) else "without our name"
        seen = (
            f"OpenOrders showed it {_after(shown)}, {echo}, with the fields "
            f"{', '.join(map(field_name, sorted(row))) or 'none'}; "
            f"a second cancel was answered with {second}; ClosedOrders showed it {_after(closed)}."
        )
        return ("late" if shown is None else "seen"), seen

    def _cancel(self, name: str) -> None:
        try:
            self._engine.cancel(self._account, name, PATIENCE)
        except EngineError as error:
            raise CallUnknown(
                f"The order {name!r} could not be canceled ({error}): cancel it on Kraken's page now."
            ) from None

    def _listed(
        self, endpoint: str, under: str, receipt: OrderReceipt, began: float
    ) -> tuple[float | None, Mapping[str, Any]]:
        """Seconds until a list shows the order by its id, and its row; `None` when it does not in time."""
        while self._clock.monotonic() - began < self._settings.settle_margin:
            rows: Any = {}
            with contextlib.suppress(CallError):
                rows = self._engine.call(self._account, endpoint, None, PATIENCE).get(under)
            found = [rows[txid] for txid in receipt.txids if isinstance(rows, Mapping) and txid in rows]
            if found and isinstance(found[0], Mapping):
                return self._clock.monotonic() - began, found[0]
            self._stop.wait(self._pause)
        return None, {}

    def _second_cancel(self, receipt: OrderReceipt) -> str:
        """Kraken's answer to a cancel of an order that is gone."""
        try:
            self._engine.call(self._account, "CancelOrder", {"txid": receipt.txids[0]}, PATIENCE)
        except CallRefused as error:
            return repr(error.kraken_code)
        except EngineError as error:
            return f"nothing ({error})"
        return "done"


def _has_name(row: Mapping[str, Any], receipt: OrderReceipt) -> bool:
    return str(row.get("cl_ord_id") or "").replace("-", "").lower() == receipt.cl_ord_id


def _after(seconds: float | None) -> str:
    return "not at all in that time" if seconds is None else f"after {seconds:.1f} s"
