"""Kraken's Ticker reply. It carries no time, so its age counts from when it was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.errors import CallUnknown
from engine.kraken.drift import ODD, Note, unnoted
from engine.values import Ticker

_PRICE = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")


def read_tickers(result: Any, *, note: Note = unnoted) -> dict[str, Ticker]:
    """The prices of a Ticker result by the pair's id; a row that cannot be read is left out.

    Raises `CallUnknown` when the result is none of Ticker's.
    """
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's Ticker reply cannot be read.", endpoint="Ticker")
    read = {name: _read(row) for name, row in result.items()}
    if None in read.values():
        note("row", ODD)
    return {name: ticker for name, ticker in read.items() if ticker is not None}


def _read(row: Any) -> Ticker | None:
    try:
        return Ticker(*(_price(row[name][0]) for name in ("a", "b", "c")))
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _price(value: Any) -> Decimal:
    if not isinstance(value, str) or not _PRICE.fullmatch(value):
        raise ValueError(value)
    return Decimal(value)
