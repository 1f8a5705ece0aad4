"""What an account may spend, and what an order may take of it: exact amounts, and always the worse case."""

from __future__ import annotations

from decimal import Context, Decimal

from engine.errors import CallError
from engine.rules.gates.fees import Fee
from engine.rules.gates.view import Market, TradeView
from engine.rules.order.order import Order
from engine.rules.order.validation import fit, reserves, worst_price
from engine.values import Pair, Ticker

_EXACT = Context(prec=200)


def spendable(view: TradeView, asset: str, *, is_quote: bool) -> Decimal | None:
    """What of an asset an order may use: available, less what unsettled orders may take, less what is kept back.

    `None` where that is not known. May be negative. An asset that is not in a good reply is a true zero.
    """
    if view.balance.cash is None:
        return None
    mine = view.balance.assets.get(asset)
    free = Decimal(0) if mine is None else mine.available
    if free is None:
        return None
    taken = _EXACT.add(view.reserved.get(asset, Decimal(0)), view.plan.kept_back(asset, is_quote=is_quote))
    return _EXACT.subtract(free, taken)


def needs(order: Order, market: Market, slippage: Decimal) -> tuple[str, Decimal]:
    """The asset, by its plain name, and how much of it an order may take, fee included.

    A buy without a limit is counted at the ask and `slippage` percent more; at its trigger where that is higher.
    `market` has its pair, its ticker and its fee.
    """
    pair, ticker = known(market)
    if order.side == "sell":
        return market.base, order.volume
    fee = fee_of(market).rate
    _, amount = reserves(order, pair, fee)
    if amount.is_finite():
        return market.quote, amount
    worst = _EXACT.multiply(_dearest(order, ticker), _EXACT.add(1, _part(slippage)))
    cost = _EXACT.multiply(order.volume, worst)
    return market.quote, _EXACT.multiply(cost, _EXACT.add(1, fee))


def smallest(market: Market) -> tuple[Decimal, Decimal]:
    """The least that can be bought on a pair: the volume, and what it takes of the quote asset, fee included."""
    pair, ticker = known(market)
    volume = max(pair.ordermin, _EXACT.divide(pair.costmin, ticker.ask))
    cost = max(_EXACT.multiply(pair.ordermin, ticker.ask), pair.costmin)
    return volume, _EXACT.multiply(cost, _EXACT.add(1, fee_of(market).rate))


def shortfall(view: TradeView, order: Order, market: Market) -> str | None:
    """Why an order cannot be paid for, as a sentence; `None` when it can."""
    asset, amount = needs(order, market, view.plan.slippage)
    free = spendable(view, asset, is_quote=order.side == "buy")
    what = f"The order takes {plain(amount)} {asset}" + (", fee included" if order.side == "buy" else "")
    if free is None:
        return f"{what}, and what is available of it is not known."
    if amount <= free:
        return None
    fee = f" {fee_sentence(market)}" if order.side == "buy" else ""
    return f"{what}; {may_be_used(view, asset, free, is_quote=order.side == 'buy')}{fee}"


def below_minimum(order: Order, market: Market) -> str | None:
    """Why Kraken would not take so small an order, or not take it now; `None` when it would."""
    pair, ticker = known(market)
    try:
        fitted = fit(order, pair)
    except CallError as error:
        return str(error)
    if "viqc" in fitted.flags or worst_price(fitted) is not None:
        return None  # `fit` has looked at its cost
    price = ticker.bid if order.side == "sell" else ticker.ask
    cost = _EXACT.multiply(fitted.volume, price)
    if cost >= pair.costmin:
        return None
    return f"The order is worth {plain(cost)} {market.quote}; the least on {pair.altname} is {plain(pair.costmin)}."


def may_be_used(view: TradeView, asset: str, free: Decimal, *, is_quote: bool) -> str:
    """What is there of an asset, and why it is not more."""
    held = [
        f"{plain(amount)} {word}"
        for amount, word in (
            (view.reserved.get(asset, Decimal(0)), "for orders that are not settled"),
            (view.plan.kept_back(asset, is_quote=is_quote), "kept back"),
        )
        if amount
    ]
    less = f", after {' and '.join(held)}" if held else ""
    return f"{plain(max(free, Decimal(0)))} {asset} may be used{less}."


def known(market: Market) -> tuple[Pair, Ticker]:
    """The pair and the prices of a market that has both; asking for those of another is a mistake of ours."""
    if market.pair is None or market.ticker is None:
        raise ValueError("nothing is known of this market")
    return market.pair, market.ticker


def fee_of(market: Market) -> Fee:
    """The fee of a market whose pair is known; asking for that of another is a mistake of ours."""
    if market.fee is None:
        raise ValueError("no fee was chosen for this market")
    return market.fee


def fee_sentence(market: Market) -> str:
    """Which fee is counted, and where it is from."""
    return f"The fee is {fee_of(market)}."


def plain(amount: Decimal) -> str:
    """An amount for a person: no exponent, and no zeros at the end."""
    if not amount.is_finite():
        return "all"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dearest(order: Order, ticker: Ticker) -> Decimal:
    """The price before slippage at which a buy without a limit may be filled."""
    return max(ticker.ask, order.price) if isinstance(order.price, Decimal) else ticker.ask


def _part(percent: Decimal) -> Decimal:
    return percent.scaleb(-2, _EXACT)
