"""The names of orders, as a client of the gateway gives them and as Kraken has them.

Kraken knows an order of the gateway's by a name of the engine's. Here the client's `cl_ord_id` and `userref` stand in
its place again. They are one client's own: an order of another client's has no name here, and an order that was placed
elsewhere has the one that Kraken tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from engine.app.served import ServedEngine
from engine.rules.order.own_name import is_own, same
from engine.rules.order.placement import Placement

CLIENT_ID, USERREF = "cl_ord_id", "userref"
Row = Mapping[str, Any]
Rows = Mapping[str, Any]


class OrderNames:
    """Translates for the clients of one engine. Lives in the thread of the event loop; `client` is a gateway key."""

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine

    async def named(self, account: str, client: str, rows: Rows, order_of: str | None = None) -> dict[str, Any]:
        """Rows of orders by txid with the client's names; with `order_of`, rows that name their order in that field."""
        readable = {name: row for name, row in rows.items() if isinstance(row, Mapping)}
        txids = {name: name if order_of is None else str(row.get(order_of)) for name, row in readable.items()}
        asked = {txids[name]: _own_name(row) for name, row in readable.items()}
        found = await self._placements(account, asked) if asked else {}
        return {
            name: self._row(row, found.get(txids.get(name, "")), client, is_order=order_of is None)
            if name in readable else row
            for name, row in rows.items()
        }  # fmt: skip

    async def open(self, account: str, client: str, param: str, value: str | int) -> list[Placement]:
        """The client's placements of that name that are not over; of a `userref` also those placed in the process."""
        return await self._of(account, client, param, value, is_open=True)

    async def all(self, account: str, client: str, param: str, value: str | int) -> list[Placement]:
        """The same, also those that are over; the newest first."""
        return await self._of(account, client, param, value, is_open=False)

    async def _of(self, account: str, client: str, param: str, value: str | int, *, is_open: bool) -> list[Placement]:
        clients: Iterable[str | None] = (client,) if param == CLIENT_ID else (client, None)
        found: list[Placement] = []
        for each in clients:
            found += await run_in_threadpool(
                self._engine.placements_of, account, each, param, value, is_open=is_open
            )
        return found

    async def _placements(self, account: str, names: Mapping[str, str | None]) -> Mapping[str, Placement]:
        return await run_in_threadpool(self._engine.placements, account, names)

    @staticmethod
    def _row(row: Row, placement: Placement | None, client: str, *, is_order: bool) -> Row:
        if placement is None:
            return {**row, CLIENT_ID: None} if is_own(row.get(CLIENT_ID)) else row
        is_clients = placement.client == client
        names = {
            CLIENT_ID: placement.client_id if is_clients else None,
            USERREF: _userref(row, placement) if is_clients or placement.client is None else None,
        }
        if not is_order:  # a trade of Kraken's has neither, so only a name that was given is added
            names = {name: value for name, value in names.items() if value is not None or name in row}
        return {**row, **names}


def fits(row: Any, wanted: Mapping[str, str | int]) -> bool:
    """Whether a row, with the client's names, is one of those that are asked for."""
    if not isinstance(row, Mapping):
        return not wanted
    name, number = row.get(CLIENT_ID), row.get(USERREF)
    if CLIENT_ID in wanted and not (isinstance(name, str) and same(name) == same(str(wanted[CLIENT_ID]))):
        return False
    return USERREF not in wanted or number == wanted[USERREF]


def _own_name(row: Row) -> str | None:
    name = row.get(CLIENT_ID)
    return name if is_own(name) else None


def _userref(row: Row, placement: Placement) -> int | None:
    """What the client gave it; after an edit that gave it another number, that one."""
    told, ours = row.get(USERREF), placement.kraken_name
    if isinstance(told, int) and told and not (ours.param == USERREF and told == ours.value):
        return told
    return placement.order.userref
