"""What the gates look at: one frozen view of everything, with every age in it. Nothing is fetched through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from decimal import Decimal
from itertools import islice
from types import MappingProxyType
from typing import Any

from engine.kraken.pair_names import is_named, market_key
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.fees import Fee
from engine.rules.gates.plan import Candidate, TradePlan
from engine.rules.order.order import Order
from engine.values import Pair, Ticker
from engine.values.dataclass import dataclass

MOST_CANDIDATES = 1000


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of one pair of the plan. `None` and `problem` where Kraken did not tell."""

    pair: Pair | None = None
    base: str = ""
    """The plain name of what is traded, such as ``XBT``."""
    quote: str = ""
    """And of what pays for it, such as ``USD``."""
    ticker: Ticker | None = None
    at: float = float("-inf")
    """When the ticker was asked for, by the monotonic clock."""
    problem: str | None = None
    fee: Fee | None = None
    """What a purchase is counted with; there wherever `pair` is."""


@dataclass(frozen=True, slots=True)
class SystemState:
    """Kraken's SystemStatus, or why it is not known."""

    status: str | None = None
    at: float = float("-inf")
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """How an account's key stands with Kraken, and how full its counters are."""

    state: str = "open"
    sentence: str = ""
    denied: tuple[str, ...] = ()
    """Endpoints that Kraken denies to it."""
    level: float = 0.0
    limit: float = 0.0
    """Points on the call counter, and the most it takes."""
    trades: Mapping[str, float] = field(default_factory=dict)
    trades_limit: float = 0.0
    """The same of the trading counter, by market (`pair_names.market_key`)."""
    denied_markets: tuple[str, ...] = ()
    """Markets on which Kraken denies orders to the account or key, and on which none is sent now."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scanner said: its candidates, or how it failed."""

    candidates: tuple[Candidate, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """What the strategy said: an order for a candidate, nothing at all, or how it failed."""

    order: Order | None = None
    candidate: Candidate | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class TradeView:
    """Everything a gate, a scanner or a strategy may look at, as it was at `now`. Immutable.

    now: by the monotonic clock; the ages below count up to it.
    live: whether an order that passes is placed; otherwise Kraken only checks it.
    balance: fixed at `now`. was_refreshed: whether it was young enough when the pass had asked for it.
    system, key, skew: Kraken's state, the key's, and the seconds by which this machine's clock is ahead of Kraken's;
        `None` where that is not known.
    counts: whether the counters decide (`Settings.local_limits`).
    unsettled: what is not known to be placed or not: a sentence for each. reserved: what it may still use, by asset.
    markets: by the pair's name in the plan. data: what `TradePlan.data` asked for, and when
        (`data_at`); what did not come is not in it, and `missing` says why.
    scan, signal: what the scanner and the strategy said; `None` while they were not asked.
    """

    account: str
    plan: TradePlan
    now: float
    balance: BalanceSnapshot
    live: bool = False
    was_refreshed: bool = True
    system: SystemState = SystemState()
    key: KeyFacts | None = None
    skew: float | None = None
    counts: bool = True
    unsettled: tuple[str, ...] = ()
    reserved: Mapping[str, Decimal] = field(default_factory=dict)
    markets: Mapping[str, Market] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    data_at: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    scan: Scan | None = None
    signal: Signal | None = None

    def __post_init__(self) -> None:
        for name in ("reserved", "markets", "data", "data_at", "missing"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def market(self, pair: str) -> Market:
        """What is known of a market, by its name in the plan or any other of its names."""
        known = self.markets.get(pair)
        if known is not None:
            return known
        found = (each for each in self.markets.values() if each.pair is not None and is_named(each.pair, pair))
        return next(found, Market(problem="It is none of the plan's pairs."))


def read_candidates(value: Any, plan: TradePlan) -> Scan:
    """What a scanner returned, made sense of. Runs the host's code when `value` is a generator."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return Scan(problem=f"The scanner returned {_kind(value)}: it has to return a list of pairs.")
    found = []
    names = {market_key(name): name for name in reversed(plan.pairs)} | {name: name for name in plan.pairs}
    for each in islice(_candidates(value), MOST_CANDIDATES + 1):
        known = None if each is None else names.get(each.pair) or names.get(market_key(each.pair))
        if each is None or known is None:
            name = "something else than pairs" if each is None else f"{str(each.pair)[:40]!r}"
            return Scan(problem=f"The scanner picked {name}; the plan has {', '.join(plan.pairs[:5])}.")
        found.append(each if each.pair == known else replace(each, pair=known))
    if len(found) > MOST_CANDIDATES:
        return Scan(problem=f"The scanner picked more than {MOST_CANDIDATES} candidates.")
    return Scan(tuple(found))


def _candidates(value: Any) -> Iterator[Candidate | None]:
    for each in value:
        if isinstance(each, str):
            yield Candidate(each)
        else:
            yield each if isinstance(each, Candidate) and isinstance(each.pair, str) else None


def read_order(value: Any, candidate: Candidate) -> Signal | None:
    """What a strategy returned for a candidate; `None` for no order."""
    if value is None:
        return None
    if isinstance(value, Order):
        return Signal(value, candidate)
    return Signal(problem=f"The strategy returned {_kind(value)}: it has to return an Order or None.")


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
