"""Kraken's calls that place and cancel, as placements of the engine's (promise G9)."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.adapters.asking import Steps, ask
from engine.adapters.intents import Intents, key_of
from engine.adapters.names import Names, fresh
from engine.app.verbs import Verbs
from engine.errors import (
    CallError,
    CallNotSent,
    CallRefused,
    CallUnknown,
    ConfigError,
    OrderRejected,
    OrderUnknown,
    WrongParameter,
)
from engine.kraken.endpoints import private_endpoint
from engine.kraken.params import CLIENT_ID, ORDERS, canonical
from engine.kraken.refusal_words import code_of
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.order_params import order_of
from engine.rules.order.states import OrderState

UNKNOWN_ORDER = "EOrder:Unknown order"
"""What a cancel gets where there is nothing to cancel: of the two words that Kraken has for it, the one that the
libraries know as such."""
_NOTHING_TO_CANCEL = frozenset({UNKNOWN_ORDER, "EOrder:Invalid order"})
BATCH_AT_LEAST, BATCH_AT_MOST = 2, 15  # orders, by Kraken's reference of AddOrderBatch


class _Row(NamedTuple):
    """One order that is to be placed: what it is, the client's name, and what its retry would look like."""

    order: Order
    client_id: str | None
    key: str


class _Attempt(NamedTuple):
    """A try of an order: under which name, and whether its placement may be there already."""

    key: str
    name: str
    is_again: bool


class Orders:
    """Places and cancels one account's orders. Thread-safe.

    A placement has the client's name, or one of its own. While the host is not told how it ended, the host's retry with
    the same parameters ends at the same placement.
    """

    def __init__(self, account: str) -> None:
        self.names = Names(account)
        self._account, self._names = account, self.names
        self._intents = Intents()

    def place(self, params: Mapping[str, Any], seconds: float) -> Steps[dict[str, Any]]:
        """`AddOrder`. Raises what `Engine.place` raises."""
        row = _row("AddOrder", params)
        attempt = yield from self._begin(row)
        try:
            receipt = yield from ask("place", self._account, row.order, id=attempt.name, timeout=seconds)
        except BaseException as error:
            if not _is_certain(error):
                self._keep([attempt])
            raise
        return _result(receipt)

    def place_batch(self, params: Mapping[str, Any], seconds: float) -> Steps[dict[str, Any]]:
        """`AddOrderBatch`: each order is a placement, one after the other; what is refused is told in its row.

        All are read before the first is placed. When the outcome of one is unknown, the later ones are not placed, and
        a retry of the batch ends at the placements of this one.
        """
        deadline = time.monotonic() + seconds
        told: list[dict[str, Any]] = []
        tried: list[_Attempt] = []
        for row in _rows(params):
            try:
                tried.append((yield from self._begin(row)))
                told.append((yield from self._place_row(row, tried[-1], deadline)))
            except BaseException:
                self._keep(tried)
                raise
        return {"orders": told}

    def _place_row(self, row: _Row, attempt: _Attempt, deadline: float) -> Steps[dict[str, Any]]:
        left = max(0.0, deadline - time.monotonic())
        try:
            receipt = yield from ask("place", self._account, row.order, id=attempt.name, timeout=left)
        except (CallRefused, CallNotSent) as error:
            if attempt.is_again and not _is_certain(error):
                raise OrderUnknown(f"Whether an order of the batch was placed is not known yet. {error}") from None
            return {"error": code_of(error)}
        return _result(receipt) | ({"txid": receipt.txids[0]} if receipt.txids else {})

    def edit(self, params: Mapping[str, Any], seconds: float) -> Steps[Any]:
        """`EditOrder`; where the reply is lost, a look at the order tells the txid that it has now.

        Raises `CallUnknown` where it does not.
        """
        deadline = time.monotonic() + seconds
        txid = str(params.get("txid", ""))
        before = yield from self._names.at_kraken(txid)
        try:
            return (yield from ask("call", self._account, "EditOrder", params, seconds))
        except CallUnknown:
            now = None if before is None else (yield from self._seen(before, max(1.0, deadline - time.monotonic())))
            if now is None or not now.txids or txid in now.txids:
                raise
        return {**_result(now), "txid": now.txids[-1], "originaltxid": txid}

    def _seen(self, known: OrderReceipt, seconds: float) -> Steps[OrderReceipt | None]:
        """An open order after a look at Kraken."""
        with contextlib.suppress(CallError):
            rows = yield from ask("open_orders", self._account, seconds)
            return next((each for each in rows if each.cl_ord_id == known.cl_ord_id), None)
        return None

    def cancel(self, params: Mapping[str, Any], seconds: float) -> Steps[Any]:
        """`CancelOrder`, until the order is seen to be over; one that is not the engine's goes out as it is.

        Raises `OrderRejected` for an order that is over, as Kraken does.
        """
        deadline = time.monotonic() + seconds
        if CLIENT_ID in params:
            found = yield from self._names.receipt(str(params[CLIENT_ID]))
        else:
            found = yield from self._names.at_kraken(str(params.get("txid", "")))
        if found is not None:
            return {"count": (yield from self._cancel_one(found, seconds))}
        count = 0
        for each in (yield from self._marked(str(params.get("txid", "")), seconds)):
            with contextlib.suppress(OrderRejected):
                count += yield from self._cancel_one(each, max(0.0, deadline - time.monotonic()))
        return {"count": count} if count else (yield from self._cancel_another_s(params, seconds))

    def _cancel_one(self, found: OrderReceipt, seconds: float) -> Steps[int]:
        over = found if found.state.is_over else (yield from ask("cancel", self._account, found, seconds))
        if found.state.is_over or over.state is not OrderState.CANCELED:
            raise OrderRejected(f"Order {found.id!r} is over.", kraken_code=UNKNOWN_ORDER, account=self._account)
        return 1

    def _marked(self, userref: str, seconds: float) -> Steps[list[OrderReceipt]]:
        """The open placements that carry a userref, which Kraken takes in the place of a txid."""
        if not userref.removeprefix("-").isdecimal():
            return []
        ours = yield from ask("open_orders", self._account, seconds)
        return [each for each in ours if each.order.userref == int(userref)]

    def _cancel_another_s(self, params: Mapping[str, Any], seconds: float) -> Steps[Any]:
        try:
            return (yield from ask("call", self._account, "CancelOrder", params, seconds))
        except OrderRejected as error:
            if error.kraken_code in _NOTHING_TO_CANCEL:
                error.kraken_code = UNKNOWN_ORDER
            raise

    def cancel_all(self, seconds: float) -> Steps[dict[str, int]]:
        """`CancelAll`."""
        return {"count": (yield from ask("cancel_all", self._account, seconds))}

    def _begin(self, row: _Row) -> Steps[_Attempt]:
        before = self._intents.take(row.key)
        if before is not None:
            return _Attempt(row.key, before, is_again=True)
        name = fresh() if row.client_id is None else (yield from self._names.next(row.client_id))
        return _Attempt(row.key, name, is_again=False)

    def _keep(self, attempts: list[_Attempt]) -> None:
        """The host is not told how these ended: its next try of them takes their names."""
        for each in attempts:
            self._intents.keep(each.key, each.name)


_ORDERS: weakref.WeakKeyDictionary[Verbs, dict[str, Orders]] = weakref.WeakKeyDictionary()
_LOCK = threading.Lock()


def orders_of(engine: Verbs, account: str) -> Orders:
    """The orders of an account, the same for each client of it: a host may make a new client before it tries again."""
    with _LOCK:
        return _ORDERS.setdefault(engine, {}).setdefault(account, Orders(account))


def _is_certain(error: BaseException) -> bool:
    """Whether an error says how the placement ended, and that its name is used up.

    Others may mean that the host's task was cancelled or its thread interrupted, or that nothing was sent this time: a
    name that was not sent may be tried again.
    """
    return isinstance(error, CallRefused | ConfigError) or type(error) is CallNotSent


def _row(endpoint: str, params: Mapping[str, Any]) -> _Row:
    read = canonical(private_endpoint("AddOrder"), params)
    return _Row(order_of(read), read.get(CLIENT_ID), key_of(endpoint, params))


def _rows(params: Mapping[str, Any]) -> list[_Row]:
    """The orders of a batch. Raises `WrongParameter` for what Kraken refuses as a whole."""
    orders = params.get(ORDERS, ())
    if not BATCH_AT_LEAST <= len(orders) <= BATCH_AT_MOST:
        raise WrongParameter(f"A batch has {BATCH_AT_LEAST} to {BATCH_AT_MOST} orders.", name=ORDERS)
    beside = {name: value for name, value in params.items() if name != ORDERS}
    return [_row("AddOrderBatch", {**beside, **each}) for each in orders]


def _result(receipt: OrderReceipt) -> dict[str, Any]:
    """A placement as AddOrder's result; one that Kraken only checked has no txid."""
    described = {"descr": {"order": receipt.description or ""}}
    return described | {"txid": list(receipt.txids)} if receipt.txids else described
