"""Kraken's pairs: the reply of AssetPairs, read strictly, since what is wrong here makes orders wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.errors import CallUnknown
from engine.kraken.fees import dearest_of
from engine.values import Pair

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_MOST_DECIMALS = 30


def read_pairs(result: Any) -> dict[str, Pair]:
    """The pairs of an AssetPairs result by each of their names; a row that cannot be read is left out.

    Raises `CallUnknown` when the result is none of AssetPairs'. A name that two pairs claim is the pair's of that id.
    """
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's AssetPairs reply cannot be read.", endpoint="AssetPairs")
    pairs = [pair for name, row in result.items() if (pair := _read(name, row)) is not None]
    named = {name: pair for pair in pairs for name in (pair.altname, pair.wsname) if name}
    return named | {pair.id: pair for pair in pairs}


def _read(name: str, row: Any) -> Pair | None:
    try:
        decimals = _decimals(row["pair_decimals"])
        return Pair(
            id=name,
            altname=_text(row["altname"]),
            wsname=_text(row.get("wsname", "")),
            base=_text(row["base"]),
            quote=_text(row["quote"]),
            status=_text(row["status"]),
            tick_size=_positive(row["tick_size"]) if "tick_size" in row else Decimal(1).scaleb(-decimals),
            pair_decimals=decimals,
            lot_decimals=_decimals(row["lot_decimals"]),
            cost_decimals=_decimals(row["cost_decimals"]),
            ordermin=_amount(row["ordermin"]),
            costmin=_amount(row.get("costmin", "0")),
            fee=dearest_of(row.get("fees")),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _decimals(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MOST_DECIMALS:
        raise ValueError(value)
    return value


def _amount(value: Any) -> Decimal:
    text = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ValueError(value)
    return Decimal(text)


def _positive(value: Any) -> Decimal:
    amount = _amount(value)
    if not amount:
        raise ValueError(value)
    return amount
