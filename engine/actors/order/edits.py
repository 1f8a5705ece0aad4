"""Edits that may still be carried out: an order that an edit has replaced looks like a canceled one."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from engine.actors.order.journal import Journal
from engine.errors import CallNotSent, StoreError
from engine.rules.order.found import Found
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent, OrderState

KEPT_AT_MOST = 1000
"""Names of orders that a call has canceled lately; they are needed until the next look."""


class Edits:
    """Writes edits down before they go out. Lives in the thread of the actor that has the journal.

    `save` makes durable what is known, now or later.
    """

    def __init__(self, journal: Journal, save: Callable[[], None]) -> None:
        self._journal, self._save = journal, save
        self._canceled_here: dict[tuple[str, str], None] = {}  # the oldest first

    def comes(self, account: str, txid: str) -> None:
        """`EditComes`."""
        rows = [row for row in self._journal.rows_of(account) if txid in row.txids]
        for row in rows or [row for row in self._journal.rows_of(account) if _may_have_others(row)]:
            self._journal.note_edits(row.cl_ord_id, (*row.edits, txid))
        try:
            self._journal.save()
        except StoreError as error:
            raise CallNotSent(f"The edit could not be written down, so it was not sent: {error}") from None

    def failed(self, account: str, txid: str) -> None:
        """`EditFailed`."""
        for row in self._journal.rows_of(account):
            if txid in row.edits:
                at = row.edits.index(txid)
                self._journal.note_edits(row.cl_ord_id, row.edits[:at] + row.edits[at + 1 :])
        self._save()


    def canceled_here(self, account: str, names: Iterable[str]) -> None:
        """`OrdersCanceled`: no edit has replaced these."""
        for name in names:
            self._canceled_here[account, _plain(name)] = None
        while len(self._canceled_here) > KEPT_AT_MOST:
            del self._canceled_here[next(iter(self._canceled_here))]

    def seen_gone(self, row: Placement, orders: Iterable[Found]) -> Placement:
        """The placement, noted as one that an edit may have replaced where its order was canceled by nobody here.

        An edit on Kraken's page looks so until the new order is in a list. The first look alone would call it canceled;
        and a cancel that comes meanwhile, also after a restart, has to reach the new order.
        """
        gone = tuple(each.txid for each in orders if each.event is OrderEvent.FOUND_CANCELED)
        names = (*row.names, str(row.fitted.userref))
        is_known = row.is_in_edit or any((row.account, _plain(name)) in self._canceled_here for name in names)
        if not gone or is_known or not row.may_be_edited or row.state is not OrderState.PLACED or not row.rests:
            return row
        noted = self._journal.note_edits(row.cl_ord_id, (*row.edits, *gone))
        self._save()
        return noted


def _plain(name: str) -> str:
    """A name as it is compared: Kraken takes a ``cl_ord_id`` with and without dashes."""
    return name.replace("-", "").lower()


def _may_have_others(row: Placement) -> bool:
    """Whether an order that no placement is known to have may be this one's."""
    return not row.state.is_settled or row.recheck or not set(row.edits).isdisjoint(row.txids)
