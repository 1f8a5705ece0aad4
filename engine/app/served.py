"""What a service asks of the engine that it serves: one engine, or all accounts of a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.actors.lane.queued_call import FutureReply
from engine.app.verbs import Verbs
from engine.errors import CallError
from engine.rules.balance.history import BalanceMark, BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.order.order import Order
from engine.rules.order.placement import Placement


class ServedAccount(Protocol):
    """What a service asks beyond `Verbs`, of one account. Each method is that of `Engine`, from any thread."""

    def submit_to(
        self, reply: FutureReply, account: str, endpoint: str, params: Mapping[str, Any] | None,
        timeout: float | None, endpoint_class: str | None = None,
    ) -> None:  # fmt: skip
        """`Engine.submit_to`. Never waits."""
        ...

    def place_for(
        self, client: str, client_id: str | None, account: str, order: Order, timeout: float
    ) -> Placement:
        """`Engine.place_for`."""
        ...

    def place_batch_for(
        self, client: str, asked: Sequence[tuple[Order, str | None]], account: str, timeout: float
    ) -> list[Placement | CallError]:
        """`Engine.place_batch_for`."""
        ...

    def placements(self, account: str, names: Mapping[str, str | None]) -> Mapping[str, Placement]:
        """`Engine.placements`."""
        ...

    def placements_of(
        self, account: str, client: str | None, param: str, value: str | int, *, is_open: bool
    ) -> list[Placement]:
        """`Engine.placements_of`."""
        ...

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.pause_trading`."""
        ...

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.resume_trading`."""
        ...

    def arm(self, account: str, seconds: int = 60, timeout: float | None = None) -> None:
        """`Engine.arm`."""
        ...

    def disarm(self, account: str, timeout: float | None = None) -> None:
        """`Engine.disarm`."""
        ...

    def history(self, account: str, days: float = 366.0) -> tuple[BalancePoint, ...]:
        """`Engine.history`."""
        ...

    def history_marks(self, account: str) -> tuple[BalanceMark, ...]:
        """`Engine.history_marks`."""
        ...


class AccountVerbs(Verbs, ServedAccount, Protocol):
    """All of it, of one account wherever it is."""


class ServedEngine(AccountVerbs, Protocol):
    """What is served."""

    def check_account(self, account: str) -> None:
        """Raise `UnknownName` for an account that is not served. Never waits."""
        ...

    def known_balance(self, account: str) -> BalanceSnapshot | None:
        """The last known balance where it is kept here, else `None`. Never waits."""
        ...

    def announce(self, event: object) -> None:
        """`Engine.announce`."""
        ...

    def stop(self, timeout: float = 10.0) -> None:
        """`Engine.stop`."""
        ...
