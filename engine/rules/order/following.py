"""What became of orders that Kraken is known to have: one look at all of them, as steps (`lists`)."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from decimal import Decimal
from math import ceil, floor

from engine.errors import CallError
from engine.rules.order.found import Found
from engine.rules.order.lists import (
    SLACK,
    Call,
    LookupSteps,
    NoteOf,
    Row,
    Rows,
    by_txid,
    no_notes,
    pages,
    read,
    read_rows,
)
from engine.rules.order.placement import Placement
from engine.rules.order.replacement import AT_ONCE
from engine.rules.order.states import OrderEvent
from engine.values.dataclass import dataclass

TOGETHER = Decimal(60)
"""Seconds between the ends of orders whose successors are looked for in one list."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at an account's orders brought."""

    found: Mapping[str, Found]
    """By txid."""
    others: Mapping[str, Row]
    """Orders of the account, by txid, that may have replaced one of those that were found."""
    searched: Collection[str] = frozenset()
    """The canceled ones among those found of which `others` has whatever may have replaced them."""
    is_whole: bool = False
    """Whether `others` has every open order."""
    error: CallError | None = None
    """Why something could not be looked at."""

    def is_witness(self, row: Placement) -> bool:
        """Whether what was found of a placement's orders is what became of it: one that was edited looks canceled.

        Then the order in its stead must have been looked for among all that are open. Where an edit of ours may have
        been carried out, and where the end is looked at once more, also among those that are over.
        """
        gone = {txid for txid in row.txids if self.found[txid].event is OrderEvent.FOUND_CANCELED}
        if not gone or not row.may_be_edited:
            return True
        return gone <= set(self.searched) if row.recheck or row.is_in_edit else self.is_whole


def follow(
    txids: Sequence[str], since: float = 0.0, noter: NoteOf = no_notes, *, replaced: Collection[str] = ()
) -> LookupSteps:
    """What became of these orders: one look at the open ones, and a closer one at those that are not among them.

    A list that fails is left out, and what another one tells counts. `since`: Kraken's time, from which on the closed
    orders are looked through when `QueryOrders` fails. `replaced`: those that an edit may have replaced; what did so is
    looked for among the open orders, and then, as it may be over by now, among the others.
    """
    errors: list[CallError] = []
    doubts: list[CallError] = []
    opened: Rows = {}
    try:
        opened = read_rows((yield "OpenOrders", {}), "open", doubts, noter("OpenOrders"))
    except CallError as error:
        errors.append(error)
    is_whole = not errors and not doubts
    found = read({txid: row for txid, row in opened.items() if txid in txids}, noter("OpenOrders"))
    found |= yield from _closer([txid for txid in txids if txid not in found], since, errors, noter)
    gone = [found[txid] for txid in replaced if txid in found and found[txid].event is OrderEvent.FOUND_CANCELED]
    if not is_whole or not gone:
        return Look(found, opened, is_whole=is_whole, error=errors[0] if errors else None)
    ended, searched = yield from _opened_then(gone, errors, noter)
    return Look(found, opened | ended, searched, is_whole, errors[0] if errors else None)


def query(txids: Sequence[str], since: float = 0.0, noter: NoteOf = no_notes) -> LookupSteps:
    """What became of these orders, without a look at the others."""
    errors: list[CallError] = []
    found = yield from _closer(txids, since, errors, noter)
    return Look(found, {}, error=errors[0] if errors else None)


def _closer(
    txids: Sequence[str], since: float, errors: list[CallError], noter: NoteOf
) -> Generator[Call, object, dict[str, Found]]:
    """Orders by txid; where they cannot be asked for, from the list of closed orders."""
    failed = len(errors)
    found = read((yield from by_txid(txids, errors, noter("QueryOrders"))), noter("QueryOrders"))
    missing = set(txids) - found.keys()
    if len(errors) == failed or not missing:
        return found
    rows = yield from pages(
        "ClosedOrders", {"start": int(since - SLACK)} if since else {}, "closed", [], noter,
        enough=lambda page: missing <= page.keys(),
    )  # fmt: skip
    return found | read({txid: row for txid, row in rows.items() if txid in missing}, noter("ClosedOrders"))


def _opened_then(
    gone: Sequence[Found], errors: list[CallError], noter: NoteOf
) -> Generator[Call, object, tuple[Rows, Collection[str]]]:
    """The orders, over by now, that were opened as one of those that are gone ended; and of which of them that is told.

    One list in a look: those that ended much later than the first are for the next one. An order whose end is not told
    has no other to look for.
    """
    ends = sorted((each.closed, each.txid) for each in gone if each.closed is not None)
    untold = {each.txid for each in gone if each.closed is None}
    if not ends:
        return {}, untold
    near = [(closed, txid) for closed, txid in ends if closed - ends[0][0] <= TOGETHER]
    asked = {"closetime": "open", "start": floor(ends[0][0] - AT_ONCE) - 1, "end": ceil(near[-1][0] + AT_ONCE)}
    failed = len(errors)
    rows = yield from pages("ClosedOrders", asked, "closed", errors, noter)
    return rows, untold if len(errors) > failed else untold | {txid for _, txid in near}
