"""The checks of `AddOrder` on its parameters."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from engine.simulator.market import ListedPair
from engine.simulator.parameters import TOO_MUCH, Params, PriceSpec, amount, require, text, when, yes
from engine.simulator.refusal import Refused

LIMITS = frozenset({"limit", "iceberg"})
TRIGGERED = frozenset({"stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit"})
TRAILING = frozenset({"trailing-stop", "trailing-stop-limit"})
TWO_PRICES = frozenset({"stop-loss-limit", "take-profit-limit", "trailing-stop-limit"})
WITH_PRICE = LIMITS | TRIGGERED | TRAILING
CLOSE = "close[{}]"
CLOSE_NAMES = ("ordertype", "price", "price2")

_TYPES = WITH_PRICE | {"market", "settle-position"}
_TIMES_IN_FORCE = frozenset({"GTC", "GTD", "IOC", "FOK"})
_FLAGS = frozenset({"post", "fcib", "fciq", "viqc", "nompp"})
_SELF_TRADES = frozenset({"cancel-newest", "cancel-oldest", "cancel-both"})
_CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[A-Za-z0-9_-]{1,18}"
)
_USERREF = re.compile(r"-?[0-9]{1,10}")
_DEADLINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_LATEST_DEADLINE = 60.0
_SOONEST_EXPIRY, _LATEST_EXPIRY = 5.0, 30 * 86400.0  # five seconds; a month, as the shorter ones are
_LEAST_SHOWN = 15  # an iceberg shows at least so small a part of itself
_ICEBERG = "EGeneral:Invalid arguments:iceberg:ordertype"


def check_order(params: Params, pair: ListedPair, minimum_error: str, *, takes_id_with_close: bool = False) -> None:
    """Refuse an order whose parameters cannot be read or do not fit together, in Kraken's words."""
    _check_kind(params)
    _check_flags(params)
    _check_volume(params, pair, minimum_error)
    _check_shown(params)
    check_prices(params, pair)
    _check_identity(params)
    _check_close(params, pair, takes_id_with_close)


def check_deadline(params: Params, now: float, soonest: float) -> None:
    """Refuse an order that comes after its deadline, or whose deadline is sooner than that or a minute away."""
    told = text(params, "deadline")
    if not told:
        return
    require(_DEADLINE.fullmatch(told), "EGeneral:Invalid arguments:deadline")
    try:
        left = datetime.fromisoformat(told).timestamp() - now
    except ValueError:
        raise Refused("EGeneral:Invalid arguments:deadline") from None
    require(left > 0, "EService:Deadline elapsed")
    require(soonest <= left <= _LATEST_DEADLINE, "EGeneral:Invalid arguments:deadline")


def check_expiry(params: Params, now: float, *, is_late: bool = False) -> None:
    """Refuse an order that expires too soon or too late, or is to expire and does not say when."""
    expires = when(params, "expiretm", now)
    require(expires or text(params, "timeinforce") != "GTD", "EGeneral:Invalid arguments:expiretm")
    soonest = 0.0 if is_late else _SOONEST_EXPIRY
    require(not expires or now + soonest <= expires <= now + _LATEST_EXPIRY, "EGeneral:Invalid arguments:expiretm")


def check_prices(params: Params, pair: ListedPair) -> None:
    """Refuse an order whose prices are missing, cannot be read, or are relative in a way its type does not allow."""
    kind = text(params, "ordertype")
    names = () if kind not in WITH_PRICE else ("price", "price2") if kind in TWO_PRICES else ("price",)
    for name in names:
        check_price(text(params, name), name, pair)
    if kind in TRAILING:
        require(text(params, "price").startswith("+"), "EGeneral:Invalid arguments:price")
        is_relative = text(params, "price2")[:1] in ("+", "-")
        require(kind not in TWO_PRICES or is_relative, "EGeneral:Invalid arguments:price2")


def check_price(told: str, name: str, pair: ListedPair) -> None:
    """Refuse an invalid price, and one with more decimals than the pair has."""
    price = PriceSpec.of(told)
    if price is None or not 0 < price.number < TOO_MUCH or (price.is_percent and not price.sign):
        raise Refused(f"EGeneral:Invalid arguments:{name}")
    if price.decimals > pair.pair_decimals and not price.is_percent:
        allowed = f"can only be specified up to {pair.pair_decimals} decimals."
        raise Refused(f"EOrder:Invalid price:{pair.id} price {allowed}")


def _check_kind(params: Params) -> None:
    kind, time_in_force = text(params, "ordertype"), text(params, "timeinforce", "GTC")
    require(kind in _TYPES, "EGeneral:Invalid arguments:ordertype")
    require(text(params, "type") in ("buy", "sell"), "EGeneral:Invalid arguments:type")
    require(time_in_force in _TIMES_IN_FORCE, "EGeneral:Invalid arguments:timeinforce")
    # Fill or kill is taken since 12 May 2026, of orders with a limit price only.
    has_limit = kind in LIMITS | TWO_PRICES
    require(time_in_force != "FOK" or has_limit, "EGeneral:Invalid arguments:timeinforce")
    require(text(params, "leverage", "none") in ("", "none"), "EGeneral:Invalid arguments:leverage")
    require(not yes(params, "reduce_only"), "EOrder:Reduce only:No position exists")
    require(text(params, "stptype", "cancel-newest") in _SELF_TRADES, "EGeneral:Invalid arguments:stptype")
    is_triggered = kind in TRIGGERED | TRAILING
    trigger = text(params, "trigger")
    require(not trigger or (is_triggered and trigger in ("last", "index")), "EGeneral:Invalid arguments:trigger")
    require(kind != "settle-position", "EOrder:Unknown position")


def _check_flags(params: Params) -> None:
    flags = {flag for flag in text(params, "oflags").split(",") if flag}
    require(flags <= _FLAGS and not {"fcib", "fciq"} <= flags, "EGeneral:Invalid arguments:oflags")
    is_market_buy = text(params, "ordertype") == "market" and text(params, "type") == "buy"
    require("viqc" not in flags or is_market_buy, "EGeneral:Invalid arguments:viqc")
    may_post = text(params, "ordertype") in LIMITS and text(params, "timeinforce", "GTC") not in ("IOC", "FOK")
    require("post" not in flags or may_post, "EGeneral:Invalid arguments:oflags")


def _check_volume(params: Params, pair: ListedPair, minimum_error: str) -> None:
    volume = amount(text(params, "volume"))
    if volume is None or volume <= 0 or volume != round(volume, pair.lot_decimals):
        raise Refused("EGeneral:Invalid arguments:volume")
    is_quoted = "viqc" in text(params, "oflags").split(",")
    require(volume >= Decimal(pair.costmin if is_quoted else pair.ordermin), minimum_error)


def _check_shown(params: Params) -> None:
    told, is_iceberg = text(params, "displayvol"), text(params, "ordertype") == "iceberg"
    require(not told or is_iceberg, _ICEBERG)
    if is_iceberg:
        shown, volume = amount(told), amount(text(params, "volume")) or Decimal(0)
        fits = shown is not None and volume / _LEAST_SHOWN <= shown <= volume
        require(fits, "EGeneral:Invalid arguments:display volume")


def _check_identity(params: Params) -> None:
    client_id, userref = text(params, "cl_ord_id"), text(params, "userref")
    if client_id:
        require(not userref, "EGeneral:Invalid arguments")
        require(_CLIENT_ID.fullmatch(client_id), "EGeneral:Invalid arguments:cl_ord_id")
    is_number = _USERREF.fullmatch(userref) and -(2**31) <= int(userref) < 2**31
    require(not userref or is_number, "EGeneral:Invalid arguments:userref")


def _check_close(params: Params, pair: ListedPair, takes_id: bool) -> None:
    asked = close_of(params)
    if not any(asked.values()):
        return
    require(takes_id or not text(params, "cl_ord_id"), "EGeneral:Invalid arguments:cl_ord_id")
    require(asked["ordertype"] in WITH_PRICE - {"iceberg"}, "EGeneral:Invalid arguments:close[ordertype]")
    try:
        check_prices(asked, pair)
    except Refused as refusal:
        raise Refused(re.sub(r":(price2?)$", r":close[\1]", str(refusal))) from None


def close_of(params: Params) -> dict[str, str]:
    """The conditional close that is asked for: in a form as ``close[price]``, in JSON as an object; empty for none."""
    nested = params.get("close")
    if isinstance(nested, dict):
        return {name: text(nested, name) for name in CLOSE_NAMES}
    return {name: text(params, CLOSE.format(name)) for name in CLOSE_NAMES}
