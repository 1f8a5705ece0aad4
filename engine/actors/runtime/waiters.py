"""Callers that wait for the same thing and are answered together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")
Wish = TypeVar("Wish")


def _everyone(wish: Any) -> bool:
    return True


class Waiters(Generic[Wish, Answer]):
    """Futures by what each caller waits for (its *wish*). Not thread-safe: they belong to their actor's thread.

    A handler returns the future of `add`, and the mailbox answers the caller when it is done. Each future is completed
    exactly once: by `answer`, `fail` or `give_up`.
    """

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Answer], Wish]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, wish: Wish) -> Future[Answer]:
        """One more caller."""
        future: Future[Answer] = Future()
        self._waiting.append((future, wish))
        return future

    def answer(self, answer: Answer, is_served: Callable[[Wish], bool] = _everyone) -> None:
        """Complete the futures of all whose wish is served."""
        for future in self._take(is_served):
            future.set_result(answer)

    def fail(self, error: Exception) -> None:
        """Complete the futures of all with an error."""
        for future in self._take(_everyone):
            future.set_exception(error)

    def give_up(self, future: Future[Answer], answer: Answer) -> bool:
        """The time of one caller is over: answer with what is known. `False` when it was answered before."""
        left = [each for each in self._waiting if each[0] is not future]
        waited = len(left) < len(self._waiting)
        self._waiting = left
        if waited:
            future.set_result(answer)
        return waited

    def _take(self, is_served: Callable[[Wish], bool]) -> list[Future[Answer]]:
        served, left = [], []
        for future, wish in self._waiting:
            if is_served(wish):
                served.append(future)
            else:
                left.append((future, wish))
        self._waiting = left
        return served
