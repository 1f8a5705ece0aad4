"""The order that an amend or an edit asks for. Pure."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from engine.simulator.book_order import BookOrder
from engine.simulator.market import tick
from engine.simulator.order_checks import check_price
from engine.simulator.order_factory import priced, shown_prices, trail
from engine.simulator.parameters import Params, PriceSpec, amount, require, text, yes
from engine.simulator.prices import Quote

_NOTHING_TO_AMEND = "EOrder:No amendable parameters specified"
_AMENDABLE = ("order_qty", "display_qty", "limit_price", "trigger_price")
_EDITED = ("volume", "price", "price2", "oflags", "userref", "deadline", "displayvol")


def amended(order: BookOrder, params: Params, quote: Quote, *, takes_nothing: bool = False) -> BookOrder:
    """The order as an amend wants it. Raises `Refused` for what the order does not have, and for no change at all.

    A change of less than a tick is none. takes_nothing: an amend that changes nothing is taken all the same.
    """
    yes(params, "post_only")
    require(takes_nothing or any(text(params, name) for name in _AMENDABLE), _NOTHING_TO_AMEND)
    require(order.close is None, "EOrder:Order not editable")
    wanted = replace(order, volume=_volume(text(params, "order_qty"), order))
    _set_limit(wanted, text(params, "limit_price"), quote)
    _set_trigger(wanted, text(params, "trigger_price"), quote)
    if wanted.trails is None and wanted.kind != "market":
        wanted.prices = shown_prices(wanted)
    is_shown = _check_shown(text(params, "display_qty"), wanted)
    is_other = (wanted.volume, wanted.price, wanted.trails, wanted.trigger if wanted.trails is None else None) != (
        order.volume, order.price, order.trails, order.trigger if order.trails is None else None
    )  # fmt: skip
    require(takes_nothing or is_shown or is_other, _NOTHING_TO_AMEND)
    return wanted


def edit_params(old: BookOrder, params: Params) -> dict[str, str]:
    """The parameters of the order that an edit places instead of this one."""
    asked = {
        "pair": old.pair.altname, "type": old.side, "ordertype": old.kind, "volume": f"{old.volume:f}",
        "price": old.prices[0], "price2": old.prices[1], "timeinforce": old.time_in_force, "oflags": old.flags,
        "expiretm": f"{old.expires:f}" if old.expires else "0",
    }  # fmt: skip
    return asked | {name: text(params, name) for name in _EDITED if text(params, name)}


def _volume(told: str, order: BookOrder) -> Decimal:
    volume = amount(told) if told else order.volume
    is_volume = volume is not None and volume > 0 and volume == round(volume, order.pair.lot_decimals)
    require(is_volume, "EGeneral:Invalid arguments:order_qty")
    return volume or Decimal(0)


def _check_shown(told: str, order: BookOrder) -> bool:
    """Whether another part of an iceberg is to be shown. Raises `Refused` for other orders."""
    require(not told or order.kind == "iceberg", "EGeneral:Invalid arguments:display_qty")
    shown = amount(told) if told else None
    require(not told or (shown is not None and 0 < shown <= order.volume), "EGeneral:Invalid arguments:display_qty")
    return bool(told)


def _set_limit(order: BookOrder, told: str, quote: Quote) -> None:
    if told:
        require(order.price is not None, "EGeneral:Invalid arguments:limit_price")
        order.price = _new_price(told, "limit_price", order, order.price or Decimal(0), quote)


def _set_trigger(order: BookOrder, told: str, quote: Quote) -> None:
    if not told:
        return
    require(order.trigger is not None, "EGeneral:Invalid arguments:trigger_price")
    if order.trails is None:
        order.trigger = _new_price(told, "trigger_price", order, order.trigger or Decimal(0), quote)
        return
    check_price(told, "trigger_price", order.pair)
    require(told.startswith("+"), "EGeneral:Invalid arguments:trigger_price")
    if PriceSpec.of(told) != order.trails:
        trail(order, told, quote.last)


def _new_price(told: str, name: str, order: BookOrder, old: Decimal, quote: Quote) -> Decimal:
    price = PriceSpec.of(told)
    if price is not None and not price.sign and not price.is_percent and abs(price.number - old) < tick(order.pair):
        return old
    check_price(told, name, order.pair)
    return priced(told, quote.last, order.side, order.pair) or old
