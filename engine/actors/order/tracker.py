"""Follows orders that are open until they are over, at a pace that Kraken's limits allow."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import field
from functools import partial

from engine.actors.order.lookup import Lookups
from engine.actors.runtime.waiters import Waiters
from engine.errors import CallError
from engine.rules.backoff import Backoff
from engine.rules.order.following import Look
from engine.rules.order.lists import LookupSteps
from engine.values.dataclass import dataclass

logger = logging.getLogger(__name__)

SOON = 1.0  # seconds after which a new order is looked at for the first time: a market order is filled by then
LONGEST_PAUSE = 30.0  # seconds between two looks that have not told what is wanted


@dataclass(slots=True)
class _Watch:
    """The orders of one account: the next look at them, and who waits for it."""

    turn: int = 0
    due: float | None = None
    """When the next look is planned, by the monotonic clock."""
    looks: int = 0
    is_looking: bool = False
    is_hurried: bool = False
    askers: Waiters[None, None] = field(default_factory=Waiters)


class Tracker:
    """Looks at orders of an account, all of them at once, again and again as long as there are any.

    `txids_of` names them, `steps` is how they are looked at, `take` takes what was found. doubles: the pauses double.
    """

    def __init__(
        self,
        lookups: Lookups,
        every: float,
        monotonic: Callable[[], float],
        later: Callable[[float, Callable[[], object]], None],
        txids_of: Callable[[str], list[str]],
        steps: Callable[[str, list[str]], LookupSteps],
        take: Callable[[str, Look], None],
        *,
        doubles: bool = False,
    ) -> None:
        self._lookups, self._every, self._monotonic = lookups, every, monotonic
        self._later, self._doubles = later, doubles
        self._txids_of, self._steps, self._take = txids_of, steps, take
        self._watches: defaultdict[str, _Watch] = defaultdict(_Watch)

    def soon(self, account: str) -> None:
        """An order of this account is open now."""
        self._plan(account, min(SOON, self._every))

    def hurry(self, account: str) -> None:
        """Look at once, and once more when a look is under way that may have begun too early."""
        watch = self._watches[account]
        watch.is_hurried, watch.looks = watch.is_looking, 0
        if not watch.is_looking:
            self._plan(account, 0.0)

    def now(self, account: str) -> Future[None]:
        """Look at once; the future is settled when the look is over, with its error when it failed."""
        watch = self._watches[account]
        asker = watch.askers.add(None)
        self._look(account, watch.turn)
        return asker

    def end(self, error: CallError) -> None:
        """Answer whoever waits: nobody looks any more."""
        for watch in self._watches.values():
            watch.askers.fail(error)

    def _plan(self, account: str, pause: float) -> None:
        """Look after a pause, if no look is planned before that."""
        watch, due = self._watches[account], self._monotonic() + pause
        if watch.due is None or due < watch.due:
            watch.turn, watch.due = watch.turn + 1, due
            self._later(pause, partial(self._look, account, watch.turn))

    def _look(self, account: str, turn: int) -> None:
        watch = self._watches[account]
        if turn != watch.turn:
            return
        watch.due = None
        if watch.is_looking:
            return
        txids = self._txids_of(account)
        if not txids:
            watch.looks = 0
            watch.askers.answer(None)
            return
        watch.is_looking = True
        done, failed = partial(self._done, account), partial(self._failed, account)
        self._lookups.begin(account, self._steps(account, txids), done, failed, goes_on=True)

    def _done(self, account: str, look: Look) -> None:
        try:
            self._take(account, look)
        finally:  # a failure of ours, such as no memory, must not end the looking
            self._end_look(account, look.error, self._pause(account, look.error))

    def _failed(self, account: str, error: CallError) -> None:
        logger.info("The orders of account %s could not be looked at: %s", account, error)
        self._end_look(account, error, self._pause(account, error))

    def _pause(self, account: str, error: CallError | None) -> float:
        pause = self._every
        if self._doubles:
            pause = Backoff(SOON, max(self._every, LONGEST_PAUSE)).pause(self._watches[account].looks)
        return max(pause, getattr(error, "retry_after", None) or 0.0)

    def _end_look(self, account: str, error: CallError | None, pause: float) -> None:
        watch = self._watches[account]
        watch.is_looking = False
        watch.looks += 1
        if error is None:
            watch.askers.answer(None)
        else:
            watch.askers.fail(error)
        hurried, watch.is_hurried = watch.is_hurried, False
        self._plan(account, 0.0 if hurried and error is None else pause)
