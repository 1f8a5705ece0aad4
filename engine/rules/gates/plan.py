"""The plan of a pass through the gates: what may be traded, by whose choice, and within which limits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from decimal import Decimal
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError
from engine.rules.gates.gate import Gate, Verdict
from engine.rules.order.order import Order
from engine.values.dataclass import dataclass

MOST_PAIRS = 1000
_AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_SECONDS = ("max_balance_age", "max_data_age", "max_skew", "patience")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that the scanner picked. `note` is for people, `data` for the strategy."""

    pair: str
    """By its name in the plan."""
    note: str = ""
    data: Any = None


# The view that these are called with is a `TradeView`, which knows its plan: a plan cannot know it by its type.
Scanner = Callable[[Any], Iterable[str | Candidate]]
Strategy = Callable[[Candidate, Any], Order | None]
AnyGate = Gate | Callable[[Any], Verdict]
Amount = Decimal | str | int


def every_pair(view: Any) -> Iterable[str]:
    """The scanner that picks every pair of the plan, in its order."""
    pairs: Iterable[str] = view.plan.pairs
    return pairs


def no_order(candidate: Candidate, view: Any) -> None:
    """The strategy that never wants anything."""


@dataclass(frozen=True, kw_only=True)
class TradePlan:
    """What an account trades, and how a pass through the gates decides over it.

    pairs: the pairs that may be traded, by any of Kraken's names.
    scanner: called with the `TradeView` of a pass; returns the pairs to look at, the best first (names, or
        `Candidate`s). Called in every pass that has market data, also when an earlier gate denies.
    strategy: called with a `Candidate` and the view, for one candidate after the other until it returns an `Order`;
        `None` is not an order. Called only when no gate before the signal has denied.
    order: in place of a strategy the one order that is wanted; capital is then validated for it, and its pair is the
        plan's.
    gates: the gates in their order; `None`: the five of `FIVE_GATES`. An empty list denies.
    data: what else to fetch before each pass, by a name of yours: endpoint and parameters of a public call, such as
        ``{"candles": ("OHLC", {"pair": "XBTUSD", "interval": 1})}``; in the view as ``view.data["candles"]``.
    reserve: what is kept back: an amount of each quote asset, or amounts by the asset's plain name.
    max_balance_age: a balance older than this (seconds) is fetched anew first.
    max_data_age: market data older than this (seconds) deny; they are fetched in every pass.
    max_spread: the widest spread, in percent of the middle.
    slippage: how much worse than the best price an order without a limit may be filled, in percent.
    max_skew: by how many seconds this machine's clock may differ from Kraken's, which is known to a second or two.
    patience: how long (seconds) the scanner, the strategy and each gate of yours may take.
    interval: seconds from the end of a pass to the next one; `None`: only on demand.

    Amounts and percents are texts, `Decimal` or whole numbers. Scanner, strategy and gates of yours run in a thread of
    their own; what they raise, and what they do not return in time, denies. Raises `ConfigError`.
    """

    pairs: tuple[str, ...] = ("XBTUSD",)
    scanner: Scanner = every_pair
    strategy: Strategy = no_order
    order: Order | None = None
    gates: tuple[AnyGate, ...] | None = None
    data: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    reserve: Decimal | Mapping[str, Decimal] = Decimal(0)
    max_balance_age: float = 5.0
    max_data_age: float = 5.0
    max_spread: Decimal = Decimal("0.5")
    slippage: Decimal = Decimal(1)
    max_skew: float = 5.0
    patience: float = 5.0
    interval: float | None = None

    if TYPE_CHECKING:  # it takes more than it keeps: what is given as a text or list is a `Decimal` or tuple later

        def __init__(
            self,
            *,
            pairs: Iterable[str] = ("XBTUSD",),
            scanner: Scanner = every_pair,
            strategy: Strategy = no_order,
            order: Order | None = None,
            gates: Iterable[AnyGate] | None = None,
            data: Mapping[str, tuple[str, Mapping[str, Any]]] = {},
            reserve: Amount | Mapping[str, Amount] = 0,
            max_balance_age: float = 5.0,
            max_data_age: float = 5.0,
            max_spread: Amount = "0.5",
            slippage: Amount = 1,
            max_skew: float = 5.0,
            patience: float = 5.0,
            interval: float | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        put = object.__setattr__
        if self.order is not None:
            put(self, "pairs", (self.order.pair,))
            put(self, "strategy", partial(_always, self.order))
        put(self, "pairs", _pairs(self.pairs))
        put(self, "data", _data(self.data))
        put(self, "reserve", _reserve(self.reserve))
        for name in ("max_spread", "slippage"):
            put(self, name, _amount(f"TradePlan.{name}", getattr(self, name)))
        for name in (*_SECONDS, *(("interval",) if self.interval is not None else ())):
            _check_seconds(name, getattr(self, name))
        gates: tuple[Any, ...] = () if self.gates is None else tuple(self.gates)
        put(self, "gates", None if self.gates is None else gates)
        for each in (self.scanner, self.strategy, *gates):
            if not callable(each):
                raise ConfigError(f"{each!r} cannot be called: scanner, strategy and gates are functions.")

    def kept_back(self, asset: str, *, is_quote: bool) -> Decimal:
        """What of an asset (by its plain name) no order may use."""
        if isinstance(self.reserve, Mapping):
            return self.reserve.get(asset, Decimal(0))
        return self.reserve if is_quote else Decimal(0)


def _always(order: Order, candidate: Candidate, view: Any) -> Order:
    return order


def _pairs(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(value)
    if not 0 < len(names) <= MOST_PAIRS or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"TradePlan.pairs names 1 to {MOST_PAIRS} pairs as Kraken does, such as ('XBTUSD',).")
    return tuple(dict.fromkeys(names))


def _data(value: Any) -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    try:
        return MappingProxyType({name: (endpoint, dict(params)) for name, (endpoint, params) in value.items()})
    except (AttributeError, TypeError, ValueError):
        raise ConfigError(
            "TradePlan.data gives names to public calls, such as {'candles': ('OHLC', {'pair': 'XBTUSD'})}."
        ) from None


def _reserve(value: Any) -> Decimal | Mapping[str, Decimal]:
    if not isinstance(value, Mapping):
        return _amount("TradePlan.reserve", value)
    return MappingProxyType({name: _amount(f"TradePlan.reserve[{name!r}]", each) for name, each in value.items()})


def _amount(name: str, value: object) -> Decimal:
    is_exact = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
    text = format(value, "f") if isinstance(value, Decimal) and value.is_finite() else str(value)
    if not is_exact or not _AMOUNT.fullmatch(text):
        raise ConfigError(f"{name} is {value!r}: give an amount that is not negative as a text, like '0.5'.")
    return Decimal(text)


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e6:
        raise ConfigError(f"TradePlan.{name} is {value!r}: it is a positive number of seconds.")
