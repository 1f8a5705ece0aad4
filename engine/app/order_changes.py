"""The service for orders that were placed: what is open, and how it is amended and canceled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engine.actors.order.messages import (
    CancelAllCame,
    CancelAllComes,
    CancelPlacement,
    LookNow,
    OrderAmended,
    WhoseOrders,
)
from engine.actors.order.submission import rfc3339
from engine.app.calls import CallService
from engine.app.order_client import OrderClient
from engine.app.state import AppState
from engine.errors import CallError, CallUnknown, ConfigError, DeadlinePassed, OrderRejected, OrderUnknown
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.rules.order.validation import amend_params, fit

_OPEN = (
    "Kraken canceled {count} orders of account {account}, and what became of {ids} is not known: {they} may come to "
    "the exchange late, and is canceled then."
)


class OrderChangeService:
    """Lists, amends and cancels orders for `Engine`, which says what is guaranteed. Thread-safe."""

    def __init__(self, state: AppState, calls: CallService, client: OrderClient) -> None:
        self._state, self._calls, self._client = state, calls, client

    def cancel(self, account: str, receipt: OrderReceipt | str, timeout: float | None) -> OrderReceipt:
        """`Engine.cancel`."""
        deadline = self._client.deadline(timeout)
        row = self._client.find(account, receipt, deadline)
        wish = CancelPlacement(row.cl_ord_id, self._client.left(deadline))
        row = self._client.ask(wish, deadline) or row
        return row.receipt

    def cancel_all(self, account: str, timeout: float | None) -> int:
        """`Engine.cancel_all`."""
        self._state.check_account(account)
        deadline = self._client.deadline(timeout)
        names = self._client.ask(CancelAllComes(account), deadline)
        try:
            result = self._calls.call(account, "CancelAll", None, self._client.left(deadline))
        except CallError:
            self._client.ask(CancelAllCame(account, names, None, 0.0), deadline)
            raise
        told = result.get("count")
        count = told if isinstance(told, int) else 0
        came = CancelAllCame(account, names, count, self._client.left(deadline))
        unknown: list[Placement] = self._client.ask(came, deadline)
        if unknown:
            ids, they = ", ".join(repr(row.id) for row in unknown), "it" if len(unknown) == 1 else "each of them"
            told = _OPEN.format(count=count, account=account, ids=ids, they=they)
            raise OrderUnknown(told, unknown[0].receipt, account=account, endpoint="CancelAll")
        return count

    def open(self, account: str, timeout: float | None) -> tuple[OrderReceipt, ...]:
        """`Engine.open_orders`."""
        self._state.check_account(account)
        deadline = self._client.deadline(timeout)
        return tuple(row.receipt for row in self._client.ask(LookNow(account), deadline))

    def open_of_all(self, account: str, timeout: float | None) -> tuple[OpenOrder, ...]:
        """`Engine.open_orders` with `all=True`."""
        self._state.check_account(account)
        deadline = self._client.deadline(timeout)
        rows = self._calls.call(account, "OpenOrders", None, self._client.left(deadline)).get("open")
        if not isinstance(rows, dict):
            raise CallUnknown("Kraken's list of open orders cannot be read.", account=account, endpoint="OpenOrders")
        readable = {txid: row if isinstance(row, dict) else {} for txid, row in rows.items()}
        names = {txid: str(row["cl_ord_id"]) if row.get("cl_ord_id") else None for txid, row in readable.items()}
        ours, unlisted = self._client.ask(WhoseOrders(account, names), deadline)
        listed = [OpenOrder.listed(account, txid, row, ours.get(txid)) for txid, row in readable.items()]
        return (*listed, *(OpenOrder.unlisted(row) for row in unlisted))

    def amend(
        self, account: str, receipt: OrderReceipt | str, changes: dict[str, Any], timeout: float | None
    ) -> OrderReceipt:
        """`Engine.amend`."""
        deadline = self._client.deadline(timeout)
        changes = {name: value for name, value in changes.items() if value is not None}
        if not changes:
            raise ConfigError("An amend changes something: give it a price, a volume, or both.")
        row = self._client.find(account, receipt, deadline)
        _check_open(row)
        sent = self._fitted(row, changes, deadline)
        params = amend_params(row.fitted, sent)
        if not params:
            return row.receipt
        try:
            asked = {"txid": row.txids[0], **params}
            self._calls.call(account, "AmendOrder", asked, self._left(deadline), at_send=self._deadline)
        except CallUnknown as error:
            return self._looked_up(row, sent, deadline, error)
        row = self._client.ask(OrderAmended(row.cl_ord_id, sent), deadline) or row
        return row.receipt

    def _fitted(self, row: Placement, changes: dict[str, Any], deadline: float) -> Order:
        """The order as it is to be, as the pair takes it."""
        pair = self._calls.pairs.get(row.fitted.pair, self._left(deadline))
        return fit(replace(row.fitted, **changes), pair)

    def _looked_up(self, row: Placement, sent: Order, deadline: float, error: CallUnknown) -> OrderReceipt:
        """Kraken did not say whether it has amended the order: its row tells."""
        found: dict[str, Placement] = {}
        if self._client.left(deadline) > 0:
            rows: list[Placement] = self._client.ask(LookNow(row.account), deadline)
            found = {each.cl_ord_id: each for each in rows}
        now = found.get(row.cl_ord_id)
        if now is not None and not amend_params(now.fitted, sent):
            return now.receipt
        told = f"Whether order {row.id!r} is amended is not known; its receipt tells it when Kraken does. {error}"
        raise OrderUnknown(told, (now or row).receipt, account=row.account, endpoint="AmendOrder") from None

    def _deadline(self, kraken: float | None) -> dict[str, str]:
        """After that moment Kraken does not amend it any more."""
        return {} if kraken is None else {"deadline": rfc3339(kraken + self._state.settings.order_deadline)}

    def _left(self, deadline: float) -> float:
        left = self._client.left(deadline)
        if left <= 0:
            raise DeadlinePassed("The time was over before the amend could be sent.")
        return left


def _check_open(row: Placement) -> None:
    if not row.state.is_settled:
        told = f"Whether order {row.id!r} was placed is not known yet, so it was not amended."
        raise OrderUnknown(told, row.receipt, account=row.account, endpoint="AmendOrder")
    if row.state is not OrderState.PLACED or row.cancel_wanted or len(row.txids) != 1:
        state = "being canceled" if row.state is OrderState.PLACED else row.state.value
        raise OrderRejected(f"Order {row.id!r} is {state}, so it was not amended.", account=row.account)
