"""The smallest order there is, to see whether one would be taken."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal

from engine.rules.capital import known, smallest, spendable
from engine.rules.orders import Order
from engine.rules.view import Candidate, TradeView

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
    step = Decimal(1).scaleb(-pair.lot_decimals)
    least = max(pair.ordermin, _EXACT.divide(pair.costmin, price))
    volume = _EXACT.multiply(_EXACT.divide(least, step).to_integral_value(ROUND_CEILING, _EXACT), step)
    return Order(candidate.pair, side, "limit", volume, price)
