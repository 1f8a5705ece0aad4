"""Follows orders that are open until they are over, at a pace that Kraken's limits allow."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from engine.actors.order.lookup import Lookup, Lookups, Orders
from engine.errors import CallError
from engine.rules.order.reconciliation import follow

logger = logging.getLogger(__name__)

SOON = 1.0  # seconds after which a new order is looked at for the first time: a market order is filled by then


@dataclass(slots=True)
class _Watch:
    """The open orders of one account: the next look at them, and who waits for it."""

    turn: int = 0
    is_looking: bool = False
    askers: list[Future[None]] = field(default_factory=list)


class Tracker:
    """One look for all open orders of an account: `OpenOrders`, and `QueryOrders` for those that are gone from it.

    `txids_of` names an account's open orders; `take` takes what was found.
    """

    def __init__(
        self,
        lookups: Lookups,
        every: float,
        later: Callable[[float, Callable[[], object]], None],
        txids_of: Callable[[str], list[str]],
        take: Callable[[str, Orders], None],
    ) -> None:
        self._lookups, self._every, self._later = lookups, every, later
        self._txids_of, self._take = txids_of, take
        self._watches: dict[str, _Watch] = {}

    def soon(self, account: str) -> None:
        """An order of this account is open now."""
        self._plan(account, min(SOON, self._every))

    def now(self, account: str) -> Future[None]:
        """Look at once; the future is settled when the look is over, with its error when it failed."""
        asker: Future[None] = Future()
        watch = self._watches.setdefault(account, _Watch())
        watch.askers.append(asker)
        self._look(account, watch.turn)
        return asker

    def end(self, error: CallError) -> None:
        """Answer whoever waits: nobody looks any more."""
        for watch in self._watches.values():
            for asker in watch.askers:
                asker.set_exception(error)
            watch.askers.clear()

    def _plan(self, account: str, pause: float) -> None:
        watch = self._watches.setdefault(account, _Watch())
        watch.turn += 1
        self._later(pause, partial(self._look, account, watch.turn))

    def _look(self, account: str, turn: int) -> None:
        watch, txids = self._watches[account], self._txids_of(account)
        if watch.is_looking or turn != watch.turn:
            return
        if not txids:
            self._answer(watch, None)
            return
        watch.is_looking = True
        self._lookups.begin(account, follow(txids), self._done, self._failed)

    def _done(self, callback: Lookup, found: Orders) -> None:
        self._take(callback.account, found)
        self._end_look(callback.account, None, self._every)

    def _failed(self, callback: Lookup, error: CallError) -> None:
        logger.info("The open orders of account %s could not be looked at: %s", callback.account, error)
        self._end_look(callback.account, error, max(self._every, error.retry_after or 0.0))

    def _end_look(self, account: str, error: CallError | None, pause: float) -> None:
        watch = self._watches[account]
        watch.is_looking = False
        self._answer(watch, error)
        self._plan(account, pause)

    @staticmethod
    def _answer(watch: _Watch, error: CallError | None) -> None:
        askers, watch.askers = watch.askers, []
        for asker in askers:
            if error is None:
                asker.set_result(None)
            else:
                asker.set_exception(error)
