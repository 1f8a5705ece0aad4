"""Builds an order from the parameters of a call."""

from __future__ import annotations

from decimal import Decimal

from engine.simulator.book_order import OPEN, PENDING, BookOrder, Close, new_id
from engine.simulator.market import ListedPair, tick
from engine.simulator.order_checks import LIMITS, TRAILING, TRIGGERED, close_of
from engine.simulator.parameters import Params, PriceSpec, amount, require, text, when
from engine.simulator.prices import Quote


def make_order(params: Params, pair: ListedPair, quote: Quote, now: float) -> BookOrder:
    """The order that these parameters, which were checked, ask for. Raises `Refused` for a price that cannot be."""
    kind, side, starts = text(params, "ordertype"), text(params, "type"), when(params, "starttm", now)
    order = BookOrder(
        new_id("O"), pair, side, kind, _volume(params, pair, quote), now, quote.ask or quote.last,
        time_in_force=text(params, "timeinforce") or "GTC", flags=_flags(params), starts=starts,
        expires=when(params, "expiretm", now), status=PENDING if starts > now else OPEN,
        cl_ord_id=text(params, "cl_ord_id") or None, userref=text(params, "userref") or None,
        close=_close(params, pair),
    )  # fmt: skip
    if kind in TRAILING:
        trail(order, text(params, "price"), quote.last)
        order.offset = PriceSpec.of(text(params, "price2")) if kind.endswith("-limit") else None
        shown = order.offset.shown(pair) if order.offset else "0"
        order.prices = (order.prices[0], shown)
    elif kind != "market":
        first, second = (priced(text(params, name), quote.last, side, pair) for name in ("price", "price2"))
        order.price = first if kind in LIMITS else second if kind.endswith("-limit") else None
        order.trigger = first if kind in TRIGGERED else None
        order.prices = shown_prices(order)
    return order


def priced(told: str, last: Decimal, side: str, pair: ListedPair) -> Decimal | None:
    """The price in a parameter, one that is relative to the last price too; `None` when there is none."""
    price = PriceSpec.of(told)
    return price.at(last, side, pair) if price and price.number else None


def trail(order: BookOrder, told: str, last: Decimal) -> None:
    """Let a trailing order follow the price from now on, so far behind. Raises `Refused`."""
    distance = PriceSpec.of(told)
    assert distance is not None  # it was checked
    order.trails = distance
    order.trigger = trailing_trigger(order, last)
    order.prices = (distance.shown(order.pair), order.prices[1])
    require(order.trigger > 0, "EOrder:Invalid price")


def trailing_trigger(order: BookOrder, last: Decimal) -> Decimal:
    """Where the trigger of a trailing order is when the price is this."""
    assert order.trails is not None
    distance = order.trails.distance(last)
    return (last - distance if order.side == "sell" else last + distance).quantize(tick(order.pair))


def shown_prices(order: BookOrder) -> tuple[str, str]:
    """The prices in the description of an order that does not trail, in the pair's decimals."""
    decimals = order.pair.pair_decimals
    limit, trigger = (f"{price:.{decimals}f}" if price else "0" for price in (order.price, order.trigger))
    return (limit, "0") if order.kind in LIMITS else (trigger, limit)


def _volume(params: Params, pair: ListedPair, quote: Quote) -> Decimal:
    volume = amount(text(params, "volume")) or Decimal(0)
    is_quoted = "viqc" in text(params, "oflags").split(",")
    smallest = Decimal(1).scaleb(-pair.lot_decimals)
    return (volume / (quote.ask or quote.last)).quantize(smallest) if is_quoted else volume


def _flags(params: Params) -> str:
    """The flags as the order shows them: with the fee currency, and without flags that have no effect."""
    flags = [flag for flag in text(params, "oflags").split(",") if flag not in ("", "nompp")]
    return ",".join(flags if {"fcib", "fciq"} & set(flags) else [*flags, "fciq"])


def _close(params: Params, pair: ListedPair) -> Close | None:
    asked = close_of(params)
    if not asked["ordertype"]:
        return None
    first, second = (_shown(asked[name], pair) for name in ("price", "price2"))
    return Close(asked["ordertype"], first, second if asked["ordertype"].endswith("-limit") else "0")


def _shown(told: str, pair: ListedPair) -> str:
    price = PriceSpec.of(told)
    return price.shown(pair) if price else "0"
