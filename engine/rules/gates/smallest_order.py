"""The smallest order there is, to see whether one would be taken."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal

from engine.rules.gates.capital import known, smallest, spendable
from engine.rules.gates.plan import Candidate
from engine.rules.gates.view import TradeView
from engine.rules.order.order import Order
from engine.values import Pair

_EXACT = Context(prec=100)


def smallest_order(candidate: Candidate, view: TradeView) -> Order:
    """The strategy that wants the least that Kraken takes: a limit buy at the bid, or a sell at the ask without cash.

    It is for passes that place nothing.
    """
    market = view.market(candidate.pair)
    pair, ticker = known(market)
    _, cost = smallest(market)
    pays = spendable(view, market.quote, is_quote=True)
    side, price = ("buy", ticker.bid) if pays is not None and pays >= cost else ("sell", ticker.ask)
    return Order(candidate.pair, side, "limit", smallest_volume(pair, price), price)


def far_below(pair: Pair, bid: Decimal) -> Order:
    """The smallest post-only limit buy at half of the bid: in no sane market is any of it filled."""
    price = _EXACT.multiply(_EXACT.divide(bid, 2 * pair.tick_size).to_integral_value(ROUND_CEILING), pair.tick_size)
    return Order(pair.altname, "buy", "limit", smallest_volume(pair, price), price, flags=("post",))


def smallest_volume(pair: Pair, price: Decimal) -> Decimal:
    """The least volume that Kraken takes at a price, in whole steps of the pair's."""
    step = Decimal(1).scaleb(-pair.lot_decimals)
    least = max(pair.ordermin, _EXACT.divide(pair.costmin, price))
    return _EXACT.multiply(_EXACT.divide(least, step).to_integral_value(ROUND_CEILING, _EXACT), step)
