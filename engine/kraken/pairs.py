"""Kraken's pairs: the reply of AssetPairs. Only a row without something that every order needs is left out.

- *Needed*: `base` and `quote` (from `wsname` where they are missing), and one of `tick_size` and `pair_decimals`: what
  is traded, and in which steps of the price.
- *With a safe bound* where it is missing or cannot be read: `altname` (the row's key), `tick_size` (a step of the last
  of `pair_decimals`) and `pair_decimals` (those of `tick_size`), `lot_decimals` and `cost_decimals` (8: Kraken itself
  refuses what is too exact, while a coarser step would make an order smaller than was asked), `ordermin` (one step of
  the volume) and `costmin` (0): Kraken itself refuses what is too small; `aclass_base` (a currency), `execution_venue`
  (Kraken's own).
- *Often missing*: `status` (empty; about one row in eight comes without it in 2026, and is traded until Kraken says
  otherwise) and `fees` (`None`; Kraken lists none since 8 September 2026, by its changelog).
- *Nice to have*: `wsname`. All other fields are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from engine.errors import CallUnknown
from engine.kraken.drift import MISSING, NEW, ODD, Note, unnoted
from engine.kraken.fees import dearest_of
from engine.kraken.pair_names import listed_code
from engine.values import Pair

VOLUME_DECIMALS = 8

_NUMBER = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_MOST_DECIMALS = 30
_HOME = ("", "international")
_VENUES = {"bitnomial_exchange": "BTNL"}
_UNREAD = frozenset({
    "aclass_quote", "lot", "lot_multiplier", "leverage_buy", "leverage_sell", "fees_maker", "fee_volume_currency",
    "margin_call", "margin_stop", "long_position_limit", "short_position_limit",
})  # fmt: skip
_OPTIONAL = frozenset({"execution_venue", "aclass_base", "wsname"})
"""Read if present."""
_FIELDS = _UNREAD | _OPTIONAL | {
    "altname", "base", "quote", "status", "tick_size", "pair_decimals", "lot_decimals", "cost_decimals", "ordermin",
    "costmin", "fees",
}  # fmt: skip

T = TypeVar("T")


def read_pairs(result: Any, *, note: Note = unnoted) -> dict[str, Pair]:
    """The pairs of an AssetPairs result by each of their names; a row that cannot be read is left out, and noted.

    Raises `CallUnknown` when the result is not an AssetPairs result. A name that two pairs claim belongs to the pair
    with that id, else to the one whose id is its altname.
    """
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's AssetPairs reply cannot be read.", endpoint="AssetPairs")
    pairs = [pair for name, row in result.items() if (pair := _read(name, row, note)) is not None]
    pairs.sort(key=lambda pair: pair.id == pair.altname)  # which of two listings a shared name means
    named = {name: pair for pair in pairs for name in (pair.altname, pair.wsname) if name}
    return named | {pair.id: pair for pair in pairs}


def _read(name: str, row: Any, note: Note) -> Pair | None:
    if not isinstance(row, Mapping):
        note("row", ODD)
        return None
    for field in row.keys() - _FIELDS:
        note(str(field), NEW)
    try:
        return _pair(name, _Row(row, note))
    except _Unreadable:
        note("row", ODD)
        return None


def _pair(name: str, row: _Row) -> Pair:
    wsname = row.get("wsname", _text, "")
    base, _, quote = wsname.partition(":")[0].partition("/")
    altname = row.get("altname", _text, name)
    tick, decimals = _steps(row)
    lot_decimals = row.get("lot_decimals", _decimals, VOLUME_DECIMALS)
    return Pair(
        id=name,
        altname=altname,
        wsname=wsname,
        base=listed_code(row.need("base", base)),
        quote=listed_code(row.need("quote", quote)),
        status=row.get("status", _text, ""),  # an unknown word does not mean "online"
        tick_size=tick,
        pair_decimals=decimals,
        lot_decimals=lot_decimals,
        cost_decimals=row.get("cost_decimals", _decimals, VOLUME_DECIMALS),
        ordermin=row.get("ordermin", _amount, Decimal(1).scaleb(-lot_decimals)),
        costmin=row.get("costmin", _amount, Decimal(0)),
        fee=row.get("fees", _fee, None),
        asset_class=row.get("aclass_base", _text, "currency"),
        venue=_venue(name, altname, row.get("execution_venue", _text, "")),
    )


class _Unreadable(Exception):
    """A row without something that an order needs."""


class _Row:
    """One row, read field by field; a missing or odd field is noted and its default used."""

    def __init__(self, row: Mapping[str, Any], note: Note) -> None:
        self._row, self._note = row, note

    def get(self, field: str, read: Callable[[Any], T], default: T) -> T:
        value = self._row.get(field)
        if value is None or value == []:
            if field not in _OPTIONAL:
                self._note(field, MISSING)
            return default
        try:
            return read(value)
        except (TypeError, ValueError, AttributeError):
            self._note(field, ODD)
            return default

    def need(self, field: str, default: str) -> str:
        """A name, or the default where there is one. Raises `_Unreadable`."""
        name = self.get(field, _text, default)
        if not name:
            raise _Unreadable
        return name


def _steps(row: _Row) -> tuple[Decimal, int]:
    """The step of a price and its decimals; one is derived from the other if it is missing."""
    tick = row.get("tick_size", _positive, Decimal(0))
    decimals = row.get("pair_decimals", _decimals, -1)
    if decimals < 0:
        if not tick:
            raise _Unreadable
        decimals = max(0, -int(tick.normalize().as_tuple().exponent))
    return tick or Decimal(1).scaleb(-decimals), decimals


def _venue(name: str, altname: str, told: str) -> str:
    """The venue, as a suffix of market names; empty for Kraken's own exchange."""
    named = name.partition(":")[2] or altname.partition(":")[2]
    return named or ("" if told in _HOME else _VENUES.get(told, told))


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


def _fee(ladder: Any) -> Decimal:
    fee = dearest_of(ladder)
    if fee is None:
        raise ValueError(ladder)
    return fee
