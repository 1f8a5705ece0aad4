"""How it is found out what became of an order: which calls are made, and what their answers mean together.

An steps is a generator: it yields a call and is sent that call's `result`, and returns what it found. A call that
fails ends it, with nothing found out. So the rules are here, and the calls with their time and place elsewhere.

An order can be missing from the lists for a moment, and a lost request may still be under way to the exchange. So that
an order is *absent* is only what a thorough steps says that began when Kraken takes the order no more.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.errors import CallUnknown
from engine.rules.order.states import OrderEvent

PAGE = 50  # rows in a reply of Kraken's history calls; QueryOrders takes as many names
PAGES_AT_MOST = 1000
SLACK = 3600.0  # seconds before it was sent from which history is asked for: clocks differ

Call = tuple[str, dict[str, Any]]
LookupSteps = Generator[Call, Any, "Mapping[str, Found]"]
Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Found:
    """An order as Kraken's lists have it."""

    txid: str
    event: OrderEvent
    filled: Decimal
    cost: Decimal
    fee: Decimal
    reason: str | None
    description: str | None


def look_up(cl_ord_id: str, sent: float, *, thorough: bool) -> LookupSteps:
    """The orders with that name of ours, by txid: first the open ones, then the closed ones, since that way they move.

    `sent`: Kraken's time when it went out. `thorough`: look through the account's trades as well.
    """
    found = _named(_rows((yield "OpenOrders", {"cl_ord_id": cl_ord_id}), "open"), cl_ord_id)
    start = int(sent - SLACK)
    if not found:
        asked = {"cl_ord_id": cl_ord_id, "start": start}
        found = _named((yield from _pages("ClosedOrders", asked, "closed")), cl_ord_id)
    if not found and thorough:
        trades = yield from _pages("TradesHistory", {"cl_ord_id": cl_ord_id, "start": start}, "trades")
        traded = {str(row["ordertxid"]) for row in trades.values() if row.get("ordertxid")}
        found = _named((yield from _query(sorted(traded))), cl_ord_id)
    return _found(found)


def follow(txids: Sequence[str]) -> LookupSteps:
    """What became of these orders: one look at the open ones, and a closer one at those that are not among them."""
    rows = _rows((yield "OpenOrders", {}), "open")
    still_open = {txid: rows[txid] for txid in txids if txid in rows}
    gone = yield from _query([txid for txid in txids if txid not in still_open])
    return _found({**still_open, **gone})


def query(txids: Sequence[str]) -> LookupSteps:
    """What became of these orders, without a look at the others."""
    return _found((yield from _query(txids)))


def _query(txids: Sequence[str]) -> Generator[Call, Any, dict[str, Mapping[str, Any]]]:
    found: dict[str, Mapping[str, Any]] = {}
    for at in range(0, len(txids), PAGE):
        rows = yield "QueryOrders", {"txid": ",".join(txids[at : at + PAGE])}
        found |= {txid: row for txid, row in _checked(rows).items() if txid in txids}
    return found


def _pages(endpoint: str, params: dict[str, Any], what: str) -> Generator[Call, Any, dict[str, Mapping[str, Any]]]:
    """Every page; a listing that moves while it is read is read until a page brings nothing new."""
    found: dict[str, Mapping[str, Any]] = {}
    for _ in range(PAGES_AT_MOST):
        result = yield endpoint, {**params, "ofs": len(found)}
        new = {txid: row for txid, row in _rows(result, what).items() if txid not in found}
        found |= new
        count = result.get("count")
        if not isinstance(count, int) or isinstance(count, bool):
            raise CallUnknown(f"Kraken's {endpoint} reply does not say how many rows there are.", endpoint=endpoint)
        if len(found) >= count:
            return found
        if not new:
            raise CallUnknown(f"Kraken's {endpoint} said {count} rows and gave {len(found)}.", endpoint=endpoint)
    raise CallUnknown(f"Kraken's {endpoint} has more pages than can be read.", endpoint=endpoint)


def _rows(result: Any, what: str) -> Rows:
    return _checked(result.get(what) if isinstance(result, Mapping) else None)


def _checked(rows: Any) -> Rows:
    if not isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows.values()):
        raise CallUnknown("Kraken's list of orders cannot be read.")
    return rows


def _named(rows: Rows, cl_ord_id: str) -> dict[str, Mapping[str, Any]]:
    """Kraken keeps a `cl_ord_id` as a number: it may come back with hyphens or in upper case."""
    return {txid: row for txid, row in rows.items()
            if str(row.get("cl_ord_id") or "").replace("-", "").lower() == cl_ord_id}  # fmt: skip


def _found(rows: Rows) -> dict[str, Found]:
    return {txid: _read(txid, row) for txid, row in rows.items()}


_EVENTS = {
    "pending": OrderEvent.FOUND_OPEN,
    "open": OrderEvent.FOUND_OPEN,
    "closed": OrderEvent.FOUND_CLOSED,
    "canceled": OrderEvent.FOUND_CANCELED,
    "expired": OrderEvent.FOUND_CANCELED,
}


def _read(txid: str, row: Mapping[str, Any]) -> Found:
    """An order's row. Needed are its status, and the amounts, which can end a placement; nice to have is the rest.

    A row that cannot be read is doubt: the steps ends without an answer, and is made again.
    """
    status = str(row.get("status"))
    if status not in _EVENTS:
        raise CallUnknown(f"Kraken says that order {txid} is {status[:40]!r}, which is not understood.")
    description = row.get("descr")
    return Found(
        txid=txid,
        event=_EVENTS[status],
        filled=_amount(row, "vol_exec"),
        cost=_amount(row, "cost"),
        fee=_amount(row, "fee"),
        reason=str(row["reason"]) if row.get("reason") else "It expired." if status == "expired" else None,
        description=str(description["order"]) if isinstance(description, Mapping) and "order" in description else None,
    )


def _amount(row: Mapping[str, Any], name: str) -> Decimal:
    try:
        amount = Decimal(str(row.get(name, "0")))
    except InvalidOperation:
        raise CallUnknown(f"Kraken's order row has no amount in {name!r}.") from None
    if not amount.is_finite():
        raise CallUnknown(f"Kraken's order row has no amount in {name!r}.")
    return amount


def joined(found: Iterable[Found]) -> dict[str, Any]:
    """What several orders mean for their placement (there is one, if all is well), as the journal has it."""
    orders = list(found)
    return {
        "txids": tuple(each.txid for each in orders),
        "description": next((each.description for each in orders if each.description), None),
        "reason": next((each.reason for each in orders if each.reason), None),
        "filled": sum((each.filled for each in orders), Decimal(0)),
        "cost": sum((each.cost for each in orders), Decimal(0)),
        "fee": sum((each.fee for each in orders), Decimal(0)),
    }


def event_of(found: Iterable[Found]) -> OrderEvent:
    """Open while one of them is open; else closed when one was filled to the end."""
    event = {each.event for each in found}
    for each in (OrderEvent.FOUND_OPEN, OrderEvent.FOUND_CLOSED):
        if each in event:
            return each
    return OrderEvent.FOUND_CANCELED
