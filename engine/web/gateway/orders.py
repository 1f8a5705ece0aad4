"""AddOrder and AddOrderBatch of the gateway's clients as placements, which go through the journal (promise G9)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from engine.app.served import ServedEngine
from engine.errors import CallError, CounterFull, NotLive, WrongParameter
from engine.kraken.params import CLIENT_ID, CLOSE, ORDERS, USERREF
from engine.kraken.refusal_words import UNAVAILABLE, code_of
from engine.rules.order.order import Order
from engine.rules.order.order_params import order_of
from engine.rules.order.placement import Placement
from engine.web.gateway.order_reads import Client
from engine.web.gateway.turns import Turns

PLACED_AT_ONCE = 50  # orders that wait for their end; more wait for these
PLACES = frozenset({"AddOrder", "AddOrderBatch"})
SHORTEST = 0.01  # seconds until another try
FEWEST, MOST = 2, 15  # orders of a batch (Kraken's reference of AddOrderBatch)


class OrderDesk:
    """Places the orders of the gateway's clients. Lives in the thread of the event loop.

    An order goes on if its client disconnects: the journal has it. What our own count of Kraken's counters holds back
    is tried again within the client's time.
    """

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine
        self._turns = Turns()
        self._placing = ThreadPoolExecutor(PLACED_AT_ONCE, "kraken-engine gateway")

    async def answer(self, client: Client, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The result of that endpoint; `params` as `canonical` leaves them. Raises an `EngineError`."""
        if not self._engine.live:
            raise NotLive("The engine is not live, so it places no order: start it with --live.")
        if name == "AddOrder":
            return await self._one(client, params)
        return await self._batch(client, params)

    def close(self) -> None:
        """Take no more orders."""
        self._placing.shutdown(wait=False)

    async def _one(self, client: Client, params: Mapping[str, Any]) -> dict[str, Any]:
        order, name = _asked(params)
        place = partial(self._engine.place_for, client.key, name, client.account, order)
        row: Placement = await self._in_time(client, place)
        close = {CLOSE: row.close_description} if row.close_description else {}
        return {"descr": {"order": row.description or "", **close}, "txid": list(row.txids)}

    async def _batch(self, client: Client, params: Mapping[str, Any]) -> dict[str, Any]:
        rows = params.get(ORDERS) or []
        if not FEWEST <= len(rows) <= MOST:
            raise WrongParameter(f"A batch has {FEWEST} to {MOST} orders; this one has {len(rows)}.", name=ORDERS)
        shared = {name: value for name, value in params.items() if name not in (ORDERS, "validate")}
        asked = [_asked({**row, **shared}) for row in rows]
        place = partial(self._engine.place_batch_for, client.key, asked, client.account)
        placed: Sequence[Placement | CallError] = await self._in_time(client, place)
        return {ORDERS: [_row(each) for each in placed]}

    async def _in_time(self, client: Client, place: Any) -> Any:
        """Place, again where our count of a counter of Kraken's was full and falls within the client's time."""
        while True:
            left = max(0.0, client.deadline - time.monotonic())
            try:
                async with self._turns.turn(client.key, client.deadline):
                    return await asyncio.get_running_loop().run_in_executor(self._placing, partial(place, left))
            except CounterFull as error:
                pause = error.retry_after or 0.0
                if time.monotonic() + pause >= client.deadline:
                    raise
            await asyncio.sleep(max(pause, SHORTEST))


def _asked(params: Mapping[str, Any]) -> tuple[Order, str | None]:
    """The order and the client's name for it. Kraken takes a `cl_ord_id` or a `userref`, not both."""
    if CLIENT_ID in params and USERREF in params:
        raise WrongParameter("An order has a cl_ord_id or a userref, and not both.", name=USERREF)
    name = params.get(CLIENT_ID)
    return order_of(params), None if name is None else str(name)


def _row(ended: Placement | CallError) -> dict[str, Any]:
    """One order of a batch as Kraken's reply has it."""
    if isinstance(ended, CallError):
        return {"error": code_of(ended)}
    if not ended.txids:
        return {"error": UNAVAILABLE}  # Kraken has no such order
    close = {CLOSE: ended.close_description} if ended.close_description else {}
    return {"txid": ended.txids[0], "descr": {"order": ended.description or ""}, **close}
