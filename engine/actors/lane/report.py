"""The state of the private lane, for those who watch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class KeyReport:
    """One account's API key, as the lane sees it."""

    level: float
    """Points on Kraken's call counter, as we count them."""
    limit: float
    """The points at which Kraken refuses a call."""
    nonces: int
    """Nonces issued since the start."""
    lead: float
    """Seconds by which the next nonce is above the clock; 0 when it follows the clock."""
    mark: int
    """The durable mark of its nonces; 0 when there is none."""
    denied: tuple[str, ...] = ()
    """Endpoints that Kraken denies to the key; their calls are kept back."""
    denied_markets: tuple[str, ...] = ()
    """Markets on which Kraken denies orders to the account or key; none is sent there now."""
    trades: Mapping[str, float] = field(default_factory=dict)
    """Points on the trading counters of the account, by pair as the calls named it; idle pairs are left out."""
    trades_limit: float = 0.0
    """The points at which Kraken refuses an order on a pair."""
    kept: float = 0.0
    """Points below the limit that reads leave free, for cancels and for looking up orders."""
    limited: int = 0
    """How often Kraken limited a call since the start, although our count had room for it."""

    @property
    def left(self) -> float:
        """Points that a read may still take now."""
        return max(0.0, self.limit - self.kept - self.level)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the mark is a string."""
        return {
            "denied_markets": list(self.denied_markets),
            "level": round(self.level, 3), "limit": self.limit, "kept": self.kept,
            "nonces": self.nonces, "lead": round(self.lead, 3),
            "mark": str(self.mark), "denied": list(self.denied), "trades_limit": self.trades_limit,
            "trades": {pair: round(points, 3) for pair, points in self.trades.items()},
            "limited": self.limited,
        }  # fmt: skip


class KeyReports(Mapping[str, KeyReport]):
    """The keys at one moment, by account. What changes is copied at that moment; a report is made when it is read.

    For thousands of accounts, of which those who look read a few or none.
    """

    __slots__ = ("_made", "_make", "_moments")

    def __init__(self, moments: Mapping[str, Any], make: Callable[[str, Any], KeyReport]) -> None:
        self._moments, self._make = moments, make
        self._made: dict[str, KeyReport] = {}

    def __getitem__(self, account: str) -> KeyReport:
        made = self._made.get(account)
        if made is None:
            made = self._made[account] = self._make(account, self._moments[account])
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._moments)

    def __len__(self) -> int:
        return len(self._moments)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


@dataclass(frozen=True, slots=True)
class LaneReport:
    """The private lane at one moment. It is read while the lane works, so two numbers may be one call apart."""

    keys: Mapping[str, KeyReport]
    """By account."""
    skew: float | None
    """Seconds by which this machine's clock is ahead of Kraken's; `None` while unknown."""
    reservations: int
    """How often a nonce mark was made durable since the start."""
    write_seconds: float
    """Seconds that those writes took in total."""
    is_lost: bool = False
    """Whether the state directory, or a key, was not this engine's any more at the last look. Nothing is sent then."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "keys": {name: each.to_dict() for name, each in self.keys.items()},
            "skew": None if self.skew is None else round(self.skew, 3),
            "reservations": self.reservations,
            "write_seconds": round(self.write_seconds, 6),
            "is_lost": self.is_lost,
        }
