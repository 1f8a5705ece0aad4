"""Whether Kraken, the account, its key and this machine's clock are in order."""

from __future__ import annotations

from collections.abc import Iterator

from engine.kraken.pair_names import market_key, market_of
from engine.rules.gates.view import SystemState, TradeView
from engine.rules.lane.admission import SETTLEMENT

NEEDED = frozenset({"AddOrder", "CancelOrder", "OpenOrders", "ClosedOrders", "QueryOrders"})
"""The endpoints without which an order cannot be placed, taken back, or looked up."""


def health_troubles(view: TradeView) -> Iterator[str]:
    """Every reason not to trade that has nothing to do with what is traded."""
    yield from _system_troubles(view, view.system)
    if not view.balance.is_available:
        yield f"The account is not available. {view.balance.last_error or 'There was no good reply yet.'}"
    yield from _clock_troubles(view)
    yield from _key_troubles(view)
    yield from view.unsettled


def _system_troubles(view: TradeView, system: SystemState) -> Iterator[str]:
    if system.status is None:
        yield f"Kraken's status is not known. {system.problem or 'It was not asked.'}"
    elif view.now - system.at > view.plan.max_data_age:
        yield f"Kraken's status is {view.now - system.at:.1f} s old; {view.plan.max_data_age:g} s at most may be."
    elif system.status != "online":
        yield f"Kraken is not online: its status is {system.status!r}."


def _clock_troubles(view: TradeView) -> Iterator[str]:
    if view.skew is None:
        yield "Kraken's time is not known, so an order's deadline could not be given."
    elif not abs(view.skew) <= view.plan.max_skew:
        word = "ahead of" if view.skew > 0 else "behind"
        yield f"This clock is {abs(view.skew):.1f} s {word} Kraken's; {view.plan.max_skew:g} s at most may be."


def _key_troubles(view: TradeView) -> Iterator[str]:
    key = view.key
    if key is None:
        yield "The private lane does not run, so nothing is known of the key."
        return
    if key.state not in ("open", "call-refused", "product-refused"):
        yield f"The key is {key.state}. {key.sentence}"
    denied = sorted(NEEDED.intersection(key.denied))
    if denied:
        yield f"Kraken denies {', '.join(denied)} to this key: give it the permission on Kraken's API page."
    if view.counts:
        yield from _counter_troubles(view)


def _counter_troubles(view: TradeView) -> Iterator[str]:
    """A live order may have to be looked up at once, which takes its points."""
    key = view.key
    assert key is not None
    points = SETTLEMENT if view.live else 1.0
    if not key.level + points <= key.limit:
        yield (
            f"The key's call counter is at {key.level:.1f} of {key.limit:g}: there is no room for {points:g} points"
            + (", which looking up an order may take." if view.live else ".")
        )
    named = (name if market.pair is None else market_of(market.pair) for name, market in view.markets.items())
    names = set(map(market_key, named))
    for pair, level in key.trades.items():
        if not level + 1 <= key.trades_limit and market_key(pair) in names:
            yield f"The trading counter of {pair} is full: Kraken would refuse the order."
