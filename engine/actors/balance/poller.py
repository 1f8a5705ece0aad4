"""Wakes the balance actors one at a time, so that polling many accounts leaves room in the lane (fair polling)."""

from __future__ import annotations

import threading
from collections.abc import Callable

from engine.rules.balance.polling import Queue, interval, rest, safety_pause, smoothed
from engine.values import Settings
from engine.values.dataclass import dataclass

GIVEN_UP_AFTER = 2.0  # seconds beyond a call's timeout: an actor that has died must not delay the others


@dataclass(slots=True)
class _Turn:
    """The refresh under way."""

    who: str
    began: float


class Poller:
    """Decides when each account's balance is refreshed.

    One planned refresh is under way at a time, and the poller rests after each, so that polling takes at most
    `Settings.polling_share` of the lane. Refreshes that a caller asks for do not pass through it.

    Thread-safe. A wake runs in the scheduler's thread or in the thread that ends a turn; it must only tell.
    """

    def __init__(
        self, settings: Settings, *, monotonic: Callable[[], float], after: Callable[[float, Callable[[], None]], None]
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._after = after
        self._lock = threading.Lock()
        self._queue = Queue()
        self._wakes: dict[str, Callable[[], None]] = {}
        self._turn: _Turn | None = None
        self._rest_until = float("-inf")
        self._mean: float | None = None
        self._looking_at = float("inf")
        self._is_watched = False

    def interval(self, decay: float | None) -> float:
        """Seconds between two refreshes of an account whose key's call counter loses `decay` points per second."""
        return self._interval(len(self._wakes), decay)

    def spacing(self, decay: float | None, at_least: float = 0.0) -> float:
        """Seconds between the refreshes of successive accounts with that `decay` and `at_least` that interval."""
        return max(self.interval(decay), at_least) / max(1, len(self._wakes))

    def safety_pause(self, who: str, *, is_first: bool) -> float:
        """Seconds until the next safety read of `who` (see `engine.rules.balance.polling`)."""
        with self._lock:
            names = list(self._wakes)
        return safety_pause(names.index(who) if who in names else 0, is_first=is_first)

    def retry_in(self, decay: float | None) -> float:
        """Seconds until a failed refresh is tried again: as if the account were the only one.

        Healthy accounts go first anyway; and when an outage of many accounts is over, the lane does not stay idle.
        """
        return self._interval(1, decay)

    def _interval(self, accounts: int, decay: float | None) -> float:
        counted = decay if self._settings.local_limits else None
        return interval(
            self._settings.refresh_every, accounts, self._mean or 0.0, self._settings.polling_share, counted
        )

    def plan(self, who: str, seconds: float, wake: Callable[[], None], *, failing: bool = False) -> None:
        """Wake `who` after `seconds`, or when its turn comes after that. Replaces the plan that `who` had."""
        with self._lock:
            self._wakes[who] = wake
            self._queue.plan(who, self._monotonic() + seconds, failing=failing)
        self._look()

    def forget(self, who: str) -> None:
        """Remove `who`: it is not woken any more."""
        with self._lock:
            self._wakes.pop(who, None)
            self._queue.drop(who)
        self.done(who)

    def done(self, who: str, *, good: bool = False) -> None:
        """The refresh that `who` was woken for has ended, or was not needed. Only good ones count for the mean time."""
        now = self._monotonic()
        with self._lock:
            turn = self._turn
            if turn is None or turn.who != who:
                return
            self._turn = None
            if good:
                self._mean = smoothed(self._mean, now - turn.began)
            self._rest_until = now + rest(now - turn.began, self._settings.polling_share)
        self._look()

    def _look(self) -> None:
        """Begin the next turn if one is allowed now; otherwise look again when one is."""
        now = self._monotonic()
        with self._lock:
            wake = self._begin(now)
            again = self._look_again_in(now)
        if again is not None:
            self._after(again, self._looked)
        if wake is not None:
            wake()

    def _begin(self, now: float) -> Callable[[], None] | None:
        """The wake of the account whose turn begins; `None` when no turn may begin. Called with the lock held."""
        if self._turn is not None or now < self._rest_until:
            return None
        who = self._queue.take(now)
        if not isinstance(who, str) or who not in self._wakes:
            return None
        self._turn = _Turn(who, now)
        if not self._is_watched:
            self._is_watched = True
            self._after(self._settings.call_timeout + GIVEN_UP_AFTER, self._watch)
        return self._wakes[who]

    def _look_again_in(self, now: float) -> float | None:
        """Seconds until the next look; `None` when one is planned already. Called with the lock held."""
        due = self._queue.next_at()
        if due is None or self._turn is not None:
            return None
        at = max(due, self._rest_until, now)
        if at >= self._looking_at:
            return None
        self._looking_at = at
        return at - now

    def _looked(self) -> None:
        with self._lock:
            self._looking_at = float("inf")
        self._look()

    def _watch(self) -> None:
        """Give up the turn under way when its time is over. One timer serves all turns: each would keep its own."""
        with self._lock:
            turn = self._turn
            left = 0.0 if turn is None else self._left(turn)
            self._is_watched = left > 0
        if left > 0:
            self._after(left, self._watch)
        elif turn is not None:
            self.done(turn.who)

    def _left(self, turn: _Turn) -> float:
        """Seconds until the turn is given up."""
        return turn.began + self._settings.call_timeout + GIVEN_UP_AFTER - self._monotonic()
