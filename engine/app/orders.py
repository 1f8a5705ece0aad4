"""`Engine`'s methods for orders: checks them, hands them to the `OrderActor`, and says how they ended."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pykka

from engine.actors.order.fee_cache import FeeCache
from engine.actors.order.messages import FindOrder, PlaceBatch, PlaceOrder, UnsettledFunds
from engine.actors.system import ORDERS
from engine.app.accounts import AccountMethods
from engine.app.state import AppState
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    ConfigError,
    DeadlinePassed,
    EngineError,
    EngineStopped,
    OrderUnknown,
    PermissionDenied,
    UnknownName,
)
from engine.kraken.fees import TRADE_VOLUME
from engine.kraken.key_info import KeyInfo
from engine.kraken.pair_names import market_of
from engine.kraken.refusals import UNLISTED, meaning_of
from engine.rules.order.order import Order, OrderReceipt, check_id
from engine.rules.order.own_name import RANDOM_BYTES, own_name
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.rules.order.validation import fit, params_of, reserves

KEY_IS_KNOWN_FOR = 600.0  # seconds until Kraken is asked again what a key may do
JOURNAL_GRACE = 2.0  # seconds that the actor gets beyond a caller's timeout, for its disk
_NO_PLACEMENT = (
    "Account {account} has no placement {name!r} here: name one by its id, cl_ord_id or txid; kraken-engine orders "
    "{account} lists the open ones."
)


class OrderMethods(AccountMethods):
    """The orders of an `Engine`: placed and looked up. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        super().__init__(state)
        self._live = state.live
        self._fees = FeeCache(
            self.submit, self._key_id, bound=state.settings.fee_bound,
            note=state.drift.noter(TRADE_VOLUME), monotonic=state.clock.monotonic,
        )  # fmt: skip
        self._owners: dict[str, tuple[str | None, float]] = {}  # of keys that may place orders, and since when

    def place(
        self, account: str, order: Order, *, id: str | None = None, timeout: float = 30.0
    ) -> OrderReceipt:
        """Place an order: at most one is on the exchange afterwards, whatever is lost on the way.

        The order is checked and rounded first, never beyond what was asked; it is written to disk before it is sent;
        when its outcome is unknown it is looked up and never sent again. `id` (1 to 128 printable characters) names the
        placement: a second call with the same id, even after a restart, ends as the first one did and places nothing,
        unless the first was not sent; then it is another try. An id is remembered for 30 days after its order is over,
        a placement without one for an hour. Without an id every call is a new placement.

        Waits at most `timeout` seconds and two more. Returns the receipt of an order that Kraken has. Raises
        `OrderUnknown` (with the receipt) when the time is over before it is known whether Kraken has the order: how it
        ended is published as `OrderChanged`, and `order()` returns it. Raises `CallNotSent` when nothing was placed
        (`PairUnsettled` while another order on the pair is unknown, `IdInUse` when the id names another order,
        `TradingPaused` after `pause_trading`),
        `OrderRejected` or another `CallRefused` when the engine or Kraken refuses the order, `PermissionDenied` for a
        key that may not look orders up, `ConfigError` for an invalid order or id.

        Without `live=True` Kraken only checks the order; the receipt has `live=False` and is not kept.
        """
        self._state.check_account(account)
        if not isinstance(order, Order):
            raise ConfigError("What is placed is an Order.")
        deadline = self._deadline(timeout)
        name = None if id is None else check_id(id)
        if not self._live:
            return self._validate(self._plan(account, order, name, deadline), deadline)
        plan = self._placed_before(account, order, name, deadline) if self._has_to_ask(account, order.pair) else None
        try:
            plan = plan or self._plan(account, order, name, deadline)
        except EngineError:  # this may refuse a new order; one that was placed keeps its result
            plan = self._placed_before(account, order, name, deadline)
            if plan is None:
                raise
        return self._ended(self._ask(PlaceOrder(plan, self._left(deadline)), deadline))

    def _check_order(self, account: str, order: Order, timeout: float) -> OrderReceipt:
        """Let Kraken check an order, also on a live engine; nothing is placed. Raises what `place` raises."""
        deadline = self._deadline(timeout)
        return self._validate(self._plan(account, order, None, deadline), deadline)

    def order(self, account: str, id: str) -> OrderReceipt:
        """What is known of a placement, by its id, `cl_ord_id` or txid; without a call. Raises `UnknownName`."""
        deadline = self._deadline(None)
        return self._find(account, id, deadline).receipt

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """The amounts that placements of unknown outcome may take, by plain asset name; they are not available.

        Infinite for a market buy, whose cost is not known.
        """
        self._state.check_account(account)
        deadline = self._deadline(None)
        by_row: dict[str, Decimal] = self._ask(UnsettledFunds(account), deadline)
        named: dict[str, Decimal] = {}
        for row, amount in by_row.items():
            asset = self._state.system.plain_name(row)
            named[asset] = named.get(asset, Decimal(0)) + amount
        return MappingProxyType(named)

    # Before anything is sent

    def _placed_before(self, account: str, order: Order, name: str | None, deadline: float) -> Placement | None:
        """The placement of this order that has the caller's name already. Raises `IdInUse` for another order."""
        known: Placement | None = None if name is None else self._ask(FindOrder(account, name), deadline)
        return known if known is not None and known.id == name and known.is_again(order) else None

    def _has_to_ask(self, account: str, pair: str) -> bool:
        """Whether an order on the pair waits for Kraken before it can be checked."""
        return not (self._pairs.is_young(pair) and self._is_key_known(self._key_id(account)))

    def _plan(
        self, account: str, order: Order, name: str | None, deadline: float, client: str | None = None,
        client_id: str | None = None,
    ) -> Placement:  # fmt: skip
        """The placement, checked. Raises `OrderRejected`, `MarketUnavailable` or `CallNotSent`; nothing was sent."""
        self._state.system.safeguards.check_order(account)
        try:
            pair = self._pairs.get(order.pair, self._left(deadline))
            fitted = fit(order, pair)
            owner = self._check_key(account, deadline)
        except CallUnknown as error:  # the check failed, so no order can have been placed
            raise CallNotSent(f"The order could not be checked, so it was not sent: {error}") from None
        cl_ord_id = own_name(secrets.token_bytes(RANDOM_BYTES))
        is_named = name is not None or client_id is not None or (client is not None and order.userref is not None)
        if client is not None:
            name = "/".join((client.partition(".")[2], client_id or "order", cl_ord_id[:8]))
        return Placement(
            account=account,
            id=name or cl_ord_id,
            named=is_named,
            cl_ord_id=cl_ord_id,
            key_id=self._state.accounts[account].key_id,
            owner=owner,
            order=order,
            fitted=fitted,
            pair=market_of(pair),
            params=params_of(fitted, pair),
            reserved=reserves(fitted, pair, self._fees.fee(account, pair).rate),
            times={OrderState.PLANNED.value: self._state.clock.wall_ns() / 1e9},
            client=client,
            client_id=client_id,
        )

    def _check_key(self, account: str, deadline: float) -> str | None:
        """Whose account the key belongs to at Kraken. Raises `PermissionDenied` for one that may not place orders."""
        key_id, now = self._state.accounts[account].key_id, self._state.clock.monotonic()
        if self._is_key_known(key_id):
            return self._owners[key_id][0]
        known = KeyInfo.of(self.call(account, "GetApiKeyInfo", None, self._left(deadline)))
        if known.order_obstacle is not None:
            what, remedy = known.order_obstacle
            raise PermissionDenied(
                f"No order is placed with the key of account {account}: {what}. {remedy} on Kraken's API page.",
                account=account, endpoint="AddOrder",
            )  # fmt: skip
        self._owners[key_id] = (known.owner, now)
        return known.owner

    def _is_key_known(self, key_id: str) -> bool:
        """Whether Kraken has told in the last minutes that the key may place orders."""
        _, since = self._owners.get(key_id, (None, -math.inf))
        return self._state.clock.monotonic() - since <= KEY_IS_KNOWN_FOR

    def _validate(self, plan: Placement, deadline: float) -> OrderReceipt:
        """Kraken checks the order, exactly as a live one is sent, and does nothing."""
        params = {**plan.params, **plan.kraken_name.filter(), "validate": True}
        try:
            accept_in = self._state.settings.order_deadline
            result = self._call(plan.account, "AddOrder", params, self._left(deadline), deadline_in=accept_in)
        except CallUnknown as error:
            sentence = f"Kraken did not say whether it would take the order: {error}"
            raise CallNotSent(sentence, kraken_code=error.kraken_code) from None
        described = result.get("descr")
        return OrderReceipt(
            plan.id, plan.account, plan.order, OrderState.NOT_PLACED, cl_ord_id=plan.cl_ord_id, live=False,
            description=described.get("order") if isinstance(described, dict) else None, sent=plan.fitted,
            reason="Kraken only checked it, and placed nothing.",
        )  # fmt: skip

    # The way to the actor. Deadlines are moments of the monotonic clock.

    def _deadline(self, timeout: float | None) -> float:
        """Until when a caller is willing to wait. Raises `ConfigError` for an invalid timeout."""
        return self._state.clock.monotonic() + self._state.seconds(timeout)

    def _seconds_left(self, deadline: float) -> float:
        """Seconds until then; 0 when it is over."""
        return max(0.0, deadline - self._state.clock.monotonic())

    def _find(self, account: str, receipt: OrderReceipt | str, deadline: float) -> Placement:
        """A placement by its receipt, id or txid. Raises `UnknownName`."""
        self._state.check_account(account)
        name = receipt.cl_ord_id if isinstance(receipt, OrderReceipt) else receipt
        row: Placement | None = self._ask(FindOrder(account, name), deadline)
        if row is None:
            raise UnknownName(_NO_PLACEMENT.format(account=account, name=str(name)[:140]), account=account)
        return row

    def _ask(self, message: Any, deadline: float) -> Any:
        """The answer to a message. Raises what it raises, `EngineStopped`, or that there was no answer in time."""
        try:
            return self._state.ref(ORDERS).ask(message, timeout=self._seconds_left(deadline) + JOURNAL_GRACE)
        except pykka.ActorDeadError:
            raise EngineStopped("The engine is not running.") from None
        except pykka.Timeout:
            if isinstance(message, PlaceOrder | PlaceBatch):
                receipt = (message.plan if isinstance(message, PlaceOrder) else message.plans[0]).receipt
                raise OrderUnknown("The journal does not answer: look the order up.", receipt) from None
            raise DeadlinePassed("The journal of orders does not answer.") from None
        except CallError as error:
            raise error.about(getattr(message, "account", None), "AddOrder") from None

    # After that

    @staticmethod
    def _ended(row: Placement) -> OrderReceipt:
        """The receipt, or the error that says why there is no order."""
        match row.state:
            case OrderState.PLACED | OrderState.CLOSED | OrderState.CANCELED:
                return row.receipt
            case OrderState.REFUSED:
                error = (meaning_of(row.code or "") or UNLISTED).error
                raise error(row.reason or "Kraken refused the order.", kraken_code=row.code, account=row.account)
            case OrderState.NOT_PLACED:
                raise CallNotSent(f"Order {row.id!r} was not placed: {row.reason}", account=row.account)
            case _:
                raise OrderUnknown(
                    f"Whether order {row.id!r} was placed is not known yet: it is looked up, and an OrderChanged will "
                    f"say. Do not place it again. {row.reason or ''}".strip(),
                    row.receipt, account=row.account, endpoint="AddOrder",
                )  # fmt: skip

    def _key_id(self, account: str) -> str:
        known = self._state.accounts.get(account)
        return known.key_id if known else ""  # it was removed meanwhile

    def _left(self, deadline: float) -> float:
        left = deadline - self._state.clock.monotonic()
        if left <= 0:
            raise DeadlinePassed("The time was over before the order could be sent.")
        return left
