"""The values of order parameters in every spelling that clients send, as Kraken takes them.

Clients send ``True``, ``true`` and ``1`` for a switch, numbers as JSON and as text, ``9e-05``, and ``0`` or an empty
text for what they leave out. Each reader returns the value as Kraken takes it, or `NOTHING` where it says what holds
without it, and raises `ValueError` with the end of a sentence for what must not be guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from engine.kraken.pair_names import TOKENIZED

NOTHING: Final = object()
"""The value says nothing: the parameter is left out."""

Reader = Callable[[Any], Any]

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?([eE][+-]?[0-9]{1,3})?")
_PLAIN = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_RELATIVE = re.compile(r"[+#-][0-9]{1,30}(\.[0-9]{1,30})?%?|[0-9]{1,30}(\.[0-9]{1,30})?%")
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_CLIENT_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[!-~]{1,18}"
)  # fmt: skip
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LONGEST_TEXT, _MOST_DIGITS = 128, 30
_FIRST_MOMENT, _LAST_MOMENT = 10**9, 10**11  # Unix seconds; a time in milliseconds is above
_LEAST_USERREF, _GREATEST_USERREF = -(2**31), 2**31 - 1
_FLAGS = ("post", "fcib", "fciq", "viqc")
_WITHOUT_EFFECT = ("nompp", "no_mpp")  # since 18 September 2025 (Kraken's changelog)


def text(value: Any) -> Any:
    """A name, such as that of a pair or of an order."""
    told = str(value) if type(value) is int else value
    if not isinstance(told, str) or len(told) > _LONGEST_TEXT or not told.isprintable():
        raise ValueError("it is a short text")
    return told


def ignored(value: Any) -> Any:
    """A text that says nothing about the order, such as the partner who sends it."""
    text(value)
    return NOTHING


def only(*meaningless: str) -> Reader:
    """What has just these values, and all of them say nothing."""

    def read(value: Any) -> Any:
        if isinstance(value, str) and value.lower() in meaningless:
            return NOTHING
        raise ValueError(f"it is {' or '.join(map(repr, meaningless))}" if meaningless else "an order has none")

    return read


def word(*known: str, default: str | None = None) -> Reader:
    """One of some words; the default says nothing. Upper and lower case, and ``_`` for ``-``, do not matter."""
    spelled = {each.lower(): each for each in known}

    def read(value: Any) -> Any:
        found = spelled.get(value.lower().replace("_", "-")) if isinstance(value, str) else None
        if found is None:
            raise ValueError(f"it is one of {', '.join(known)}")
        return NOTHING if found == default else found

    return read


def amount(value: Any) -> Any:
    """An amount in plain digits, exactly; 0 says nothing."""
    found = _number(value)
    if found is None or found < 0:
        raise ValueError("it is a number that is not negative")
    return format(found, "f") if found else NOTHING


def more_than_nothing(read: Reader) -> Reader:
    """The same, where 0 does not mean that it is left out: its meaning must not be guessed."""

    def checked(value: Any) -> Any:
        found = read(value)
        if found is NOTHING:
            raise ValueError("it is more than 0")
        return found

    return checked


def price(value: Any) -> Any:
    """A price; a text with ``+``, ``-``, ``#`` or ``%`` is one relative to the market, as Kraken writes it."""
    if isinstance(value, str) and _RELATIVE.fullmatch(value):
        return value
    try:
        return amount(value)
    except ValueError:
        raise ValueError("it is a price such as 30000.1, or relative to the market, such as +1%") from None


def leverage(value: Any) -> Any:
    """A whole number such as ``2``, also as ``2:1``; ``none`` and 0 say nothing."""
    told = value.lower().removesuffix(":1") if isinstance(value, str) else value
    found = Decimal(0) if str(value).lower() == "none" else _number(told)
    if found is None or found < 0 or found != found.to_integral_value():
        raise ValueError("it is a whole number such as 2, also written as 2:1")
    return str(int(found)) if found else NOTHING


def switch(value: Any) -> Any:
    """Yes, or nothing. Not for ``validate``, which `dry_run` reads."""
    told = str(value).lower() if type(value) in (str, bool, int) else None
    if told in ("true", "1"):
        return True
    if told in ("false", "0"):
        return NOTHING
    raise ValueError("it is true or false")


def asset_class(value: Any) -> Any:
    """The class of the asset; the usual one says nothing."""
    if value == "currency":
        return NOTHING
    if value == TOKENIZED:
        return value
    raise ValueError(f"it is 'currency' or {TOKENIZED!r}")


def flags(value: Any) -> Any:
    """Order flags with commas between them, or a list of them; those without an effect are left out."""
    given = value.split(",") if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise ValueError("it is a list of order flags such as post")
    found = dict.fromkeys(each.strip().lower() for each in given)
    kept = [each for each in found if each and each not in _WITHOUT_EFFECT]
    unknown = [each for each in kept if each not in _FLAGS]
    if unknown:
        raise ValueError(f"it has the flag {unknown[0][:20]!r}, and an order flag is one of {', '.join(_FLAGS)}")
    if {"fcib", "fciq"} <= set(kept):
        raise ValueError("it has fcib and fciq, and a fee is paid in one currency")
    return ",".join(kept) or NOTHING


def userref(value: Any) -> Any:
    """A signed whole number of 32 bits; 0 says nothing."""
    told = str(value) if type(value) is int else value
    found = int(told) if isinstance(told, str) and _WHOLE.fullmatch(told) else None
    if found is None or not _LEAST_USERREF <= found <= _GREATEST_USERREF:
        raise ValueError(f"it is a whole number from {_LEAST_USERREF} to {_GREATEST_USERREF}")
    return found or NOTHING


def client_id(value: Any) -> Any:
    """A UUID, 32 hexadecimal digits, or up to 18 printable characters (Kraken's guide to client order identifiers)."""
    told = str(value) if type(value) is int else value
    if not isinstance(told, str) or not _CLIENT_ID.fullmatch(told):
        raise ValueError("it is a UUID, 32 hexadecimal digits, or a text of 1 to 18 characters without spaces")
    return told


def moment(value: Any) -> Any:
    """A time as ``+60`` seconds from now or in Unix seconds; 0 says nothing."""
    if isinstance(value, str) and value.startswith("+") and value[1:].isascii() and value[1:].isdigit():
        return f"+{int(value[1:])}" if int(value[1:]) else NOTHING
    found = None if isinstance(value, str) and not _PLAIN.fullmatch(value) else _number(value)
    if found == 0:
        return NOTHING
    if found is None or not _FIRST_MOMENT <= found < _LAST_MOMENT:
        raise ValueError("it is +60 for a time in 60 seconds (in a form %2B60), or a time in Unix seconds")
    return format(found.normalize(), "f")


def deadline(value: Any) -> Any:
    """A time as RFC 3339 has it, with its offset from UTC; returned in UTC, to the millisecond."""
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError("it is a time with its offset such as 2026-11-28T20:15:00Z")
    try:
        found = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("there is no such time") from None
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def one_name(value: Any) -> Any:
    """The name of one order, also as a list with just that."""
    found = value[0] if isinstance(value, list | tuple) and len(value) == 1 else value
    return text(found)


def _number(value: Any) -> Decimal | None:
    """An exact number of a reasonable size, or `None`."""
    if type(value) is float:
        value = repr(value)
    if isinstance(value, str):
        found = Decimal(value) if _NUMBER.fullmatch(value) else None
    else:
        found = Decimal(value) if type(value) in (int, Decimal) else None
    if found is None or not found.is_finite():
        return None
    is_sized = not found or (abs(found.adjusted()) <= _MOST_DIGITS and int(found.as_tuple().exponent) >= -_MOST_DIGITS)
    return found if is_sized else None
