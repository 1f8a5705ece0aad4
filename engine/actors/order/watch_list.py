"""Which orders of an account are looked at, those that are open and those whose end is not read, and since when."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from engine.actors.order.journal import Journal
from engine.rules.order.following import follow, query
from engine.rules.order.lists import LookupSteps, NoteOf
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState

A_MOMENT = 0.001  # seconds after which it is certainly later: a difference of times is rounded
ONCE_MORE = 3.0  # seconds at least until a canceled order is looked at once more


class WatchList:
    """The orders that are looked at. Lives in the thread of the actor that has the journal.

    `fits` says whether a placement can be looked at with its account's key. `every`: `Settings.follow_every`.
    """

    def __init__(
        self,
        journal: Journal,
        fits: Callable[[Placement], bool],
        monotonic: Callable[[], float],
        every: float,
        noter: NoteOf,
    ) -> None:
        self._journal, self._fits, self._monotonic, self._noter = journal, fits, monotonic, noter
        self._once_more = max(ONCE_MORE, every)
        self._rechecks: dict[str, float] = {}

    def told(self, row: Placement) -> None:
        """Kraken has told more of a placement: one that is to be looked at once more is so a while from now."""
        self._rechecks.pop(row.cl_ord_id, None)
        if row.recheck:
            self.recheck_in(row)

    def seen_gone(self, row: Placement) -> float | None:
        """Its order was seen canceled, and an edit of ours may have replaced it: what did so is in all lists a while
        from now. Seconds until then; `None` when that was said before."""
        if row.cl_ord_id in self._rechecks:
            return None
        self._rechecks[row.cl_ord_id] = self._monotonic() + ONCE_MORE
        return ONCE_MORE

    def recheck_in(self, row: Placement) -> float:
        """Seconds until a placement that is over is to be looked at once more."""
        due = self._rechecks.setdefault(row.cl_ord_id, self._monotonic() + self._once_more)
        return max(0.0, due - self._monotonic())

    def open_txids(self, account: str) -> list[str]:
        """The orders that may be open."""
        rows = [row for row in self._seen(account) if row.state is OrderState.PLACED]
        return _txids(rows + [row for row in self._due(account) if row.may_be_edited])

    def over_txids(self, account: str) -> list[str]:
        """The orders that are over for certain, and of which Kraken has not told everything."""
        return _txids([row for row in self._due(account) if not row.may_be_edited])

    def follow(self, account: str, txids: list[str]) -> LookupSteps:
        """A look at those that may be open."""
        rows = [row for row in self._seen(account) if row.may_be_edited and self._is_searched_for(row)]
        replaced = {txid for row in rows for txid in row.txids}
        return follow(txids, self._since(account), self._noter, replaced=replaced)

    def query(self, account: str, txids: list[str]) -> LookupSteps:
        """A look at those that are over."""
        return query(txids, self._since(account), self._noter)

    def _seen(self, account: str) -> list[Placement]:
        """The live ones that can be looked at with the account's key."""
        return [row for row in self._journal.rows_of(account) if row.state.is_settled and self._fits(row)]

    def _due(self, account: str) -> list[Placement]:
        """Those that are over, and whose amounts are not read or are to be looked at once more now."""
        now = self._monotonic() + A_MOMENT
        rows = [row for row in self._seen(account) if row.state.is_over]
        return [row for row in rows if not row.is_final or self._rechecks.get(row.cl_ord_id, 0.0) <= now]

    def _is_searched_for(self, row: Placement) -> bool:
        """Whether the lists must have by now what may have replaced an order that was seen canceled."""
        due = self._rechecks.get(row.cl_ord_id, 0.0 if row.recheck else inf)
        return due <= self._monotonic() + A_MOMENT

    def _since(self, account: str) -> float:
        """Kraken's time before which none of the account's live orders was sent."""
        return min((row.deadline or 0.0 for row in self._journal.rows_of(account)), default=0.0)


def _txids(rows: list[Placement]) -> list[str]:
    return [txid for row in rows for txid in (*row.txids, *row.unread)]
