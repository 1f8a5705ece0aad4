"""What `AddOrder` checks about its parameters before anything else, and how it reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.simulator.market import Pair, tick
from engine.simulator.refusal import Refused

Params = Mapping[str, Any]

LIMITS = frozenset({"limit", "iceberg"})
TRIGGERED = frozenset({"stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit"})
TRAILING = frozenset({"trailing-stop", "trailing-stop-limit"})
WITH_PRICE = LIMITS | TRIGGERED | TRAILING
_TYPES = WITH_PRICE | {"market", "settle-position"}
_TWO_PRICES = frozenset({"stop-loss-limit", "take-profit-limit", "trailing-stop-limit"})
_TIMES_IN_FORCE = frozenset({"GTC", "GTD", "IOC", "FOK"})
_FLAGS = frozenset({"post", "fcib", "fciq", "viqc", "nompp"})
_PRICE = re.compile(r"([+#-]?)(\d+(?:\.(\d+))?)(%?)")
_CLIENT_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[!-~]{1,18}")
_LONGEST_DEADLINE = 61.0  # a minute, and what a clock may be wrong
_TOO_MUCH = Decimal(10) ** 10
LOT_DECIMALS = 8
_SOONEST_EXPIRY, _LATEST_EXPIRY = 4.0, 31 * 86400.0  # five seconds, and what a clock may be wrong; a month


def check_order(params: Params, pair: Pair, minimum_error: str) -> None:
    """Refuse an order whose parameters cannot be read, in Kraken's words."""
    _check_kind(params)
    _check_volume(params, pair, minimum_error)
    _check_prices(params, pair)
    _check_identity(params)


def check_deadline(params: Params, now: float) -> None:
    """Refuse an order that comes after its deadline, or has one that is too far off."""
    told = text(params, "deadline")
    if not told:
        return
    try:
        deadline = datetime.fromisoformat(told)
    except ValueError:
        raise Refused("EGeneral:Invalid arguments:deadline") from None
    left = deadline.replace(tzinfo=deadline.tzinfo or UTC).timestamp() - now
    require(left <= _LONGEST_DEADLINE, "EGeneral:Invalid arguments:deadline")
    require(left > 0, "EService:Deadline elapsed")


def price_of(params: Params, name: str, last: Decimal, pair: Pair) -> Decimal | None:
    """A price parameter as a number, one that is relative to the `last` price too; `None` when there is none."""
    match = _PRICE.fullmatch(text(params, name))
    if match is None or not Decimal(match[2]):
        return None
    sign, number, percent = match[1], Decimal(match[2]), match[4]
    if not sign:
        return number
    distance = last * number / 100 if percent else number
    below = sign == "-" or (sign == "#" and text(params, "type") == "buy")
    price = (last - distance if below else last + distance).quantize(tick(pair))
    require(price > 0, "EOrder:Invalid price")
    return price


def when(params: Params, name: str, now: float) -> float:
    """A time parameter as Unix seconds; 0 when there is none."""
    told = text(params, name)
    seconds = amount(told or "0")
    if seconds is None or seconds < 0:
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    return now + float(seconds) if told.startswith("+") else float(seconds)


def check_expiry(params: Params, now: float) -> None:
    """Refuse an order that expires too soon or too late, or is to expire and does not say when."""
    expires = when(params, "expiretm", now)
    require(expires or text(params, "timeinforce") != "GTD", "EGeneral:Invalid arguments:expiretm")
    in_time = now + _SOONEST_EXPIRY <= expires <= now + _LATEST_EXPIRY
    require(not expires or in_time, "EGeneral:Invalid arguments:expiretm")


def is_dry_run(params: Params, false_validates: bool) -> bool:
    """Whether the order is only to be validated. Form text is read too; what ``false`` means there is switchable."""
    told = params.get("validate")
    if isinstance(told, str):
        return false_validates or told.lower() not in ("false", "0", "")
    return bool(told)


def require(held: object, otherwise: str) -> None:
    """Refuse in these words unless it holds."""
    if not held:
        raise Refused(otherwise)


def text(params: Params, name: str, default: str = "") -> str:
    """A parameter as text; the default for what is none."""
    value = params.get(name, default)
    return value if isinstance(value, str) else ""


def amount(told: str) -> Decimal | None:
    """A number that is no larger than anything is here, or `None`."""
    try:
        found = Decimal(told)
    except InvalidOperation:
        return None
    return found if found.is_finite() and abs(found) < _TOO_MUCH else None


def same_id(one: str | None, other: str | None) -> bool:
    """Whether two `cl_ord_id` are one: a UUID is the same with and without hyphens."""
    return one is not None and other is not None and _bare(one) == _bare(other)


def _bare(client_id: str) -> str:
    return client_id.replace("-", "").lower() if len(client_id) in (32, 36) else client_id


def _check_kind(params: Params) -> None:
    require(text(params, "ordertype") in _TYPES, "EGeneral:Invalid arguments:ordertype")
    require(text(params, "type") in ("buy", "sell"), "EGeneral:Invalid arguments:type")
    require(text(params, "timeinforce", "GTC") in _TIMES_IN_FORCE, "EGeneral:Invalid arguments:timeinforce")
    flags = {flag for flag in text(params, "oflags").split(",") if flag}
    require(flags <= _FLAGS, "EGeneral:Invalid arguments:oflags")
    is_market_buy = text(params, "ordertype") == "market" and text(params, "type") == "buy"
    require("viqc" not in flags or is_market_buy, "EGeneral:Invalid arguments:viqc")
    require("post" not in flags or text(params, "ordertype") in LIMITS, "EGeneral:Invalid arguments:oflags")
    require(text(params, "leverage", "none") in ("", "none"), "EGeneral:Invalid arguments:leverage")
    require(text(params, "ordertype") != "settle-position", "EOrder:Unknown position")


def _check_volume(params: Params, pair: Pair, minimum_error: str) -> None:
    volume = amount(text(params, "volume"))
    if volume is None or volume <= 0 or volume != round(volume, LOT_DECIMALS):
        raise Refused("EGeneral:Invalid arguments:volume")
    least = pair.costmin if "viqc" in text(params, "oflags") else pair.ordermin
    require(volume >= Decimal(least), minimum_error)


def _check_prices(params: Params, pair: Pair) -> None:
    kind = text(params, "ordertype")
    needed = ("price", "price2") if kind in _TWO_PRICES else ("price",)
    for name in needed if kind in WITH_PRICE else ():
        check_price(text(params, name), name, pair)


def check_price(told: str, name: str, pair: Pair) -> None:
    """Refuse what is no price, and one with more decimals than the pair has."""
    match = _PRICE.fullmatch(told)
    if match is None or not 0 < Decimal(match[2]) < _TOO_MUCH:
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    if len(match[3] or "") > pair.pair_decimals and not match[4]:
        allowed = f"can only be specified up to {pair.pair_decimals} decimals."
        raise Refused(f"EOrder:Invalid price:{pair.id} price {allowed}")


def _check_identity(params: Params) -> None:
    client_id = text(params, "cl_ord_id")
    if client_id:
        require(not text(params, "userref"), "EGeneral:Invalid arguments")
        require(_CLIENT_ID.fullmatch(client_id), "EGeneral:Invalid arguments:cl_ord_id")
    userref = text(params, "userref")
    require(not userref or re.fullmatch(r"-?\d{1,10}", userref), "EGeneral:Invalid arguments:userref")
