"""Kraken's lists of orders and trades, read whole, as steps of a look: a generator that yields the calls it needs.

It is sent each call's `result`, or thrown the `CallError` with which it failed.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from engine.errors import CallError, CallUnknown
from engine.kraken.drift import ODD, Note, unnoted
from engine.rules.order.found import Found, read_order

PAGE = 50  # rows in a reply of Kraken's history calls; QueryOrders takes as many names
PAGES_AT_MOST = 1000
SLACK = 3600.0  # seconds before it was sent from which history is asked for: clocks differ

Call = tuple[str, dict[str, Any]]
Row = Mapping[str, Any]
Rows = dict[str, Row]
LookupSteps = Generator[Call, Any, Any]
NoteOf = Callable[[str], Note]
"""Gives the `Note` of an endpoint."""


def no_notes(endpoint: str) -> Note:
    """The `NoteOf` of those who keep no record."""
    return unnoted


def by_txid(txids: Sequence[str], errors: list[CallError], note: Note) -> Generator[Call, Any, Rows]:
    """These orders, as far as Kraken has them; what failed is added to `errors`."""
    found: Rows = {}
    for at in range(0, len(txids), PAGE):
        try:
            result = yield "QueryOrders", {"txid": ",".join(txids[at : at + PAGE])}
        except CallError as error:
            errors.append(error)
            continue
        found |= {txid: row for txid, row in mappings(result).items() if txid in txids}
    return found


def _never(rows: Rows) -> bool:
    return False


def pages(
    endpoint: str, params: dict[str, Any], what: str, doubts: list[CallError], noter: NoteOf,
    *, enough: Callable[[Rows], bool] = _never,
) -> Generator[Call, Any, Rows]:  # fmt: skip
    """Every page, until they are enough; what is wrong with them is added to `doubts`.

    A listing that moves while it is read is read until a page brings nothing new.
    """
    found: Rows = {}
    for _ in range(PAGES_AT_MOST):
        try:
            result = yield endpoint, {**params, "ofs": len(found)}
        except CallError as error:
            doubts.append(error)
            return found
        rows = read_rows(result, what, doubts, noter(endpoint))
        new = {txid: row for txid, row in rows.items() if txid not in found}
        found |= new
        if enough(found):
            return found
        count = _count(result)
        if new and (len(found) < count if count is not None else len(new) >= PAGE):
            continue
        if len(found) != count:
            doubts.append(_miscounted(endpoint, count, len(found)))
        return found
    doubts.append(CallUnknown(f"Kraken's {endpoint} has more pages than can be read.", endpoint=endpoint))
    return found


def _count(result: Any) -> int | None:
    count = result.get("count") if isinstance(result, Mapping) else None
    return count if isinstance(count, int) and not isinstance(count, bool) else None


def read_rows(result: Any, what: str, doubts: list[CallError], note: Note) -> Rows:
    """The rows of a reply that can be read; others are doubt."""
    rows = result.get(what) if isinstance(result, Mapping) else None
    if not isinstance(rows, Mapping):
        note(what, ODD)
        doubts.append(CallUnknown("Kraken's list of orders cannot be read."))
        return {}
    found = mappings(rows)
    if len(found) < len(rows):
        note("row", ODD)
        doubts.append(CallUnknown("Kraken's list of orders has a row that cannot be read."))
    return found


def mappings(rows: Any) -> Rows:
    """The rows among them."""
    if not isinstance(rows, Mapping):
        return {}
    return {str(name): row for name, row in rows.items() if isinstance(row, Mapping)}


def read(rows: Mapping[str, Row], note: Note) -> dict[str, Found]:
    """What the rows of orders tell."""
    return {txid: read_order(txid, row, note) for txid, row in rows.items()}


def _miscounted(endpoint: str, count: int | None, rows: int) -> CallUnknown:
    if count is None:
        return CallUnknown(f"Kraken's {endpoint} reply does not say how many rows there are.", endpoint=endpoint)
    return CallUnknown(f"Kraken's {endpoint} said {count} rows and gave {rows}.", endpoint=endpoint)
