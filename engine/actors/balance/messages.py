"""What a `BalanceActor` and the archive of balances are asked and told."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ReadBalance:
    """Asks a `BalanceActor` for its `BalanceSnapshot`.

    With `max_age` (seconds) an older value is refreshed first, for at most `timeout` seconds; the answer is what is
    known by then, never a network error. Concurrent callers share one refresh.
    """

    max_age: float | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Tells a `BalanceActor` that a call has changed, or may have changed, what the account holds."""

    at: float
    """When the call ended, by the monotonic clock: a reply that was asked for before is out of date."""


@dataclass(frozen=True, slots=True)
class ForgetBalance:
    """Asks a `BalanceActor` to start over: its account has another key, and what is known is not that key's balance."""


@dataclass(frozen=True, slots=True)
class BalanceRecord:
    """Gives the archive an account's last good reply, to be kept over restarts, and what was read from it."""

    snapshot: BalanceSnapshot
    """The balance as it was shown, for the history; its `as_of` is known."""
    endpoint: str
    """Which endpoint answered: only ``BalanceEx`` tells holds."""
    result: Mapping[str, Any]
    key_id: str
    """Whose key fetched it: a balance of another key is never shown as this account's."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Tells that a request is due. Only the newest plan's counts: see `Refresh.turn`."""

    turn: int


@dataclass(frozen=True, slots=True, eq=False)
class GiveUp:
    """Tells that a caller's time is over."""

    waiter: Future[BalanceSnapshot]


@dataclass(frozen=True, slots=True)
class Compare:
    """Tells that Kraken's stream is believed from now on: what it has told is compared with what is known."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Tells that Kraken is silent now, unless there was a good reply meanwhile."""


LISTEN = Listen()
