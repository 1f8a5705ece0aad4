"""What the scheduler and the poller tell a `BalanceActor`."""

from __future__ import annotations

from concurrent.futures import Future

from engine.rules.balance.snapshot import BalanceSnapshot


class Wake:
    """A request is due. Only the newest plan's counts: see `Refresh.turn`."""

    __slots__ = ("turn",)

    def __init__(self, turn: int) -> None:
        self.turn = turn


class GiveUp:
    """A caller's time is over."""

    __slots__ = ("waiter",)

    def __init__(self, waiter: Future[BalanceSnapshot]) -> None:
        self.waiter = waiter


class Compare:
    """Kraken's stream is believed from now on: what it has told is compared with what is known."""

    __slots__ = ()


class Listen:
    """Kraken is silent now, unless there was a good reply meanwhile."""

    __slots__ = ()
