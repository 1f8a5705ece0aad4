"""Amounts for people: to the asset's decimals, in groups of three, never more than there is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_DOWN, Context, Decimal

from engine.web.page.cell import Number

UNKNOWN = Number("unknown", "not known")
_EXACT = Context(prec=100)


def amount(value: Decimal | None) -> str:
    """All digits of an amount, in groups of three."""
    if value is None:
        return "unknown"
    whole, point, fraction = format(value, "f").partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{fraction}"


def number(value: Decimal | None, decimals: int | None) -> Number:
    """An amount to so many decimals (`None`: all of its digits), cut and not rounded up; the exact one on hover.

    What is too small to be seen with them is shown as less than the smallest that can be, not as nothing.
    """
    if value is None:
        return UNKNOWN
    exact = format(value, "f")
    if decimals is None:
        return Number(amount(value), exact)
    step = Decimal(1).scaleb(-decimals)
    cut = value.quantize(step, ROUND_DOWN, _EXACT)
    if value and not cut:
        return Number(f"{'-' if value < 0 else ''}<{format(step, 'f')}", exact)
    return Number(amount(cut), exact)


def of_asset(value: Decimal | None, asset: str, decimals: Mapping[str, int]) -> Number:
    """An amount of an asset; `decimals` are those that Kraken displays, by plain name."""
    return number(value, decimals.get(asset))


def short(value: Decimal | None) -> Number:
    """An amount without the zeros at its end; as it was told on hover."""
    if value is None:
        return Number("", "not told")
    whole = value == value.to_integral_value()
    plain = value.quantize(Decimal(1), context=_EXACT) if whole else value.normalize(_EXACT)
    return Number(amount(plain), format(value, "f"))


def signed(value: Decimal | None, decimals: int | None) -> Number:
    """A change, with its sign."""
    found = number(value, decimals)
    return found if value is None or value <= 0 else Number(f"+{found.text}", f"+{found.exact}")
