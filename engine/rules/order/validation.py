"""What is checked of an order against its pair before anything is sent, and how it is rounded.

Rounding never goes beyond what was asked: a volume is rounded down; a limit is rounded to the tick below for a buy and
to the tick above for a sell; a trigger so that it is not reached earlier. What becomes too small by that is refused.
Relative prices are Kraken's to work out: only their decimals are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, DecimalException
from typing import Any

from engine.errors import ConfigError, MarketUnavailable, OrderRejected
from engine.kraken.pair_names import TOKENIZED, name_of
from engine.rules.order.close import ConditionalClose
from engine.rules.order.order import HAS_LIMIT, Order, parts_of
from engine.rules.order.order_values import Moment, Price
from engine.values import Pair

EVERYTHING = Decimal("Infinity")
"""What a market buy reserves: what it will cost is not known beforehand."""

_EXACT = Context(prec=100)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_TRIGGERS = frozenset({"stop-loss", "stop-loss-limit", "take-profit", "take-profit-limit"})
_TRAILING = frozenset({"trailing-stop", "trailing-stop-limit"})


def fit(order: Order, pair: Pair) -> Order:
    """The order as the pair takes it. Raises `OrderRejected` or `MarketUnavailable`, saying what is wrong."""
    _check_status(order, pair)
    volume = _whole_steps(order.volume, Decimal(1).scaleb(-_volume_decimals(order, pair)), ROUND_FLOOR)
    price, price2 = _fit_prices(order, pair)
    try:
        fitted = _changed(order, volume, price, price2, pair)
        _check_minimums(fitted, volume, pair)
        return Order(**fitted)
    except ConfigError as error:
        raise OrderRejected(f"{error} It was rounded to what {pair.altname} takes; nothing was sent.") from None


def params_of(order: Order, pair: Pair) -> dict[str, Any]:
    """The parameters of AddOrder for an order that fits.

    Without what is only known when it is sent, and without its `userref`: see `Order`.
    """
    in_force = None if order.time_in_force == "GTC" else order.time_in_force
    params = {
        "pair": name_of(pair),
        "asset_class": pair.asset_class if pair.asset_class == TOKENIZED else None,
        "type": order.side,
        "ordertype": order.type,
        "volume": order.volume,
        "price": order.price,
        "price2": order.price2,
        "oflags": ",".join(order.flags) or None,
        "timeinforce": in_force,
        "starttm": _told(order.starts),
        "expiretm": _told(order.expires),
        "leverage": order.leverage,
        "reduce_only": order.reduce_only or None,
        "trigger": order.trigger,
        "displayvol": order.display_volume,
        "stptype": order.self_trade,
        **_close_params(order.close),
    }
    return {name: _plain(value) for name, value in params.items() if value is not None}


def amend_params(before: Order, after: Order) -> dict[str, Any]:
    """The parameters of AmendOrder that make one order of the other; none where it is that order already."""
    first, second = ("limit_price", None) if before.type in ("limit", "iceberg") else ("trigger_price", "limit_price")
    pairs = [
        ("order_qty", before.volume, after.volume), ("display_qty", before.display_volume, after.display_volume),
        (first, before.price, after.price), (second, before.price2, after.price2),
    ]  # fmt: skip
    return {name: _plain(new) for name, old, new in pairs if name is not None and new is not None and new != old}


def reserves(order: Order, pair: Pair, fee: Decimal) -> tuple[str, Decimal]:
    """Which asset an order may take, by Kraken's name, and how much of it at most; `fee` is a part of its cost."""
    if order.side == "sell":
        return pair.base, order.volume
    with_fee = _EXACT.add(1, fee)
    if "viqc" in order.flags:
        return pair.quote, _EXACT.multiply(order.volume, with_fee)
    price = worst_price(order)
    if price is None:
        return pair.quote, EVERYTHING
    return pair.quote, _EXACT.multiply(_EXACT.multiply(order.volume, price), with_fee)


def worst_price(order: Order) -> Decimal | None:
    """The highest price that a buy may pay, or the lowest that a sell may get; `None` when the market decides."""
    price = order.price if order.price2 is None else order.price2
    return price if order.type in HAS_LIMIT and isinstance(price, Decimal) else None


def _check_status(order: Order, pair: Pair) -> None:
    takes = {
        "online": True,
        "": True,  # not told: Kraken's answer decides
        "post_only": "post" in order.flags,
        "limit_only": order.type in HAS_LIMIT,
        "reduce_only": order.reduce_only,
    }.get(pair.status, False)
    if not takes:
        raise MarketUnavailable(
            f"Kraken does not take this order on {pair.altname} now, which is {pair.status}; nothing was sent."
        )


def _volume_decimals(order: Order, pair: Pair) -> int:
    return pair.cost_decimals if "viqc" in order.flags else pair.lot_decimals


def _fit_prices(order: Order, pair: Pair) -> tuple[Price | None, Price | None]:
    if order.type in _TRAILING and not isinstance(order.price, str):
        raise OrderRejected(f"The price of a {order.type} order is a distance, such as '+100' or '+1%'.")
    limit = ROUND_FLOOR if order.side == "buy" else ROUND_CEILING
    first = _trigger_rounding(order) if order.type in _TRIGGERS else limit
    return _fit_price(order.price, pair, first), _fit_price(order.price2, pair, limit)


def _trigger_rounding(order: Order) -> str:
    """A stop of a sell, and a profit of a buy, is reached from above: rounded down it is not reached earlier."""
    from_above = (order.side == "sell") == order.type.startswith("stop")
    return ROUND_FLOOR if from_above else ROUND_CEILING


def _fit_price(price: Price | None, pair: Pair, rounding: str) -> Price | None:
    if isinstance(price, Decimal):
        return _whole_steps(price, pair.tick_size, rounding)
    if price is not None and not price.endswith("%") and len(price.partition(".")[2]) > pair.pair_decimals:
        raise OrderRejected(f"{pair.altname} takes prices of {pair.pair_decimals} decimals; {price} has more.")
    return price


def _whole_steps(amount: Decimal, step: Decimal, rounding: str) -> Decimal:
    try:
        steps = _EXACT.divide(amount, step).to_integral_value(rounding, _EXACT)
        return _EXACT.multiply(steps, step)
    except DecimalException:
        raise OrderRejected(f"{amount} is too large or too exact for an order.") from None


def _changed(order: Order, volume: Decimal, price: Any, price2: Any, pair: Pair) -> dict[str, Any]:
    shown = order.display_volume
    if shown is not None:
        shown = _whole_steps(shown, Decimal(1).scaleb(-pair.lot_decimals), ROUND_FLOOR)
    fitted = {"volume": volume, "price": price, "price2": price2, "display_volume": shown}
    return parts_of(order) | fitted | {"close": _fit_close(order, pair)}


def _fit_close(order: Order, pair: Pair) -> ConditionalClose | None:
    """The conditional close as the pair takes it: an order on the other side."""
    close = order.close
    if close is None:
        return None
    side = "sell" if order.side == "buy" else "buy"
    return ConditionalClose(
        close.type, *_fit_prices(Order(order.pair, side, close.type, order.volume, close.price, close.price2), pair)
    )


def _check_minimums(fitted: Mapping[str, Any], volume: Decimal, pair: Pair) -> None:
    in_quote = "viqc" in fitted["flags"]
    if volume < (pair.costmin if in_quote else pair.ordermin):
        least = f"{pair.costmin:f} {pair.quote}" if in_quote else f"{pair.ordermin:f}"
        raise OrderRejected(f"The volume {volume:f} is below {least}, the least that {pair.altname} takes; not sent.")
    price = fitted["price2"] or fitted["price"]
    if not in_quote and fitted["type"] in HAS_LIMIT and isinstance(price, Decimal):
        cost = _EXACT.multiply(volume, price)
        if cost < pair.costmin:
            raise OrderRejected(
                f"The order is worth {cost:f} {pair.quote}, below {pair.costmin:f}, the least that {pair.altname} "
                "takes; not sent."
            )


def _close_params(close: ConditionalClose | None) -> dict[str, Any]:
    if close is None:
        return {}
    return {"close[ordertype]": close.type, "close[price]": close.price, "close[price2]": close.price2}


def _told(moment: Moment | None) -> str | None:
    """A time as Kraken takes it: seconds from now, or Unix seconds."""
    if moment is None:
        return None
    if isinstance(moment, int):
        return f"+{moment}"
    return format((Decimal((moment - _EPOCH) // _MICROSECOND) / 10**6).normalize(), "f")


def _plain(value: Any) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value
