"""Kraken's Ticker reply. It has no timestamp, so its age counts from the request.

A row needs ``a``, ``b`` and ``c``: the best ask, the best bid and the last trade, whose first entry is a price
as a text. ``"0.00000"`` means that there is no price, not a price of zero: nobody sells, nobody buys, or the pair was
never traded. Other fields are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.errors import CallUnknown
from engine.kraken.drift import MISSING, NEW, ODD, Note, unnoted
from engine.values import Ticker
from engine.values.dataclass import dataclass

_PRICE = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_KNOWN = frozenset("abcvptlho")


@dataclass(frozen=True, slots=True)
class NoPrice:
    """A row without prices to trade at, and why."""

    why: str


UNREADABLE = NoPrice("Kraken's Ticker has no prices of it that can be read.")
NOBODY_SELLS = NoPrice("Its book is empty: nobody sells.")
NOBODY_BUYS = NoPrice("Its book is empty: nobody buys.")


def read_tickers(result: Any, *, note: Note = unnoted) -> dict[str, Ticker | NoPrice]:
    """What each row of a Ticker result says, by the name that Kraken keys it with.

    Raises `CallUnknown` when the result is not a Ticker result.
    """
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's Ticker reply cannot be read.", endpoint="Ticker")
    return {name: _read(row, note) for name, row in result.items()}


def _read(row: Any, note: Note) -> Ticker | NoPrice:
    if not isinstance(row, Mapping):
        note("row", ODD)
        return UNREADABLE
    for name in row:
        if name not in _KNOWN:
            note(name, NEW)
    prices = [_price(row, name, note) for name in ("a", "b", "c")]
    if None in prices:
        note("row", ODD)
        return UNREADABLE
    ask, bid, last = prices
    if not ask or not bid:
        return NOBODY_BUYS if ask else NOBODY_SELLS
    return Ticker(ask, bid, last or None)


def _price(row: Mapping[str, Any], name: str, note: Note) -> Decimal | None:
    """The first entry of a field, which is its price; `None` if it is missing or unreadable."""
    if name not in row:
        note(name, MISSING)
        return None
    entries = row[name]
    text = entries[0] if isinstance(entries, list | tuple) and entries else None
    if not isinstance(text, str) or not _PRICE.fullmatch(text):
        note(name, ODD)
        return None
    return Decimal(text)
