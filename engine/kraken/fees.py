"""Kraken's fees: an account's own in the reply of TradeVolume, and the ladder of an AssetPairs row.

Since 8 September 2026 the ladders of AssetPairs are empty (Kraken's changelog), so only TradeVolume
reports fees. Of its reply, asked with ``fee_schedule=true``:

- needed: nothing. A fee that is not told, or in doubt, has a safe bound, which the caller knows;
- with a bound: ``fees[pair].fee``, the percentage that this account pays as a taker, and ``schedules[].tiers[]``, whose
  tier with ``active: true`` is the account's. Either is enough; a fee below that of the account's tier is in doubt;
- nice to have: ``fees_maker``, ``maxfee`` and the other tiers, which only make the fee or the bound higher;
- not read: all else. ``volume_subaccounts`` is personal.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from decimal import Decimal
from typing import Any, TypeAlias

from engine.errors import CallUnknown
from engine.kraken.drift import MISSING, NEW, ODD, Note, unnoted
from engine.kraken.pair_rows import find_rows
from engine.values import Pair
from engine.values.dataclass import dataclass

TRADE_VOLUME = "TradeVolume"

Row: TypeAlias = Mapping[str, Any]

_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,20})?")
_REPLY = frozenset({
    "currency", "volume", "fees", "fees_maker", "schedules", "asset_class", "inputs", "volume_subaccounts",
})  # fmt: skip
# Kraken's reference writes min_fee where its replies have minfee: both are known.
_FEE = frozenset({
    "fee", "minfee", "maxfee", "nextfee", "tiervolume", "nextvolume", "tierfuturesvolume", "nextfuturesvolume",
    "volumeoffset",
})  # fmt: skip
_SCHEDULE = frozenset({"pair", "class", "tiers", "asset_class"})
_TIER = frozenset({
    "maker_fee", "taker_fee", "active", "min_spot_volume", "min_futures_volume", "min_assets_on_platform",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ToldFees:
    """The fees in a TradeVolume reply, as parts: 0.004 is 0.4 %."""

    own: Mapping[str, Decimal] = field(default_factory=dict)
    """What the account pays at most now, by the pair's id; a pair whose fee is missing or in doubt is not in it."""
    dearest: Decimal = Decimal(0)
    """The highest fee anywhere in the reply."""


def fee_params(pairs: Collection[Pair]) -> dict[str, str]:
    """The parameters of TradeVolume. Kraken accepts only ``true`` for its switch, not ``True``."""
    return {"pair": ",".join(pair.altname for pair in pairs), "fee_schedule": "true"}


def read_fees(result: Any, pairs: Collection[Pair], *, note: Note = unnoted) -> ToldFees:
    """The fees of the pairs that were asked for. Raises `CallUnknown` when the result is not a TradeVolume result."""
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's TradeVolume reply cannot be read.", endpoint=TRADE_VOLUME)
    _note_new(result, _REPLY, "", note)
    taker, maker = _rows(result, "fees", note), _rows(result, "fees_maker", note)
    ladders = _ladders(result, note)
    takers, makers, tiers = find_rows(taker, pairs), find_rows(maker, pairs), find_rows(ladders, pairs)
    own = {id_: _own(takers.get(id_), makers.get(id_), tiers.get(id_, []), note) for id_ in (pair.id for pair in pairs)}
    every = [*taker.values(), *maker.values(), *(tier for ladder in ladders.values() for tier in ladder)]
    dearest = max((fee for row in every for fee in _fees(row)), default=Decimal(0))
    return ToldFees({name: fee for name, fee in own.items() if fee is not None}, dearest)


def dearest_of(ladder: Any) -> Decimal | None:
    """The highest fee of an AssetPairs ladder of ``[volume, percent]`` steps, as a part; `None` if it has none."""
    steps = ladder if isinstance(ladder, list | tuple) else ()
    fees = [_part(step[1]) for step in steps if isinstance(step, list | tuple) and len(step) == 2]
    return max((fee for fee in fees if fee is not None), default=None)


def _own(taker: Row | None, maker: Row | None, tiers: list[Row], note: Note) -> Decimal | None:
    """The fee that the account pays; `None` if it is missing, or if the reply contradicts itself."""
    active = [_part(tier.get("taker_fee")) for tier in tiers if tier.get("active") is True]
    told = active if taker is None else [_part(taker.get("fee")), *active]
    known = [fee for fee in told if fee is not None]
    if not told:
        note("fee", MISSING)
        return None
    if len(known) < len(told) or (taker is not None and known[0] < max(known)):
        note("fee", ODD)
        return None
    resting = None if maker is None else _part(maker.get("fee"))  # none for a rebate, which makes nothing dearer
    return max(known) if resting is None else max(*known, resting)


def _rows(result: Row, name: str, note: Note) -> dict[str, Row]:
    rows = result.get(name)
    if not isinstance(rows, Mapping):
        note(name, MISSING if rows is None else ODD)
        return {}
    for row in rows.values():
        if isinstance(row, Mapping):
            _note_new({key.replace("_", ""): None for key in row}, _FEE, f"{name}.", note)
        else:
            note(f"{name}[]", ODD)
    return {pair: row if isinstance(row, Mapping) else {} for pair, row in rows.items()}


def _ladders(result: Row, note: Note) -> dict[str, list[Row]]:
    """The tiers of each schedule by its pair's name. Older replies, and those without `fee_schedule`, have none."""
    schedules = result.get("schedules", [])
    read: dict[str, list[Row]] = {}
    for each in schedules if isinstance(schedules, list) else [None]:
        if not isinstance(each, Mapping) or not isinstance(each.get("tiers"), list):
            note("schedules[]", ODD)
            continue
        _note_new(each, _SCHEDULE, "schedules.", note)
        tiers = [tier for tier in each["tiers"] if isinstance(tier, Mapping)]
        for tier in tiers:
            _note_new(tier, _TIER, "tiers.", note)
        read.setdefault(str(each.get("pair")), []).extend(tiers)
    return read


def _fees(row: Row) -> Iterator[Decimal]:
    """Every fee in a row or a tier."""
    for name in ("fee", "maxfee", "max_fee", "taker_fee", "maker_fee"):
        fee = _part(row.get(name))
        if fee is not None:
            yield fee


def _part(percent: Any) -> Decimal | None:
    """A percentage as a part; `None` when it is not a number, is negative (a rebate) or exceeds 100 %."""
    is_number = isinstance(percent, int | Decimal) and not isinstance(percent, bool)
    text = format(percent, "f") if isinstance(percent, Decimal) else str(percent) if is_number else percent
    if not isinstance(text, str) or not _PERCENT.fullmatch(text) or Decimal(text) > 100:
        return None
    return Decimal(text).scaleb(-2)


def _note_new(row: Mapping[str, Any], known: frozenset[str], prefix: str, note: Note) -> None:
    for name in row:
        if name not in known:
            note(f"{prefix}{name}", NEW)
