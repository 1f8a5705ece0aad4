"""Asks the `OrderActor` on behalf of callers, and tells how the asking itself failed."""

from __future__ import annotations

from typing import Any

import pykka

from engine.actors.order.messages import FindOrder, PlaceBatch, PlaceOrder
from engine.actors.system import ORDERS
from engine.app.state import AppState
from engine.errors import CallError, DeadlinePassed, EngineStopped, OrderUnknown, UnknownName
from engine.rules.order.order import OrderReceipt
from engine.rules.order.placement import Placement

ANSWER_GRACE = 2.0  # seconds that the actor gets beyond a caller's timeout, for its disk


class OrderClient:
    """The way to the placements of an engine. Thread-safe. Deadlines are moments of the monotonic clock."""

    def __init__(self, state: AppState) -> None:
        self._state = state

    def deadline(self, timeout: float | None) -> float:
        """Until when a caller is willing to wait. Raises `ConfigError` for an invalid timeout."""
        return self._state.clock.monotonic() + self._state.seconds(timeout)

    def left(self, deadline: float) -> float:
        """Seconds until then; 0 when it is over."""
        return max(0.0, deadline - self._state.clock.monotonic())

    def find(self, account: str, receipt: OrderReceipt | str, deadline: float) -> Placement:
        """A placement by its receipt, id or txid. Raises `UnknownName`."""
        self._state.check_account(account)
        name = receipt.cl_ord_id if isinstance(receipt, OrderReceipt) else receipt
        row: Placement | None = self.ask(FindOrder(account, name), deadline)
        if row is None:
            raise UnknownName(f"Account {account} has no placement {str(name)[:140]!r} here.", account=account)
        return row

    def ask(self, message: Any, deadline: float) -> Any:
        """The answer to a message. Raises what it raises, `EngineStopped`, or that there was no answer in time."""
        try:
            return self._state.ref(ORDERS).ask(message, timeout=self.left(deadline) + ANSWER_GRACE)
        except pykka.ActorDeadError:
            raise EngineStopped("The engine is not running.") from None
        except pykka.Timeout:
            if isinstance(message, PlaceOrder | PlaceBatch):
                receipt = (message.plan if isinstance(message, PlaceOrder) else message.plans[0]).receipt
                raise OrderUnknown("The journal does not answer: look the order up.", receipt) from None
            raise DeadlinePassed("The journal of orders does not answer.") from None
        except CallError as error:
            raise error.about(getattr(message, "account", None), "AddOrder") from None
