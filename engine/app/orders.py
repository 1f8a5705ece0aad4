"""The service for orders: checks them, hands them to the `OrderActor`, and says how they ended."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from engine.actors.order.fee_cache import FeeCache
from engine.actors.order.messages import ArmSwitch, FindOrder, PlaceOrder, UnsettledFunds
from engine.actors.order.submission import rfc3339
from engine.app.calls import CallService
from engine.app.order_client import OrderClient
from engine.app.state import AppState
from engine.errors import (
    CallNotSent,
    CallUnknown,
    ConfigError,
    DeadlinePassed,
    NotLive,
    OrderUnknown,
    PermissionDenied,
)
from engine.kraken.fees import TRADE_VOLUME
from engine.kraken.key_info import KeyInfo
from engine.kraken.pair_names import market_of
from engine.kraken.refusals import UNLISTED, meaning_of
from engine.rules.order.order import Order, OrderReceipt, check_id
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.rules.order.validation import fit, params_of, reserves
from engine.values import Pair

KEY_IS_KNOWN_FOR = 600.0  # seconds until Kraken is asked again what a key may do


class OrderService:
    """Places and tells of orders for `Engine`, which says what is guaranteed. Thread-safe."""

    def __init__(self, state: AppState, calls: CallService, client: OrderClient, *, live: bool) -> None:
        self._state, self._calls, self._client, self._live = state, calls, client, live
        self._pairs = calls.pairs
        self.fees = FeeCache(
            calls.submit, self._key_id, bound=state.settings.fee_bound,
            note=state.drift.noter(TRADE_VOLUME), monotonic=state.clock.monotonic,
        )  # fmt: skip
        self._keys: dict[str, tuple[KeyInfo, float]] = {}
        self._lock = threading.Lock()

    def place(self, account: str, order: Order, name: str | None, timeout: float) -> OrderReceipt:
        """`Engine.place`."""
        self._state.check_account(account)
        if not isinstance(order, Order):
            raise ConfigError("What is placed is an Order.")
        deadline = self._state.clock.monotonic() + self._state.seconds(timeout)
        name = None if name is None else check_id(name)
        if name is not None and self._live:
            known = self._client.ask(FindOrder(account, name), deadline)
            if known is not None and known.id == name and known.order == order and not known.may_repeat:
                return self._ended(self._client.ask(PlaceOrder(known, self._left(deadline)), deadline))
        plan = self._plan(account, order, name, deadline)
        if not self._live:
            return self._validate(plan, deadline)
        return self._ended(self._client.ask(PlaceOrder(plan, self._left(deadline)), deadline))

    def check(self, account: str, order: Order, timeout: float) -> OrderReceipt:
        """Let Kraken check an order, also where the engine is live; nothing is placed. Raises as `place` does."""
        deadline = self._state.clock.monotonic() + self._state.seconds(timeout)
        return self._validate(self._plan(account, order, None, deadline), deadline)

    def find(self, account: str, name: str) -> OrderReceipt:
        """`Engine.order`."""
        deadline = self._state.clock.monotonic() + self._state.settings.call_timeout
        return self._client.find(account, name, deadline).receipt

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """`Engine.reserved`."""
        self._state.check_account(account)
        deadline = self._state.clock.monotonic() + self._state.settings.call_timeout
        by_row: dict[str, Decimal] = self._client.ask(UnsettledFunds(account), deadline)
        named: dict[str, Decimal] = {}
        for row, amount in by_row.items():
            asset = self._state.system.plain_name(row)
            named[asset] = named.get(asset, Decimal(0)) + amount
        return MappingProxyType(named)

    def arm(self, account: str, seconds: int, timeout: float | None) -> None:
        """`Engine.arm` and `Engine.disarm`."""
        self._state.check_account(account)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not (seconds == 0 or 3 <= seconds < 86_400):
            raise ConfigError(f"{seconds!r}: a dead man's switch takes a whole number of seconds from 3 to 86399.")
        if seconds and not self._live:
            raise NotLive("A dead man's switch cancels orders, and this engine is not live: start it with live=True.")
        self._client.ask(ArmSwitch(account, seconds), self._state.clock.monotonic() + self._state.seconds(timeout))

    def pair(self, name: str, timeout: float | None) -> Pair:
        """The facts of a pair. Raises `OrderRejected` when there is none, else how Kraken could not be asked."""
        return self._pairs.get(name, self._state.seconds(timeout))

    # Before anything is sent

    def _plan(self, account: str, order: Order, name: str | None, deadline: float) -> Placement:
        """The placement, checked. Raises `OrderRejected`, `MarketUnavailable` or `CallNotSent`; nothing was sent."""
        try:
            pair = self._pairs.get(order.pair, self._left(deadline))
            fitted = fit(order, pair)
            owner = self._check_key(account, deadline)
        except CallUnknown as error:  # a question that was not answered is no order that may have been placed
            raise CallNotSent(f"The order could not be checked, so it was not sent: {error}") from None
        cl_ord_id = uuid.uuid4().hex
        return Placement(
            account=account,
            id=name or cl_ord_id,
            named=name is not None,
            cl_ord_id=cl_ord_id,
            key_id=self._state.accounts[account].key_id,
            owner=owner,
            order=order,
            fitted=fitted,
            pair=market_of(pair),
            params=params_of(fitted, pair),
            reserved=reserves(fitted, pair, self.fees.fee(account, pair).rate),
            times={OrderState.PLANNED.value: self._state.clock.wall_ns() / 1e9},
        )

    def _check_key(self, account: str, deadline: float) -> str | None:
        """Whose account the key belongs to at Kraken. Raises `PermissionDenied` for one that may not place orders."""
        key_id = self._state.accounts[account].key_id
        now = self._state.clock.monotonic()
        with self._lock:
            known, since = self._keys.get(key_id, (None, 0.0))
        if known is None or now - since > KEY_IS_KNOWN_FOR or known.order_obstacle is not None:
            known = KeyInfo.of(self._calls.call(account, "GetApiKeyInfo", None, self._left(deadline)))
            with self._lock:
                self._keys[key_id] = (known, now)
        if known.order_obstacle is not None:
            what, remedy = known.order_obstacle
            raise PermissionDenied(
                f"No order is placed with the key of account {account}: {what}. {remedy} on Kraken's API page.",
                account=account, endpoint="AddOrder",
            )  # fmt: skip
        return known.owner

    def _validate(self, plan: Placement, deadline: float) -> OrderReceipt:
        """Kraken checks the order, exactly as a live one is sent, and does nothing."""
        params = {**plan.params, "cl_ord_id": plan.cl_ord_id, "validate": True}
        try:
            result = self._calls.call(plan.account, "AddOrder", params, self._left(deadline), at_send=self._deadline)
        except CallUnknown as error:
            sentence = f"Kraken did not say whether it would take the order: {error}"
            raise CallNotSent(sentence, kraken_code=error.kraken_code) from None
        described = result.get("descr")
        return OrderReceipt(
            plan.id, plan.account, plan.order, OrderState.NOT_PLACED, cl_ord_id=plan.cl_ord_id, live=False,
            description=described.get("order") if isinstance(described, dict) else None, sent=plan.fitted,
            reason="Kraken only checked it, and placed nothing.",
        )  # fmt: skip

    def _deadline(self, kraken: float | None) -> dict[str, str]:
        """The deadline of an order that only Kraken checks; none while Kraken's time is not known."""
        return {} if kraken is None else {"deadline": rfc3339(kraken + self._state.settings.order_deadline)}

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
