"""What the scheduler and the poller tell a `BalanceActor`."""

from __future__ import annotations

from concurrent.futures import Future

from engine.rules.balance.snapshot import BalanceSnapshot


class Wake:
    """The poller's or the scheduler's message: a refresh is due. Only the newest one counts."""

    __slots__ = ("turn",)

    def __init__(self, turn: int) -> None:
        self.turn = turn


class GiveUp:
    """The scheduler's message: an asker's time is over."""

    def __init__(self, waiter: Future[BalanceSnapshot]) -> None:
        self.waiter = waiter


class Listen:
    """The scheduler's message: unless there was a good reply meanwhile, Kraken is silent now."""
