"""What Kraken's stream means for one account's refreshes: fewer while it is quiet, more while REST is behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.actors.balance.poller import Poller
from engine.rules.backoff import Backoff
from engine.rules.balance.snapshot import unconfirmed
from engine.stream.pulse import Pulse
from engine.values import AssetBalance

AGAIN = Backoff(1.0, 60.0)
"""Seconds between requests whose replies are behind what the stream has told."""


class PushWatch:
    """Lives in the actor's thread. Without a `pulse` it changes nothing."""

    __slots__ = ("_account", "_behind", "_is_settled", "_is_spread", "_poller", "_pulse", "interval")

    def __init__(self, account: str, pulse: Pulse | None, poller: Poller) -> None:
        self._account, self._pulse, self._poller = account, pulse, poller
        self._behind = 0
        self._is_settled, self._is_spread = True, False
        self.interval = 0.0
        """Seconds from the last request to the next while the stream is quiet; 0: it is not."""

    @property
    def confirmed(self) -> Callable[[float], float | None]:
        """For `BalanceSnapshot`: how long ago the stream confirmed a balance of some time."""
        return unconfirmed if self._pulse is None else self._pulse.confirmed

    def compare(self, assets: Mapping[str, AssetBalance]) -> bool:
        """Whether REST is behind what the stream has told."""
        is_behind = self._pulse is not None and self._pulse.is_ahead_of(assets)
        self._behind = self._behind + 1 if is_behind else 0
        return is_behind

    def changed(self) -> None:
        """The stream, or a call of ours, has told of a change: REST may tell of it late, so one more read follows."""
        self._behind, self._is_settled = 0, False

    def again(self) -> float:
        """Seconds until REST is asked once more, after a reply that was behind."""
        return AGAIN.pause(max(0, self._behind - 1))

    def quiet_pause(self, as_of: float | None) -> float | None:
        """Seconds until the next safety read, while the stream confirms a balance of `as_of`; else `None`."""
        if self._pulse is None or as_of is None or self._pulse.confirmed(as_of) is None:
            self._is_spread, self.interval = False, 0.0
            return None
        if not self._is_settled:  # holds may lag too, and no total shows that
            self._is_settled, self.interval = True, 0.0
            return None
        self.interval = self._poller.safety_pause(self._account, is_first=not self._is_spread)
        self._is_spread = True
        return self.interval
