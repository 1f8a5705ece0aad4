"""Kraken's parameters of an order as an `Order`, for clients that speak Kraken's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from engine.errors import WrongParameter
from engine.kraken.pair_names import TOKENIZED, is_share
from engine.kraken.params import CLIENT_ID, CLOSE, CLOSE_PARTS
from engine.rules.order.close import ConditionalClose
from engine.rules.order.order import TRIGGERED, Order
from engine.rules.order.order_values import Moment, WrongPart

_NAMES = {
    "pair": "pair", "type": "side", "ordertype": "type", "volume": "volume", "price": "price", "price2": "price2",
    "oflags": "flags", "timeinforce": "time_in_force", "trigger": "trigger", "displayvol": "display_volume",
    "leverage": "leverage", "reduce_only": "reduce_only", "starttm": "starts", "expiretm": "expires",
    "deadline": "deadline", "stptype": "self_trade", "userref": "userref",
}  # fmt: skip
_KRAKENS = {ours: its for its, ours in _NAMES.items()}
_NEEDED = ("pair", "type", "ordertype", "volume")


def order_of(params: Mapping[str, Any]) -> Order:
    """The order that parameters of AddOrder ask for, as `canonical` leaves them; without its `cl_ord_id`.

    A market order has no price, whatever is given: Kraken does not look at it. Raises `WrongParameter` for what is
    missing, does not belong to such an order, or does not go together with the rest of it.
    """
    for name in _NEEDED:
        if name not in params:
            raise WrongParameter(f"An order needs {name}.", name=name)
    given = {name: value for name, value in params.items() if name not in (CLIENT_ID, "validate")}
    _check_class(given)
    close = {part: given.pop(f"close[{part}]", None) for part in CLOSE_PARTS} | (given.pop(CLOSE, None) or {})
    said = {_NAMES[name]: value for name, value in _of_its_type(given).items()}
    if "leverage" in said:
        said["leverage"] = int(said["leverage"])
    said |= {name: _moment(said[name]) for name in ("starts", "expires") if name in said}
    if "expires" in said and said.get("time_in_force", "GTC") == "GTC":
        said["time_in_force"] = "GTD"
    try:
        return Order(**said, close=_close(close))
    except WrongPart as error:
        raise WrongParameter(str(error), name=_KRAKENS.get(error.part, error.part)) from None


def _of_its_type(given: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters without those that say nothing about an order of this type."""
    kind = given["ordertype"]
    without = {"price", "price2"} if kind == "market" else set[str]()
    if given.get("trigger") == "last" and kind not in TRIGGERED:
        without.add("trigger")
    return {name: value for name, value in given.items() if name not in without}


def _check_class(given: dict[str, Any]) -> None:
    """The class of a share follows from its name, which is written as no other."""
    if given.pop("asset_class", None) == TOKENIZED and not is_share(given["pair"]):
        raise WrongParameter(f"{given['pair']!r} is not a tokenized share: leave asset_class out.", name="asset_class")


def _close(parts: Mapping[str, Any]) -> ConditionalClose | None:
    if not any(parts.values()):
        return None
    if not parts["ordertype"]:
        raise WrongParameter("A conditional close needs close[ordertype].", name="close[ordertype]")
    return ConditionalClose(parts["ordertype"], parts["price"], parts["price2"])


def _moment(told: str) -> Moment:
    """Seconds from now, or a fixed time."""
    if told.startswith("+"):
        return int(told)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(Decimal(told) * 10**6))
