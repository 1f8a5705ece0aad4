"""What a pass through the gates takes from the engine around it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from engine.kraken.drift import Note
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.fees import Fee
from engine.rules.gates.view import KeyFacts
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.stream.price_subscription import PushedPrice
from engine.values import Pair


class Unsettled(NamedTuple):
    """Orders whose outcome is not known: a sentence for each, and what they may take of each asset."""

    sentences: tuple[str, ...]
    reserved: Mapping[str, Decimal]


class GateContext(Protocol):
    """The engine around the gates, for any thread. Only what takes `seconds` may wait for Kraken."""

    def refreshed(self, account: str, max_age: float, seconds: float) -> BalanceSnapshot:
        """The balance, fetched anew when it is older; what is known by then."""
        ...

    def public(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        """A public call. Raises `CallError`, or `ConfigError` for an unknown endpoint."""
        ...

    def pushed(self, pairs: Collection[Pair], max_age: float) -> Mapping[str, PushedPrice]:
        """The prices that push tells now of these pairs, at most `max_age` seconds old, by the pair's id; at once.

        Empty without push. Those that are missing are asked for from now on.
        """
        ...

    def noter(self, endpoint: str) -> Note:
        """Takes what is new or odd in the replies of an endpoint."""
        ...

    def pair(self, name: str, seconds: float) -> Pair:
        """The facts of a pair. Raises `CallError`."""
        ...

    def refresh_fees(self, account: str, pairs: Collection[Pair], seconds: float) -> None:
        """Ask what the account pays on these pairs, where that is due and the key's call counter has room for it.

        Raises nothing; waits a moment at most.
        """
        ...

    def fee(self, account: str, pair: Pair) -> Fee:
        """What a purchase on a pair is counted with, by what is known now; at once."""
        ...

    def known(self, account: str) -> BalanceSnapshot:
        """The last known balance, at once."""
        ...

    def plain_name(self, asset: str) -> str:
        """The plain name of an asset that Kraken calls so."""
        ...

    def lane(self, account: str) -> tuple[KeyFacts | None, float | None]:
        """How the account's key stands, and the seconds by which this machine's clock is ahead of Kraken's.

        `None` where that is not known, or while the lane does not run.
        """
        ...

    def unsettled(self, account: str) -> Unsettled:
        """What is not known of the account's orders. Raises `EngineError` when the journal cannot be asked."""
        ...

    def send(self, account: str, order: Order, seconds: float | None, *, live: bool) -> OrderReceipt:
        """Place the order, or let Kraken check it; within `seconds`, if any are said. Raises as `Engine.place` does."""
        ...
