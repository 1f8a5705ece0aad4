"""`Engine`'s methods for orders that were placed: what is open, and how it is amended and canceled."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal, overload

from engine.actors.order.messages import (
    CancelAllCame,
    CancelAllComes,
    CancelPlacement,
    LookNow,
    OpenByStream,
    OrderAmended,
    WhoseOrders,
)
from engine.app.safeguards import SafeguardMethods
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


class OrderChangeMethods(SafeguardMethods):
    """The open orders of an `Engine`: listed, amended and canceled. Thread-safe."""

    def cancel(
        self, account: str, receipt: OrderReceipt | str, timeout: float | None = None
    ) -> OrderReceipt:
        """Cancel a placement, named by its receipt, id or txid; returns what became of it: it is over then.

        The cancel is sent again within `timeout` seconds (`Settings.call_timeout`) until Kraken has done it or the
        order is seen to be over: done twice, it is as if it were done once. The receipt may be *closed* when the order
        was filled before, and *not placed* when it had not been sent. It is not final (`is_final`) while what was
        filled is not read: an `OrderChanged` says when it is.

        Raises `OrderUnknown` when the order may still be open when the time is over: the wish is kept, also over a
        restart, and carried out as soon as it can be, and when the order comes to the exchange late. Raises
        `UnknownName` for what was not placed here, and a `CallRefused` when the key may not cancel.
        """
        deadline = self._deadline(timeout)
        row = self._find(account, receipt, deadline)
        wish = CancelPlacement(row.cl_ord_id, self._seconds_left(deadline))
        row = self._ask(wish, deadline) or row
        return row.receipt

    def cancel_all(self, account: str, timeout: float | None = None) -> int:
        """Cancel every open order of the account, also those placed elsewhere; how many, as Kraken counts them.

        A placement that still waits in the lane ends as *not sent*. One that is not known to be at Kraken or not is
        waited for within `timeout` seconds (`Settings.call_timeout`); `OrderUnknown` then names those that may still
        come, and each is canceled when it does, also after a restart. Raises a `CallError` when CancelAll itself did
        not go through; the placements of this engine are then canceled one by one.
        """
        self._state.check_account(account)
        deadline = self._deadline(timeout)
        names = self._ask(CancelAllComes(account), deadline)
        try:
            result = self.call(account, "CancelAll", None, self._seconds_left(deadline))
        except CallError:
            self._ask(CancelAllCame(account, names, None, 0.0), deadline)
            raise
        told = result.get("count")
        count = told if isinstance(told, int) else 0
        came = CancelAllCame(account, names, count, self._seconds_left(deadline))
        unknown: list[Placement] = self._ask(came, deadline)
        if unknown:
            ids, they = ", ".join(repr(row.id) for row in unknown), "it" if len(unknown) == 1 else "each of them"
            told = _OPEN.format(count=count, account=account, ids=ids, they=they)
            raise OrderUnknown(told, unknown[0].receipt, account=account, endpoint="CancelAll")
        return count

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[False] = False
    ) -> tuple[OrderReceipt, ...]: ...

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[True]
    ) -> tuple[OpenOrder, ...]: ...

    def open_orders(
        self, account: str, timeout: float | None = None, *, all: bool = False
    ) -> tuple[OrderReceipt, ...] | tuple[OpenOrder, ...]:
        """The placements of this engine that are not over, after a look at Kraken; the oldest first.

        Also those whose outcome is unknown. With `all=True` every open order of the account as an `OpenOrder`, also
        those placed by hand, by other programs or by `call`: `is_ours` tells them apart. With push, also those that
        Kraken's list does not have yet, and without those that it still has. Raises a `CallError` when
        Kraken cannot be asked.
        """
        if all:
            return self._all_open_orders(account, timeout)
        self._state.check_account(account)
        deadline = self._deadline(timeout)
        return tuple(row.receipt for row in self._ask(LookNow(account), deadline))

    def _all_open_orders(self, account: str, timeout: float | None) -> tuple[OpenOrder, ...]:
        self._state.check_account(account)
        deadline = self._deadline(timeout)
        rows = self.call(account, "OpenOrders", None, self._seconds_left(deadline)).get("open")
        if not isinstance(rows, dict):
            raise CallUnknown("Kraken's list of open orders cannot be read.", account=account, endpoint="OpenOrders")
        readable = {txid: row if isinstance(row, dict) else {} for txid, row in rows.items()}
        names = {txid: str(row["cl_ord_id"]) if row.get("cl_ord_id") else None for txid, row in readable.items()}
        told, over = self._ask(OpenByStream(account, frozenset(names)), deadline)
        streamed = told if self._state.system.push.is_live(account) else {}
        names |= {txid: each.cl_ord_id for txid, each in streamed.items()}
        ours, unlisted = self._ask(WhoseOrders(account, names), deadline)
        listed = [OpenOrder.listed(account, txid, row, ours.get(txid)) for txid, row in readable.items()
                  if txid not in over]  # fmt: skip
        listed += [OpenOrder.streamed(account, each, ours.get(txid)) for txid, each in streamed.items()
                   if txid not in ours or not ours[txid].state.is_over]  # fmt: skip
        return (*listed, *(OpenOrder.unlisted(row) for row in unlisted))

    def amend(
        self,
        account: str,
        receipt: OrderReceipt | str,
        price: str | int | Decimal | None = None,
        volume: str | int | Decimal | None = None,
        *,
        price2: str | int | Decimal | None = None,
        display_volume: str | int | Decimal | None = None,
        timeout: float | None = None,
    ) -> OrderReceipt:
        """Change an open placement, named by its receipt, id or txid; it stays the same order (Kraken's AmendOrder).

        Prices and volumes are those of `Order`, rounded as `place` does; the volume is that of the whole order, what
        was filled included, and one below that cancels the rest. `None` leaves a part as it is. The receipt's `sent`
        tells what the order is for now.

        Raises `OrderUnknown` when it is not known in time whether it was amended: the receipt tells it as soon as
        Kraken's list does, and an `OrderChanged`. Raises `OrderRejected` or another `CallRefused` when we or Kraken
        refuse it, `CallNotSent` when nothing was sent, `ConfigError` for amounts that are none, `UnknownName`.
        """
        asked = {"price": price, "volume": volume, "price2": price2, "display_volume": display_volume}
        deadline = self._deadline(timeout)
        changes: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
        if not changes:
            raise ConfigError("An amend changes something: give it a price, a volume, or both.")
        row = self._find(account, receipt, deadline)
        _check_open(row)
        sent = self._fitted(row, changes, deadline)
        params = amend_params(row.fitted, sent)
        if not params:
            return row.receipt
        try:
            accept_in = self._state.settings.order_deadline
            params = {"txid": row.txids[0], **params}
            self._call(account, "AmendOrder", params, self._left_to_amend(deadline), deadline_in=accept_in)
        except CallUnknown as error:
            return self._looked_up(row, sent, deadline, error)
        row = self._ask(OrderAmended(row.cl_ord_id, sent), deadline) or row
        return row.receipt

    def _fitted(self, row: Placement, changes: dict[str, Any], deadline: float) -> Order:
        """The order as it is to be, as the pair takes it."""
        pair = self._pairs.get(row.fitted.pair, self._left_to_amend(deadline))
        return fit(replace(row.fitted, **changes), pair)

    def _looked_up(self, row: Placement, sent: Order, deadline: float, error: CallUnknown) -> OrderReceipt:
        """Kraken did not say whether it has amended the order: its row tells."""
        found: dict[str, Placement] = {}
        if self._seconds_left(deadline) > 0:
            rows: list[Placement] = self._ask(LookNow(row.account), deadline)
            found = {each.cl_ord_id: each for each in rows}
        now = found.get(row.cl_ord_id)
        if now is not None and not amend_params(now.fitted, sent):
            return now.receipt
        told = f"Whether order {row.id!r} is amended is not known; its receipt tells it when Kraken does. {error}"
        raise OrderUnknown(told, (now or row).receipt, account=row.account, endpoint="AmendOrder") from None

    def _left_to_amend(self, deadline: float) -> float:
        left = self._seconds_left(deadline)
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
