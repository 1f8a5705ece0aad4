"""What keeps an account from harm while nobody looks: pauses of its trading, and dead man's switches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.actors.lane.messages import PrivateCall
from engine.errors import TradingPaused
from engine.kraken.unlisted import endpoint_of

_PAUSED = (
    "Trading of account {account} is paused, so {what} was not sent; cancels go on. To place orders again: "
    "kraken-engine resume-trading, engine.resume_trading, or the dashboard."
)


class Safeguards:
    """The pauses and switches of one engine in memory; the journal of orders has them on disk.

    The `OrderActor` writes it, in its own thread. Any thread may read it; nothing waits.
    """

    def __init__(self) -> None:
        self._paused: dict[str, datetime] = {}
        self._switches: dict[str, int] = {}

    @property
    def paused(self) -> Mapping[str, datetime]:
        """Since when the trading of each paused account is paused."""
        return dict(self._paused)

    @property
    def switches(self) -> Mapping[str, int]:
        """With how many seconds each account's dead man's switch is armed; 0 while it is being disarmed."""
        return dict(self._switches)

    def check(self, call: PrivateCall) -> None:
        """Raise `TradingPaused` for a call that places or changes an order of a paused account."""
        if call.account in self._paused and endpoint_of(call.endpoint, call.params, call.endpoint_class).places:
            raise self._refusal(call.account, call.endpoint)

    def check_order(self, account: str) -> None:
        """Raise `TradingPaused` for an order of a paused account."""
        if account in self._paused:
            raise self._refusal(account, "the order")

    @staticmethod
    def _refusal(account: str, what: str) -> TradingPaused:
        return TradingPaused(_PAUSED.format(account=account, what=what), account=account)

    def pause(self, account: str, since: datetime) -> None:
        """No order of the account goes out from now on."""
        self._paused[account] = since

    def resume(self, account: str) -> None:
        """Orders of the account go out again."""
        self._paused.pop(account, None)

    def arm(self, account: str, seconds: int) -> None:
        """The account's switch is armed with so many seconds, or is being disarmed with 0."""
        self._switches[account] = seconds

    def disarmed(self, account: str) -> None:
        """The account has no switch any more."""
        self._switches.pop(account, None)
