"""The values of an order as a caller gives them: exact amounts, names, times. Each reader raises `WrongPart`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.errors import ConfigError

FLAGS = ("fcib", "fciq", "post", "viqc")

Price = Decimal | str
"""A price; a text is one relative to the market, as Kraken writes it: ``+5``, ``#2%``."""
Moment = int | datetime
"""A time: seconds from when Kraken gets the order, or an aware `datetime`."""


class WrongPart(ConfigError):
    """A part of an order is wrong, or does not go together with the others; `part` is its name."""

    def __init__(self, part: str, sentence: str) -> None:
        super().__init__(sentence)
        self.part = part

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.part, str(self))


_AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_RELATIVE = re.compile(r"[+#-][0-9]{1,30}(\.[0-9]{1,30})?%?|[0-9]{1,30}(\.[0-9]{1,30})?%")


def pair_of(value: object) -> str:
    """A name of a pair."""
    if isinstance(value, str) and 0 < len(value) <= 32 and value.isascii() and value.isprintable():
        return value
    raise WrongPart("pair", f"Order.pair is {str(value)[:40]!r}: name a pair as Kraken does, such as 'XBTUSD'.")


def one_of(name: str, value: object, known: Iterable[str]) -> str:
    """One of some words."""
    if isinstance(value, str) and value in known:
        return value
    raise WrongPart(name, f"Order.{name} is {str(value)[:40]!r}: it is one of {', '.join(known)}.")


def volume_of(name: str, value: object) -> Decimal:
    """A positive amount."""
    amount = _amount(name, value)
    if not amount:
        raise WrongPart(name, f"Order.{name} is 0: nothing would be traded.")
    return amount


def price_of(name: str, value: object) -> Price | None:
    """A price, if there is one."""
    if value is None or (isinstance(value, str) and _RELATIVE.fullmatch(value)):
        return value
    amount = _amount(name, value)
    if not amount:
        raise WrongPart(name, f"Order.{name} is 0: leave it out where the order has none.")
    return amount


def whole_of(name: str, value: object) -> int | None:
    """A positive whole number, if there is one."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**10):
        return value
    raise WrongPart(name, f"Order.{name} is {str(value)[:40]!r}: it is a positive whole number, or None.")


def userref_of(value: object) -> int | None:
    """A signed whole number of 32 bits that is not 0, if there is one."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if value is None or (isinstance(value, int) and is_number and -(2**31) <= value < 2**31 and value):
        return value
    raise WrongPart("userref", f"Order.userref is {str(value)[:40]!r}: it is a 32-bit number other than 0, or None.")


def moment_of(name: str, value: object) -> Moment | None:
    """A time, also as text in RFC 3339, if there is one."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return whole_of(name, value)
    return time_of(name, value)


def time_of(name: str, value: object) -> datetime | None:
    """A fixed time, also as text in RFC 3339, if there is one; in UTC."""
    found: object = value
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            found = None
    if value is None:
        return None
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found.astimezone(UTC)
    raise WrongPart(name, f"Order.{name} is {str(value)[:40]!r}: it is a datetime with its time zone, or None.")


def flags_of(value: object) -> tuple[str, ...]:
    """Kraken's order flags, in the order of the alphabet."""
    if value == ():
        return ()
    given = value.split(",") if isinstance(value, str) and value else value or ()
    if not isinstance(given, list | tuple):
        raise WrongPart("flags", "Order.flags is a list of Kraken's order flags, such as ('post',).")
    found = tuple(sorted({one_of("flags", each, FLAGS) for each in given}))
    if {"fcib", "fciq"} <= set(found):
        raise WrongPart("flags", "The flags fcib and fciq say in what the fee is paid: an order has one of them.")
    return found


def plain(value: Any) -> Any:
    """The value as JSON takes it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _amount(name: str, value: object) -> Decimal:
    if isinstance(value, float):
        raise WrongPart(name, f"Order.{name} is the float {value!r}, which is not exact: give a text, like '0.01'.")
    if isinstance(value, Decimal) and value.is_finite():
        value = format(value, "f") if abs(value.adjusted()) <= 30 else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        with_point = isinstance(value, str) and _AMOUNT.fullmatch(value.replace(",", "."))
        hint = ": write it with a point" if with_point else ""
        raise WrongPart(name, f"Order.{name} is {str(value)[:40]!r}, which is not an amount{hint}. Give a text such as "
                              "'0.01', a Decimal or a whole number; it is not negative.")  # fmt: skip
    return Decimal(value)
