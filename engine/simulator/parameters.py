"""Parsing of call parameters: texts, amounts, prices, times, booleans."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.market import ListedPair, tick
from engine.simulator.refusal import Refused

Params = Mapping[str, Any]

TOO_MUCH = Decimal(10) ** 10
_AMOUNT = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?")
_PRICE = re.compile(r"([+#-]?)([0-9]{1,40}(?:\.([0-9]{1,40}))?)(%?)")
_TIME = re.compile(r"\+[0-9]{1,10}|[0-9]{1,10}(\.[0-9]{1,9})?")
_FALSE, _LOOSE_TRUE = ("false", "False"), ("True", "1")


class PriceSpec(NamedTuple):
    """A requested price: a number, or a distance from the last price, in percent or in the quote asset."""

    sign: str
    number: Decimal
    decimals: int
    is_percent: bool

    @classmethod
    def of(cls, told: str) -> PriceSpec | None:
        """The price in this text, or `None`."""
        match = _PRICE.fullmatch(told)
        if match is None:
            return None
        return cls(match[1], Decimal(match[2]), len(match[3] or ""), bool(match[4]))

    def distance(self, last: Decimal) -> Decimal:
        """How far from the last price it is."""
        return last * self.number / 100 if self.is_percent else self.number

    def at(self, last: Decimal, side: str, pair: ListedPair) -> Decimal:
        """The price itself, on the pair's grid if it is relative. Raises `Refused` when it is not above 0."""
        if not self.sign:
            return self.number
        is_below = self.sign == "-" or (self.sign == "#" and side == "buy")
        price = last - self.distance(last) if is_below else last + self.distance(last)
        require(price.quantize(tick(pair)) > 0, "EOrder:Invalid price")
        return price.quantize(tick(pair))

    def shown(self, pair: ListedPair) -> str:
        """A distance as in an order's description, e.g. ``+1.0000%``."""
        number = f"{self.number:.4f}%" if self.is_percent else f"{self.number:.{pair.pair_decimals}f}"
        return self.sign + number


def require(held: object, otherwise: str) -> None:
    """Raise `Refused` with this error unless the condition holds."""
    if not held:
        raise Refused(otherwise)


def text(params: Params, name: str, default: str = "") -> str:
    """A parameter as text, also a whole number of JSON; the default if it is missing, nothing if it is not a text."""
    value = params.get(name, default)
    return str(value) if type(value) in (str, int) else ""


def amount(told: str) -> Decimal | None:
    """A plain decimal number of reasonable size, or `None`."""
    found = Decimal(told) if _AMOUNT.fullmatch(told) else None
    return found if found is not None and abs(found) < TOO_MUCH else None


def when(params: Params, name: str, now: float) -> float:
    """A time parameter as Unix seconds: ``0``, ``+<seconds>`` or a Unix time; 0 if missing."""
    told = text(params, name) or "0"
    require(_TIME.fullmatch(told), f"EGeneral:Invalid arguments:{name}")
    return now + float(told) if told.startswith("+") else float(told)


def yes(params: Params, name: str, *, loose: bool = False) -> bool:
    """A boolean, strictly: ``true`` or JSON's own, and ``false`` or ``False``. Raises `Refused` for other spellings.

    `TradeVolume` refuses ``True`` since September 2026. python-kraken-sdk sends ``validate=False`` with every live
    order, so that much is taken. loose: ``True`` and ``1`` are taken as well.
    """
    told = params.get(name, False)
    if isinstance(told, bool):
        return told
    if told == "true" or (loose and told in _LOOSE_TRUE):
        return True
    require(told in _FALSE, "EGeneral:Invalid arguments")
    return False


def is_yes(params: Params, name: str) -> bool:
    """A boolean of a list endpoint, in any spelling: Kraken accepts ``True`` there."""
    return str(params.get(name, "")).lower() in ("true", "1")


def same_id(one: str | None, other: str | None) -> bool:
    """Whether two `cl_ord_id` are one: a UUID is the same with and without hyphens."""
    return one is not None and other is not None and _bare(one) == _bare(other)


def _bare(client_id: str) -> str:
    return client_id.replace("-", "").lower() if len(client_id) in (32, 36) else client_id
