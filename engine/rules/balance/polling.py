"""How often balances are refreshed, and whose turn it is (fair polling).

All accounts share one lane, and each key has a call counter of its own, so refreshing may take only a share of both:
the rest is for what somebody asks for. With few accounts the interval is the one that was set; with many it stretches.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable

SMOOTHING = 0.2  # the weight of the newest refresh in the mean time that one takes
COST = 1.0  # points of a key's call counter that one refresh costs


def interval(every: float, accounts: int, seconds: float, share: float, decay: float | None) -> float:
    """Seconds between two refreshes of one account.

    every: as it was set. accounts: how many are refreshed. seconds: the lane's time for one refresh. share: the part of
    the lane and of a key's counter that refreshing may take. decay: points that the counter loses in a second; `None`
    when it is not counted.
    """
    by_lane = accounts * seconds / share
    by_counter = 0.0 if decay is None else COST / (decay * share)
    return max(every, by_lane, by_counter)


def rest(seconds: float, share: float) -> float:
    """Seconds that polling pauses after a refresh that took `seconds`, so that it takes no more than its share."""
    return seconds * (1 / share - 1)


def smoothed(mean: float | None, seconds: float) -> float:
    """The mean time of a refresh after one more."""
    return seconds if mean is None else mean + SMOOTHING * (seconds - mean)


class Queue:
    """Whose refresh comes next: among those that are due, the healthy ones first, then by the time they are due.

    So one account that hangs costs the others one call of its own, and not one of every other failing account's. Not
    thread-safe.
    """

    def __init__(self) -> None:
        self._coming: list[tuple[float, int, Hashable]] = []
        self._due: list[tuple[bool, float, int, Hashable]] = []
        self._plans: dict[Hashable, tuple[int, bool]] = {}
        self._count = 0

    def plan(self, who: Hashable, when: float, *, failing: bool) -> None:
        """`who` is due at `when`; what was planned for it before no longer counts."""
        self._count += 1
        self._plans[who] = (self._count, failing)
        heapq.heappush(self._coming, (when, self._count, who))

    def drop(self, who: Hashable) -> None:
        """`who` is not to be refreshed any more."""
        self._plans.pop(who, None)

    def take(self, now: float) -> Hashable | None:
        """Whose turn it is at `now`; `None` while nobody is due. It is then no longer planned."""
        while self._coming and self._coming[0][0] <= now:
            when, number, who = heapq.heappop(self._coming)
            if self._is_planned(who, number):
                heapq.heappush(self._due, (self._plans[who][1], when, number, who))
        while self._due:
            _, _, number, who = heapq.heappop(self._due)
            if self._is_planned(who, number):
                del self._plans[who]
                return who
        return None

    def next_at(self) -> float | None:
        """When somebody is due next; `None` when nothing is planned."""
        if any(self._is_planned(who, number) for _, _, number, who in self._due):
            return self._due[0][1]
        while self._coming and not self._is_planned(self._coming[0][2], self._coming[0][1]):
            heapq.heappop(self._coming)
        return self._coming[0][0] if self._coming else None

    def _is_planned(self, who: Hashable, number: int) -> bool:
        return self._plans.get(who, (0, False))[0] == number
