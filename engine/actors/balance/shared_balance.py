"""A `BalanceActor` in a thread that it shares with others."""

from __future__ import annotations

from engine.actors.balance.balance import BalanceActor
from engine.actors.runtime.shared_threads import SharedActor


class SharedBalanceActor(SharedActor, BalanceActor):
    """Everything that a `BalanceActor` is, started with `start_on`. Its handlers never wait."""
