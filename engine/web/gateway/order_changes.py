"""The calls that change and cancel orders, by the names that the client gave them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool

from engine.actors.lane.messages import CallDone
from engine.app.served import ServedEngine
from engine.errors import CallError, OrderRejected, WrongParameter
from engine.kraken.params import ORDERS
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.web.gateway.calls import Calls
from engine.web.gateway.names import CLIENT_ID, USERREF, OrderNames
from engine.web.gateway.order_reads import Client

AT_ONCE = 50  # orders that one CancelOrderBatch takes
CHANGES = frozenset({"CancelOrder", "CancelOrderBatch", "AmendOrder", "EditOrder"})
UNKNOWN_ORDER = "EOrder:Unknown order"
_CLIENT_IDS = "cl_ord_ids"
_NO_CALL: Any = None  # an answer that belongs to no call alone


class OrderChanges:
    """Makes the calls of `CHANGES`. Lives in the thread of the event loop."""

    def __init__(self, engine: ServedEngine, calls: Calls, names: OrderNames) -> None:
        self._engine, self._calls, self._names = engine, calls, names

    async def answer(self, client: Client, name: str, params: Mapping[str, Any]) -> CallDone:
        """The answer of that endpoint. Raises a `CallError`."""
        match name:
            case "CancelOrder" if _is_number(number := params.get("txid", params.get(USERREF))):
                return _some(await self._cancel(client, [number], []))
            case "CancelOrderBatch":
                return await self._cancel(client, _listed(params, ORDERS), _listed(params, _CLIENT_IDS))
            case "CancelOrder" if CLIENT_ID in params and "txid" not in params:
                return await self._cancel_named(client, params)
            case _:
                return await self._call(client, name, await self._one(client, params))

    async def _one(self, client: Client, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters with Kraken's name of the order in place of the client's."""
        known: Placement | None = None
        if CLIENT_ID in params and "txid" not in params:
            known = await self._named(client, params[CLIENT_ID])
        elif _is_number(params.get("txid")):
            marked = await self._names.open(client.account, client.key, USERREF, int(params["txid"]))
            known = marked[0] if len(marked) == 1 else None
        if known is None or not known.txids:
            return params
        rest = {name: value for name, value in params.items() if name != CLIENT_ID}
        return {**rest, "txid": known.txids[-1]}

    async def _named(self, client: Client, name: Any) -> Placement | None:
        """The client's order of that name: the open one, else the last that Kraken had."""
        here = await self._names.open(client.account, client.key, CLIENT_ID, str(name))
        if here:
            return here[0]
        rows = await self._names.all(client.account, client.key, CLIENT_ID, str(name))
        return next((row for row in rows if row.txids), None)

    async def _cancel_named(self, client: Client, params: Mapping[str, Any]) -> CallDone:
        known = await self._named(client, params[CLIENT_ID])
        if known is not None and not known.txids:
            return await self._withdraw(client, known)
        return await self._call(client, "CancelOrder", await self._one(client, params))

    async def _withdraw(self, client: Client, row: Placement) -> CallDone:
        """Cancel a placement of which it is not known yet whether Kraken has it; it is not placed any more then."""
        left = max(0.0, client.deadline - time.monotonic())
        receipt = await run_in_threadpool(self._engine.cancel, client.account, row.id, left)
        if receipt.state in (OrderState.CANCELED, OrderState.NOT_PLACED):
            return CallDone(_NO_CALL, {"count": 1})
        raise OrderRejected(f"The order is {receipt.state.value}.", kraken_code=UNKNOWN_ORDER)

    async def _cancel(self, client: Client, orders: Sequence[Any], client_ids: Sequence[Any]) -> CallDone:
        """Cancel orders by txid, `userref` and `cl_ord_id`; what is counted is what Kraken has canceled."""
        there: list[Any] = [each for each in orders if not _is_number(each)]
        numbers = [int(each) for each in orders if _is_number(each)]
        placed: list[Placement] = []
        for number in numbers:
            placed += await self._names.open(client.account, client.key, USERREF, number)
        named: list[Any] = []
        for name in client_ids:
            known = await self._names.open(client.account, client.key, CLIENT_ID, str(name))
            placed += known
            named += [] if known else [name]
        early = [row for row in placed if not row.txids]
        there += [txid for row in placed for txid in row.txids]
        batches = [{ORDERS: there[at : at + AT_ONCE]} for at in range(0, len(there), AT_ONCE)]
        if named:
            batches.append({_CLIENT_IDS: named})
        cancels: list[Callable[[], Awaitable[CallDone]]] = [partial(self._withdraw, client, row) for row in early]
        cancels += [self._batch(client, each) for each in batches]
        cancels += [partial(self._call, client, "CancelOrder", {"txid": str(number)}) for number in numbers]
        return await _summed(cancels)

    def _batch(self, client: Client, params: Mapping[str, Any]) -> Callable[[], Awaitable[CallDone]]:
        """A cancel of several orders; one order is canceled as CancelOrder does it, which says when there is none."""
        orders = params.get(ORDERS, ())
        if len(orders) == 1:
            return partial(self._call, client, "CancelOrder", {"txid": orders[0]})
        return partial(self._call, client, "CancelOrderBatch", params)

    async def _call(self, client: Client, name: str, params: Mapping[str, Any]) -> CallDone:
        return await self._calls.make(client.account, name, params, client.deadline)


async def _summed(cancels: Sequence[Callable[[], Awaitable[CallDone]]]) -> CallDone:
    """Make these cancels. That one of them finds no order is an error only when none of them finds one."""
    done: list[CallDone] = []
    nothing: CallError | None = None
    for cancel in cancels:
        try:
            done.append(await cancel())
        except OrderRejected as error:
            nothing = error
    if not done and nothing is not None:
        raise nothing
    return _sum(done)


def _some(done: CallDone) -> CallDone:
    """CancelOrder by a number that no open order bears is an error, as at Kraken."""
    if not done.result.get("count") and not done.result.get("pending"):
        raise OrderRejected("No open order has this userref.", kraken_code=UNKNOWN_ORDER)
    return done


def _sum(done: Sequence[CallDone]) -> CallDone:
    if not done:
        raise WrongParameter("No order is named.", name=ORDERS)
    results = [each.result for each in done if isinstance(each.result, Mapping)]
    counts = [each.get("count") for each in results]
    total: dict[str, Any] = {"count": sum(count for count in counts if isinstance(count, int))}
    if any(each.get("pending") for each in results):
        total["pending"] = True
    return CallDone(done[0].call, total, tuple(warning for each in done for warning in each.warnings))


def _is_number(name: Any) -> bool:
    """Whether a `userref` stands in the place of a txid."""
    if isinstance(name, bool):
        return False
    text = str(name) if isinstance(name, int | str) else ""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= 10


def _listed(params: Mapping[str, Any], name: str) -> list[Any]:
    """The names in a list of CancelOrderBatch, which may be given as objects."""
    found = params.get(name)
    told = list(found) if isinstance(found, list | tuple) else []
    return [next(iter(each.values()), None) if isinstance(each, Mapping) else each for each in told]
