"""Finds out what became of placements whose outcome is unknown: by looking, again and again, and never by sending."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from engine.actors.order.lookup import Lookup, Lookups, Orders
from engine.errors import CallError
from engine.rules.order.placement import Placement
from engine.rules.order.reconciliation import event_of, joined, look_up
from engine.rules.order.states import OrderEvent
from engine.values import Settings

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0  # seconds between looks; they double

_ABSENT = "Kraken has no such order, as it says after the time in which one could have appeared: it was not placed."


@dataclass(slots=True)
class _Case:
    """An unknown placement: since when its absence counts, and how often it was looked for."""

    row: Placement
    counts_from: float
    looks: int = 0
    turn: int = 0
    is_looking: bool = False


class Reconciler:
    """The cases that are open. Lives in the thread of the actor that has the journal.

    `learn` takes what was found; `later` runs something in the actor's thread after some seconds.
    """

    def __init__(
        self,
        lookups: Lookups,
        settings: Settings,
        monotonic: Callable[[], float],
        later: Callable[[float, Callable[[], object]], None],
        learn: Callable[[str, OrderEvent, dict[str, Any]], None],
    ) -> None:
        self._lookups, self._settings, self._monotonic = lookups, settings, monotonic
        self._later, self._learn = later, learn
        self._cases: dict[str, _Case] = {}

    def open(self, row: Placement) -> None:
        """A placement has become unknown, or was found so at the start.

        Its absence counts from `settle_margin` after the latest deadline it can have; that is reckoned from now, as a
        wall clock may have jumped over a restart.
        """
        counts_from = self._monotonic() + self._settings.order_deadline + self._settings.settle_margin
        self._cases[row.cl_ord_id] = _Case(row, counts_from)
        self._look_in(row.cl_ord_id, FIRST_PAUSE)

    def hurry(self, cl_ord_id: str) -> None:
        """Somebody wants to know now."""
        case = self._cases.get(cl_ord_id)
        if case is not None and not case.is_looking:
            case.looks = 0
            self._look_in(cl_ord_id, 0.0)

    def _look_in(self, name: str, pause: float) -> None:
        """Look after a pause, and in any case as soon as absence counts."""
        case = self._cases[name]
        case.turn += 1
        left = case.counts_from - self._monotonic()
        self._later(min(pause, left) if left > 0 else pause, partial(self._look, name, case.turn))

    def _look(self, name: str, turn: int) -> None:
        case = self._cases.get(name)
        if case is None or case.is_looking or turn != case.turn:
            return
        case.is_looking = True
        steps = look_up(name, case.row.deadline or 0.0, thorough=self._monotonic() >= case.counts_from)
        self._lookups.begin(case.row.account, steps, partial(self._looked, name), partial(self._failed, name))

    def _looked(self, name: str, callback: Lookup, found: Orders) -> None:
        if not found and callback.began < self._cases[name].counts_from:
            self._look_again(name)
            return
        del self._cases[name]
        if found:
            self._learn(name, event_of(found.values()), joined(found.values()))
        else:
            self._learn(name, OrderEvent.ABSENT, {"reason": _ABSENT})

    def _failed(self, name: str, callback: Lookup, error: CallError) -> None:
        logger.info("What became of a placement could not be looked up: %s", error)
        self._look_again(name, error.retry_after or 0.0)

    def _look_again(self, name: str, at_least: float = 0.0) -> None:
        case = self._cases[name]
        case.is_looking = False
        case.looks += 1
        self._look_in(name, max(at_least, min(FIRST_PAUSE * 2.0 ** min(case.looks, 10), LONGEST_PAUSE)))
