"""Finds out what became of placements whose outcome is unknown: by looking, again and again, and never by sending."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from engine.actors.events import EngineWarning
from engine.actors.order.identity import Identity
from engine.actors.order.lookup import Lookups
from engine.actors.order.watch_list import A_MOMENT
from engine.errors import CallError, CallNotSent
from engine.rules.backoff import Backoff
from engine.rules.order.found import Found
from engine.rules.order.holds import ask_holds
from engine.rules.order.lists import NoteOf
from engine.rules.order.outcome import outcome_of_search
from engine.rules.order.placement import Placement
from engine.rules.order.reconciliation import look_up
from engine.rules.order.states import OrderEvent, OrderState
from engine.values import Settings
from engine.values.dataclass import dataclass

logger = logging.getLogger(__name__)

BACKOFF = Backoff(first=0.25, longest=30.0)  # between looks
TELL_AFTER = 2
"""The thorough look whose failure a person is told of: the first may have met a passing one."""
OPEN_ORDERS, BOTH_LISTS = 2.0, 6.0  # points: OpenOrders 2, ClosedOrders 4

_ABSENT = "Kraken has no such order, as it says after the time in which one could have appeared: it was not placed."
_DOUBTFUL = (
    "Whether order {id!r} on {pair} of account {account} was placed cannot be told: {why} It is looked up again, and "
    "until that is known no other goes out on that pair. Look for it among the open and closed orders on Kraken's "
    "page, under the client order id or user reference {name}, and cancel it there if you do not want it."
)


@dataclass(slots=True)
class _Case:
    """A placement that Kraken's lists have to be searched for: since when its absence counts, and how often it was."""

    row: Placement
    counts_from: float
    looks: int = 0
    turn: int = 0
    is_looking: bool = False
    counted: int = 0
    """How many looks have begun since its absence counts."""


class Reconciler:
    """The cases that are open. Lives in the thread of the actor that has the journal.

    `row_of` gives a placement as it is now; `is_others` says whether an order is of another placement than that;
    `learn` takes what was found; `later` runs something in the actor's thread after some seconds. `spare` tells how
    many points of an account's call counter may be spent now so that so many seconds later there is room for a thorough
    look. `identity` says whether an account's key sees an order.

    A thorough look is one that begins when absence counts. What is looked for before must leave it room, so that it is
    not held back by our own count; where it is, it goes on where it was.
    """

    def __init__(
        self,
        lookups: Lookups,
        settings: Settings,
        monotonic: Callable[[], float],
        later: Callable[[float, Callable[[], object]], None],
        learn: Callable[[str, OrderEvent, dict[str, Any]], None],
        *,
        row_of: Callable[[str], Placement | None],
        spare: Callable[[str, float], float],
        is_others: Callable[[Placement, str], bool],
        identity: Identity,
        publish: Callable[[object], None],
        noter: NoteOf,
    ) -> None:
        self._lookups, self._settings, self._monotonic = lookups, settings, monotonic
        self._later, self._learn, self._row_of = later, learn, row_of
        self._is_others, self._spare, self._identity = is_others, spare, identity
        self._publish, self._noter = publish, noter
        self._cases: dict[str, _Case] = {}

    def open(self, row: Placement) -> None:
        """A placement has become unknown, or was found so at the start; or it is over, and no list has shown it yet.

        Its absence counts from `settle_margin` after the latest deadline it can have; that is reckoned from now, as a
        wall clock may have jumped over a restart.
        """
        if row.cl_ord_id in self._cases:
            return
        counts_from = self._monotonic() + self._settings.order_deadline + self._settings.settle_margin
        self._cases[row.cl_ord_id] = _Case(row, counts_from)
        self._look_in(row.cl_ord_id, BACKOFF.first)

    def close(self, cl_ord_id: str) -> None:
        """It is known otherwise what became of a placement."""
        row = self._row_of(cl_ord_id)
        if row is not None and row.state.is_settled and row.txids:
            self._cases.pop(cl_ord_id, None)

    def hurry(self, cl_ord_id: str) -> None:
        """Somebody wants to know now."""
        case = self._cases.get(cl_ord_id)
        if case is not None and not case.is_looking:
            case.looks = 0
            self._look_in(cl_ord_id, 0.0)

    def hurry_all(self, account: str) -> None:
        """The account has another key, or Kraken has told whose it is."""
        for name, case in tuple(self._cases.items()):
            if case.row.account == account:
                self.hurry(name)

    def _look_in(self, name: str, pause: float) -> None:
        """Look after a pause, and in any case as soon as absence counts."""
        case = self._cases[name]
        case.turn += 1
        left = case.counts_from - self._monotonic()
        self._later(max(min(pause, left), A_MOMENT) if left > 0 else pause, partial(self._look, name, case.turn))

    def _look(self, name: str, turn: int) -> None:
        case = self._cases.get(name)
        if case is None or case.is_looking or turn != case.turn:
            return
        left = case.counts_from - self._monotonic()  # one instant: whether the look is thorough, and whether it counts
        spare = self._spare(case.row.account, left)
        if not self._identity.fits(case.row) or (left > 0 and spare < OPEN_ORDERS):
            self._look_again(name)
            return
        case.is_looking = True
        case.counted += left <= 0
        steps = look_up(
            case.row.kraken_name, case.row.deadline or 0.0, thorough=left <= 0,
            open_only=left > 0 and spare < BOTH_LISTS, like=case.row.fitted, noter=self._noter,
            is_others=partial(self._is_others, case.row),
        )  # fmt: skip
        self._lookups.begin(
            case.row.account, steps, partial(self._looked, name, left <= 0), partial(self._failed, name),
            goes_on=left <= 0,
        )  # fmt: skip

    def _looked(self, name: str, counts: bool, found: Mapping[str, Found]) -> None:
        case = self._cases.get(name)
        if case is None:
            return
        try:
            self._conclude(name, counts, found)
        except Exception:  # a failure of ours, such as no memory, must not end the looking
            self._cases.setdefault(name, case)
            self._look_again(name)
            raise

    def _conclude(self, name: str, counts: bool, found: Mapping[str, Found]) -> None:
        row = self._row_of(name)
        if row is None:
            del self._cases[name]
        elif found:
            del self._cases[name]
            self._learn(name, *outcome_of_search(row, found))
        elif counts and row.state is OrderState.UNKNOWN:
            del self._cases[name]
            self._learn(name, OrderEvent.ABSENT, {"reason": _ABSENT})
        else:
            self._look_again(name)

    def _failed(self, name: str, error: CallError) -> None:
        logger.info("What became of a placement could not be looked up: %s", error)
        case = self._cases.get(name)
        if case is None:
            return
        if case.counted == TELL_AFTER and not isinstance(error, CallNotSent):
            self._tell_doubt(case.row, error)
        self._look_again(name, error.retry_after or 0.0)

    def _tell_doubt(self, row: Placement, error: CallError) -> None:
        """Tell a person, with what the balance says."""
        name = row.kraken_name.value
        told = _DOUBTFUL.format(id=row.id, pair=row.pair, account=row.account, why=error, name=name)

        def say(more: str) -> None:
            self._publish(EngineWarning("order-doubtful", f"{told} {more}".strip()))

        self._lookups.begin(row.account, ask_holds(row.fitted), say, lambda _: say(""))

    def _look_again(self, name: str, at_least: float = 0.0) -> None:
        case = self._cases[name]
        case.is_looking = False
        case.looks = case.looks + 1 if case.counted or self._monotonic() < case.counts_from else 0
        self._look_in(name, BACKOFF.pause(case.looks, at_least))
