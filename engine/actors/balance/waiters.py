"""Who waits for a balance, and which refresh may answer him."""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple

from engine.rules.balance.snapshot import BalanceSnapshot


class _Waiter(NamedTuple):
    answer: Future[BalanceSnapshot]
    refresh: int
    """The number of the first refresh that is young enough for him."""


class Waiters:
    """The askers of one account. Not thread-safe: they live in the `BalanceActor`'s thread."""

    def __init__(self) -> None:
        self._waiting: list[_Waiter] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, refresh: int) -> Future[BalanceSnapshot]:
        """One more, for whom refreshes before that number do not count."""
        waiter = _Waiter(Future(), refresh)
        self._waiting.append(waiter)
        return waiter.answer

    def answer(self, snapshot: BalanceSnapshot, refresh: float = float("inf")) -> None:
        """That refresh is over, well or badly; without a number, no other follows."""
        served = [each for each in self._waiting if each.refresh <= refresh]
        self._waiting = [each for each in self._waiting if each.refresh > refresh]
        for each in served:
            each.answer.set_result(snapshot)

    def give_up(self, answer: Future[BalanceSnapshot], snapshot: BalanceSnapshot) -> None:
        """His time is over: he gets what is known."""
        for each in [each for each in self._waiting if each.answer is answer]:
            self._waiting.remove(each)
            answer.set_result(snapshot)
