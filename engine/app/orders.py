"""`Engine`'s methods for orders: checks them, hands them to the `OrderActor`, and says how they ended."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType

from engine.actors.lane.attempt import PAUSED
from engine.actors.order.fee_cache import FeeCache
from engine.actors.order.messages import (
    ArmSwitch,
    FindOrder,
    PauseTrading,
    PlaceOrder,
    ResumeTrading,
    UnsettledFunds,
)
from engine.app.accounts import AccountMethods
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
    TradingPaused,
)
from engine.kraken.fees import TRADE_VOLUME
from engine.kraken.key_info import KeyInfo
from engine.kraken.pair_names import market_of
from engine.kraken.refusals import UNLISTED, meaning_of
from engine.rules.order.order import Order, OrderReceipt, check_id
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.rules.order.validation import fit, params_of, reserves

KEY_IS_KNOWN_FOR = 600.0  # seconds until Kraken is asked again what a key may do


class OrderMethods(AccountMethods):
    """The orders of an `Engine`: placed, looked up, and guarded by a dead man's switch. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        super().__init__(state)
        self._live = state.live
        self._client = OrderClient(state)
        self._fees = FeeCache(
            self.submit, self._key_id, bound=state.settings.fee_bound,
            note=state.drift.noter(TRADE_VOLUME), monotonic=state.clock.monotonic,
        )  # fmt: skip
        self._keys: dict[str, tuple[KeyInfo, float]] = {}
        self._lock = threading.Lock()

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
        deadline = self._state.clock.monotonic() + self._state.seconds(timeout)
        name = None if id is None else check_id(id)
        if name is not None and self._live:
            known = self._client.ask(FindOrder(account, name), deadline)
            if known is not None and known.id == name and known.order == order and not known.may_repeat:
                return self._ended(self._client.ask(PlaceOrder(known, self._left(deadline)), deadline))
        plan = self._plan(account, order, name, deadline)
        if not self._live:
            return self._validate(plan, deadline)
        return self._ended(self._client.ask(PlaceOrder(plan, self._left(deadline)), deadline))

    def _check_order(self, account: str, order: Order, timeout: float) -> OrderReceipt:
        """Let Kraken check an order, also on a live engine; nothing is placed. Raises what `place` raises."""
        deadline = self._state.clock.monotonic() + self._state.seconds(timeout)
        return self._validate(self._plan(account, order, None, deadline), deadline)

    def order(self, account: str, id: str) -> OrderReceipt:
        """What is known of a placement, by its id, `cl_ord_id` or txid; without a call. Raises `UnknownName`."""
        deadline = self._state.clock.monotonic() + self._state.settings.call_timeout
        return self._client.find(account, id, deadline).receipt

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """The amounts that placements of unknown outcome may take, by plain asset name; they are not available.

        Infinite for a market buy, whose cost is not known.
        """
        self._state.check_account(account)
        deadline = self._state.clock.monotonic() + self._state.settings.call_timeout
        by_row: dict[str, Decimal] = self._client.ask(UnsettledFunds(account), deadline)
        named: dict[str, Decimal] = {}
        for row, amount in by_row.items():
            asset = self._state.system.plain_name(row)
            named[asset] = named.get(asset, Decimal(0)) + amount
        return MappingProxyType(named)

    def arm(self, account: str, seconds: int = 60, timeout: float | None = None) -> None:
        """Arm the account's dead man's switch (Kraken's CancelAllOrdersAfter), and renew it while the engine is well.

        Kraken cancels **all** open orders of the account, also those placed by hand or by other programs, when it was
        not renewed for `seconds` (3 to 86,399): the engine died, its machine is cut off, or its journal cannot be
        written. It is renewed three times in that time, through the lane. Returns when Kraken has confirmed it; a
        `CallError` says that it has not, and the engine keeps trying until `disarm`.

        It stays armed over a crash: the next live engine on this state directory renews it, with an `EngineWarning`.
        `stop()` disarms it. Disarm it before Kraken's maintenance, during which it cannot be renewed. Raises `NotLive`.
        """
        self._set_switch(account, seconds, timeout)

    def disarm(self, account: str, timeout: float | None = None) -> None:
        """Disarm the account's dead man's switch; returns when Kraken has confirmed it.

        Raises a `CallError` when the first try fails: the disarm is then repeated until it is confirmed, also by the
        next engine on this state directory, and an `EngineWarning` says so.
        """
        self._set_switch(account, 0, timeout)

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """Let no order of the account go out until `resume_trading`, also after a restart. Returns when it is durable.

        From then on `place`, and every call that places or changes an order, raises `TradingPaused` before it is sent;
        a placement that waits in the lane ends as *not sent*. One under way is not stopped, open orders stay open, and
        cancels go on. Everybody who places orders through this engine is kept back: `place`, `call`, plans and the
        gateway. Raises `StoreError` when it cannot be written down; then nothing has changed.
        """
        self._state.check_account(account)
        self._client.ask(PauseTrading(account), self._client.deadline(timeout))

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """Let the account's orders go out again after `pause_trading`; returns when that is durable.

        Does nothing for an account that is not paused. (`resume` is about a key that Kraken refused.) Raises
        `StoreError` when it cannot be written down; then the account stays paused.
        """
        self._state.check_account(account)
        self._client.ask(ResumeTrading(account), self._client.deadline(timeout))

    def _set_switch(self, account: str, seconds: int, timeout: float | None) -> None:
        self._state.check_account(account)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not (seconds == 0 or 3 <= seconds < 86_400):
            raise ConfigError(f"{seconds!r}: a dead man's switch takes a whole number of seconds from 3 to 86399.")
        if seconds and not self._live:
            raise NotLive("A dead man's switch cancels orders, and this engine is not live: start it with live=True.")
        self._client.ask(ArmSwitch(account, seconds), self._state.clock.monotonic() + self._state.seconds(timeout))

    # Before anything is sent

    def _plan(self, account: str, order: Order, name: str | None, deadline: float) -> Placement:
        """The placement, checked. Raises `OrderRejected`, `MarketUnavailable` or `CallNotSent`; nothing was sent."""
        if self._state.system.safeguards.is_paused(account):
            raise TradingPaused(PAUSED.format(account=account, what="the order"), account=account, endpoint="AddOrder")
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
            reserved=reserves(fitted, pair, self._fees.fee(account, pair).rate),
            times={OrderState.PLANNED.value: self._state.clock.wall_ns() / 1e9},
        )

    def _check_key(self, account: str, deadline: float) -> str | None:
        """Whose account the key belongs to at Kraken. Raises `PermissionDenied` for one that may not place orders."""
        key_id = self._state.accounts[account].key_id
        now = self._state.clock.monotonic()
        with self._lock:
            known, since = self._keys.get(key_id, (None, 0.0))
        if known is None or now - since > KEY_IS_KNOWN_FOR or known.order_obstacle is not None:
            known = KeyInfo.of(self.call(account, "GetApiKeyInfo", None, self._left(deadline)))
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
