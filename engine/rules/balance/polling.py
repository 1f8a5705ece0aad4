"""How often balances are refreshed, and in which order (fair polling).

All accounts share one lane, and each key has its own call counter. Polling may use only a share of both: the rest is
for calls that somebody makes. With few accounts the interval is the one in the settings; with many it is longer.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import NamedTuple

SAFETY_EVERY = 60.0
"""Seconds between two refreshes of an account while Kraken's stream says that nothing changes: what a stream withholds
cannot be noticed otherwise."""
SAFETY_SPACING = 0.3
"""Seconds between the first of these of successive accounts, so that 200 of them make 3.3 a second."""
SMOOTHING = 0.2  # the weight of the newest refresh in the mean duration
COST = 1.0  # points that one refresh adds to a key's call counter


def interval(every: float, accounts: int, seconds: float, share: float, decay: float | None) -> float:
    """Seconds between two refreshes of one account.

    every: the interval in the settings. accounts: how many are refreshed. seconds: the mean duration of a refresh.
    share: the part of the lane and of a key's counter that polling may use. decay: points that the counter loses per
    second; `None` when it is not counted.
    """
    by_lane = accounts * seconds / share
    by_counter = 0.0 if decay is None else COST / (decay * share)
    return max(every, by_lane, by_counter)


def safety_pause(position: int, *, is_first: bool) -> float:
    """Seconds until an account's next safety read; the first is later for each account than for the one before it."""
    return SAFETY_EVERY + (SAFETY_SPACING * position if is_first else 0.0)


def rest(seconds: float, share: float) -> float:
    """Seconds that polling pauses after a refresh of `seconds`, so that it uses no more than its share."""
    return seconds * (1 / share - 1)


def smoothed(mean: float | None, seconds: float) -> float:
    """The mean duration of a refresh after one more."""
    return seconds if mean is None else mean + SMOOTHING * (seconds - mean)


class _Plan(NamedTuple):
    """When an account is due. Plans are compared by that, and by their numbers, which all differ."""

    when: float
    number: int
    who: Hashable
    failing: bool


class Queue:
    """Which account is refreshed next: of those that are due the healthy ones first, then the one due longest.

    So failing accounts delay a healthy one by one call at most, however many they are. Not thread-safe.
    """

    def __init__(self) -> None:
        self._coming: list[_Plan] = []
        self._due: list[tuple[bool, _Plan]] = []
        self._plans: dict[Hashable, _Plan] = {}
        self._count = 0

    def plan(self, who: Hashable, when: float, *, failing: bool) -> None:
        """`who` is due at `when`. Replaces the plan that `who` had."""
        self._count += 1
        plan = self._plans[who] = _Plan(when, self._count, who, failing)
        heapq.heappush(self._coming, plan)

    def drop(self, who: Hashable) -> None:
        """Remove `who`."""
        self._plans.pop(who, None)

    def take(self, now: float) -> Hashable | None:
        """Remove and return the account whose turn it is at `now`; `None` while none is due."""
        while self._coming and self._coming[0].when <= now:
            plan = heapq.heappop(self._coming)
            if self._counts(plan):
                heapq.heappush(self._due, (plan.failing, plan))
        while self._due:
            _, plan = heapq.heappop(self._due)
            if self._counts(plan):
                del self._plans[plan.who]
                return plan.who
        return None

    def next_at(self) -> float | None:
        """When the next account is due; `None` when none is planned."""
        if any(self._counts(plan) for _, plan in self._due):
            return self._due[0][1].when
        while self._coming and not self._counts(self._coming[0]):
            heapq.heappop(self._coming)
        return self._coming[0].when if self._coming else None

    def _counts(self, plan: _Plan) -> bool:
        """Whether it is the newest plan of its account."""
        return self._plans.get(plan.who) is plan
