"""`Engine`'s methods for the orders of the gateway's clients, each of which has names of its own for them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from engine.actors.order.messages import ClientOrders, FindOrders, LookNow, PlaceBatch, PlaceOrder
from engine.app.orders import OrderMethods
from engine.errors import CallError, IdInUse
from engine.rules.order.order import Order
from engine.rules.order.own_name import same
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState


class ClientOrderMethods(OrderMethods):
    """The orders of clients. Thread-safe. A client is named by its gateway key."""

    def check_account(self, account: str) -> None:
        """Raise `UnknownName` for an account that this engine does not have. Never waits."""
        self._state.check_account(account)

    def place_for(
        self, client: str, client_id: str | None, account: str, order: Order, timeout: float
    ) -> Placement:
        """Place an order for a client of the gateway, whose key is `client` and whose own name for it is `client_id`.

        The name is one among that client's orders that are not over, as at Kraken: for another order it raises
        `IdInUse`, for the same one it gives what is there. Otherwise like `place` of a live engine.
        """
        self._state.check_account(account)
        deadline = self._state.clock.monotonic() + self._state.seconds(timeout)
        known = None if client_id is None else self._open_named(account, client, client_id, deadline)
        if known is not None and known.order != order:
            raise IdInUse(f"The name {client_id!r} is that of another open order of this client.", account=account)
        plan = known or self._plan(account, order, None, deadline, client, client_id)
        row: Placement = self._ask(PlaceOrder(plan, self._left(deadline)), deadline)
        self._ended(row)
        return row

    def place_batch_for(
        self, client: str, asked: Sequence[tuple[Order, str | None]], account: str, timeout: float
    ) -> list[Placement | CallError]:
        """Place orders on one pair with one call, for a client of the gateway; each with its name, if it has one.

        Returns for each order its placement, or why Kraken refused it. Raises what `place_for` raises when none of
        them is placed, and `OrderUnknown` when it is not known of one in time.
        """
        self._state.check_account(account)
        deadline = self._state.clock.monotonic() + self._state.seconds(timeout)
        names = [same(name) for _, name in asked if name is not None]
        if len(set(names)) < len(names):
            raise IdInUse("Two orders of the batch have one name: give each its own.", account=account)
        for name in names:
            self._open_named(account, client, name, deadline)
        plans = tuple(self._plan(account, order, None, deadline, client, name) for order, name in asked)
        ended: list[Placement | CallError] = self._ask(PlaceBatch(plans, self._left(deadline)), deadline)
        first = ended[0]
        if isinstance(first, CallError) and all(each is first for each in ended):
            raise first
        for each in ended:
            if isinstance(each, Placement) and not each.state.is_settled:
                self._ended(each)
        return ended

    def _open_named(self, account: str, client: str, client_id: str, deadline: float) -> Placement | None:
        """The client's placement of that name that is not over; Kraken is asked before one counts as open."""
        asked = ClientOrders(account, client, "cl_ord_id", client_id, is_open=True)
        found: list[Placement] = self._ask(asked, deadline)
        if found and found[0].state is OrderState.PLACED:
            with contextlib.suppress(CallError):  # then what is known counts
                self._ask(LookNow(account), deadline)
            found = self._ask(asked, deadline)
        return found[0] if found else None

    def placements(self, account: str, names: Mapping[str, str | None]) -> Mapping[str, Placement]:
        """The placements of orders at Kraken, by txid; `names` has the `cl_ord_id` that Kraken has for each, if any."""
        deadline = self._deadline(None)
        found: dict[str, Placement] = self._ask(FindOrders(account, names), deadline)
        return found

    def placements_of(
        self, account: str, client: str | None, param: str, value: str | int, *, is_open: bool
    ) -> list[Placement]:
        """The placements to which a client has given this `cl_ord_id` or `userref`; the newest first."""
        asked = ClientOrders(account, client, param, value, is_open)
        found: list[Placement] = self._ask(asked, self._deadline(None))
        return found
