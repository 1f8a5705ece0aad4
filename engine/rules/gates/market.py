"""Whether a pair can be traded now: online, with young prices and a narrow spread."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext

from engine.kraken.pair_names import market_key, market_of
from engine.rules.gates.capital import plain
from engine.rules.gates.plan import Candidate
from engine.rules.gates.view import TradeView
from engine.values import Ticker


def tradable(view: TradeView) -> tuple[Candidate, ...]:
    """What the scanner picked, without the pairs that cannot be traded now."""
    scan = view.scan
    return tuple(each for each in scan.candidates if not any(market_troubles(view, each.pair))) if scan else ()


def market_troubles(view: TradeView, name: str) -> Iterator[str]:
    """Why a pair cannot be traded now."""
    market = view.market(name)
    if market.pair is None:
        yield f"Nothing is known of {name}. {market.problem or 'Kraken was not asked.'}"
        return
    if market.pair.status not in ("online", ""):  # not told: SystemStatus and the answer to the order decide
        yield f"{name} is not online: Kraken says {market.pair.status!r}."
    if view.key is not None and market_key(market_of(market.pair)) in view.key.denied_markets:
        yield f"Kraken denied an order on {name} to this account or key, so none is sent there now."
    if market.ticker is None:
        yield f"The price of {name} is not known. {market.problem or 'Kraken was not asked.'}"
        return
    age, limit = view.now - market.at, view.plan.max_data_age
    if not age <= limit:
        yield f"The price of {name} is {age:.1f} s old; {limit:g} s at most may be."
    yield from _spread_troubles(name, market.ticker, view.plan.max_spread)


def data_troubles(view: TradeView) -> Iterator[str]:
    """What the plan wanted to be fetched and did not come, or came too late."""
    for name in view.plan.data:
        if name not in view.data:
            yield f"The data {name!r} did not come. {view.missing.get(name, 'Kraken was not asked.')}"
        elif not view.now - view.data_at.get(name, float("-inf")) <= view.plan.max_data_age:
            yield f"The data {name!r} is older than {view.plan.max_data_age:g} s."


def _spread_troubles(name: str, ticker: Ticker, most: Decimal) -> Iterator[str]:
    if not 0 < ticker.bid < ticker.ask:
        yield f"The prices of {name} make no sense: bid {plain(ticker.bid)}, ask {plain(ticker.ask)}."
        return
    with localcontext(prec=100):
        percent = (ticker.ask - ticker.bid) * 200 / (ticker.ask + ticker.bid)
    if percent > most:
        yield f"The spread of {name} is {percent:.3f} %; {plain(most)} % at most may be."
