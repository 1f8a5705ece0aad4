"""What Kraken's stream has told of the orders of each account: ours are settled with it, those of others listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from engine.actors.order.journal import Journal
from engine.kraken.stream import Execution
from engine.rules.order.placement import Placement
from engine.rules.order.streamed import StreamNews, is_of, merged, name_of, news
from engine.values.dataclass import dataclass

OVER_KEPT = 1_000  # orders of an account that are over: REST may list them as open for a minute


@dataclass(slots=True)
class _Orders:
    open: dict[str, Execution] = field(default_factory=dict)
    over: dict[str, None] = field(default_factory=dict)


class StreamedOrders:
    """Lives in the thread of the actor that has the journal.

    learn: takes in news of a placement. look: has the lists asked for an account's orders, soon.
    """

    def __init__(
        self, journal: Journal, learn: Callable[[Placement, StreamNews], None], look: Callable[[str], None]
    ) -> None:
        self._journal, self._learn, self._look = journal, learn, look
        self._accounts: dict[str, _Orders] = {}

    def take(self, account: str, rows: tuple[Execution, ...], *, is_snapshot: bool) -> None:
        """Take in the rows of one frame. A snapshot lists the open orders; one that it lacks need not be over.
        """
        known = self._accounts.setdefault(account, _Orders())
        if is_snapshot:
            known.open = {}
        for row in rows:
            told = merged(known.open.pop(row.txid, None), row)
            self._sort_in(known, told)
            placement = self._placement(account, told)
            if placement is not None:
                self._settle(placement, told)

    def forget(self, account: str) -> None:
        """The account has another key."""
        self._accounts.pop(account, None)

    def open(self, account: str) -> Mapping[str, Execution]:
        """The orders that are open, as far as the stream has told, by txid."""
        return dict(self._accounts.get(account, _Orders()).open)

    def is_over(self, account: str, txid: str) -> bool:
        """Whether the stream has told that an order is over."""
        return txid in self._accounts.get(account, _Orders()).over

    @staticmethod
    def _sort_in(known: _Orders, told: Execution) -> None:
        if told.is_over:
            known.over[told.txid] = None
            if len(known.over) > OVER_KEPT:
                del known.over[next(iter(known.over))]
        elif told.txid not in known.over:
            known.open[told.txid] = told

    def _placement(self, account: str, told: Execution) -> Placement | None:
        """The placement that has the order, of those that are not over for good."""
        name = name_of(told)
        rows = self._journal.rows_of(account)
        return next((row for row in rows if is_of(row, told) or row.cl_ord_id == name), None)

    def _settle(self, row: Placement, told: Execution) -> None:
        found = news(row, told) if is_of(row, told) else None
        if found is not None:
            self._learn(row, found)
        elif told.is_over and not row.state.is_over:
            self._look(row.account)
