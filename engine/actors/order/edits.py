"""Edits that may still be carried out: an order that an edit has replaced looks like a canceled one."""

from __future__ import annotations

from collections.abc import Callable

from engine.actors.order.journal import Journal
from engine.errors import CallNotSent, StoreError
from engine.rules.order.placement import Placement


class Edits:
    """Writes edits down before they go out. Lives in the thread of the actor that has the journal.

    `save` makes durable what is known, now or later.
    """

    def __init__(self, journal: Journal, save: Callable[[], None]) -> None:
        self._journal, self._save = journal, save

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


def _may_have_others(row: Placement) -> bool:
    """Whether an order that no placement is known to have may be this one's."""
    return not row.state.is_settled or row.recheck or not set(row.edits).isdisjoint(row.txids)
