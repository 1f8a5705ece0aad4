"""The events of one account: each begins where the last one ended, also over another key (promise G7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actors.balance.reader import Reading
from engine.actors.events import AvailabilityChanged, BalanceChanged
from engine.kraken.balances import differences
from engine.rules.balance.availability import Standing
from engine.rules.balance.snapshot import BalanceSnapshot


class ChangeEvents:
    """Publishes what has changed since the last event. Lives in the actor's thread.

    `standing`: what subscribers were told before. `snapshot`: the balance that they know.
    """

    __slots__ = ("_assets", "_publish", "_standing")

    def __init__(self, publish: Callable[[Any], None], standing: Standing, snapshot: BalanceSnapshot) -> None:
        self._publish = publish
        self._standing = standing
        self._assets = snapshot.assets

    def availability(self, snapshot: BalanceSnapshot, reason: str | None) -> None:
        """Publish `AvailabilityChanged` when the account's standing differs; a first failure and a probe are quiet."""
        before, after = self._standing, snapshot.standing
        if after.differs_from(before):
            self._standing = after
            self._publish(AvailabilityChanged(snapshot.account, after.is_available, reason, before, after))

    def balance(self, snapshot: BalanceSnapshot, reading: Reading, *, is_first: bool) -> None:
        """Publish `BalanceChanged` when an amount differs, or for the first balance.

        An asset whose rows could not be read counts as unchanged.
        """
        unread = {name: self._assets[name] for name in reading.unread & self._assets.keys()}
        assets = {**reading.assets, **unread} if unread else reading.assets
        changes, self._assets = differences(self._assets, assets), assets
        if changes or is_first:
            self._publish(BalanceChanged(snapshot.account, snapshot, changes))
