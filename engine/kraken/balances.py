"""The totals and available amounts of each asset, read from a balance reply of Kraken's (promises G6, G12).

Rows are mapped through the asset table, never by stripping letters. available = balances of the plain row and its
Auto-Earn row (``.F``) + credit - credit used - holds of both, as Kraken's BalanceEx reference says; staked, bonded,
parked and held rows count in the total but are not available. Every figure is an exact `Decimal`.

The fields of a row:

- needed: ``balance``. Each of the fields below has to be an amount where it is present. A row that can be spent is
  needed for its asset, and for the whole reply when the asset is cash; any other row may be left out.
- with a safe bound: ``hold_trade`` (without it the available amount is not known); ``credit`` and ``credit_used``,
  which only accounts with a credit line have (a credit without ``credit_used`` counts as nothing).
- any other field is noted and ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable, Mapping
from decimal import Context, Decimal, Inexact
from sys import intern  # thousands of accounts hold the same few assets
from types import MappingProxyType
from typing import Any

from engine.errors import CallUnknown
from engine.kraken.assets import AssetTable
from engine.kraken.drift import MISSING, NEW, ODD, Note, unnoted
from engine.values import AssetBalance, BalanceRow, Bucket

_EXACT = Context(prec=500, traps=[Inexact])
_AMOUNT = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][-+]?[0-9]{1,2})?")


def read_rows(
    endpoint: str,
    result: Any,
    table: AssetTable,
    *,
    needed: Collection[str] | None = None,
    note: Note = unnoted,
) -> Mapping[str, AssetBalance]:
    """The assets of a ``Balance`` or ``BalanceEx`` reply by plain name.

    A row that cannot be read is left out and noted; where it could be spent, its asset is left out as a whole, since a
    partial amount would be wrong. Raises `CallUnknown` when that asset is one of `needed` (plain names; `None`: each
    is), or when no row at all can be read.
    """
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's balance reply cannot be read: it is not a table of assets.")
    read = _read_extended if endpoint == "BalanceEx" else _read_plain
    assets: dict[str, list[BalanceRow]] = {}
    spoilt: set[str] = set()
    for name, value in result.items():
        plain, bucket = table.locate(name)
        try:
            assets.setdefault(plain, []).append(read(intern(name), bucket, value, note))
        except CallUnknown:
            note("row", ODD)
            if needed is None or (bucket.spendable and plain in needed):
                raise
            spoilt.update([plain] if bucket.spendable else ())
    found = {plain: _asset(tuple(rows)) for plain, rows in assets.items() if rows and plain not in spoilt}
    if result and not found:
        raise CallUnknown("Kraken's balance reply cannot be read: no row of it holds an amount.")
    return MappingProxyType(found)


def left_out(result: Mapping[str, Any], assets: Mapping[str, AssetBalance], table: AssetTable) -> frozenset[str]:
    """The assets that a reply has rows of and `read_rows` left out."""
    return frozenset(table.locate(name).asset for name in result) - assets.keys()


def counted_once(assets: Mapping[str, AssetBalance], names: Collection[str]) -> Mapping[str, AssetBalance]:
    """The same assets; for those in `names` the Auto-Earn rows count as part of the plain row.

    Neither the total nor the available amount of an asset grows by that, since every hold still counts.
    """
    once = {name: _asset(assets[name].rows, earn_in_base=True) for name in names}
    return MappingProxyType({**assets, **once}) if once else assets


def spendable_total(asset: AssetBalance) -> Decimal:
    """The amount of an asset in wallets that an order can use, held or not."""
    return _sum(row.balance for row in _counted(asset.rows, asset.earn_in_base) if row.bucket.spendable)


def sum_cash(
    assets: Mapping[str, AssetBalance], names: Iterable[str]
) -> tuple[Decimal, Decimal | None]:
    """Cash and available cash of a good reply; an asset that it does not list is a true zero."""
    counted = [assets[name] for name in dict.fromkeys(names) if name in assets]
    cash = _sum(spendable_total(asset) for asset in counted)
    free = [asset.available for asset in counted]
    return cash, None if None in free else _sum(part for part in free if part is not None)


def differences(
    before: Mapping[str, AssetBalance], after: Mapping[str, AssetBalance]
) -> Mapping[str, Decimal]:
    """The change of each asset's total, without those that did not change."""
    nothing = AssetBalance(Decimal(0), None, None)
    changes = {
        name: _EXACT.subtract(after.get(name, nothing).total, before.get(name, nothing).total)
        for name in {**before, **after}
    }
    return MappingProxyType({name: change for name, change in changes.items() if change})


def summed(first: Mapping[str, Decimal], second: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    """Two successive changes as one, without those that cancel out."""
    nothing = Decimal(0)
    both = {
        name: _EXACT.add(first.get(name, nothing), second.get(name, nothing))
        for name in {**first, **second}
    }
    return MappingProxyType({name: change for name, change in both.items() if change})


_ZERO = Decimal(0)


def _asset(rows: tuple[BalanceRow, ...], *, earn_in_base: bool = False) -> AssetBalance:
    counted = _counted(rows, earn_in_base)
    total = _sum(row.balance for row in counted)
    liquid = [row for row in rows if row.bucket.spendable]
    holds = [row.held for row in liquid]
    if None in holds:
        return AssetBalance(total, None, None, rows, earn_in_base)
    held = _sum(hold for hold in holds if hold is not None)
    spendable = [row.balance for row in counted if row.bucket.spendable]
    free = _EXACT.subtract(_sum([*spendable, *(row.credit for row in liquid)]), held)
    return AssetBalance(total, free, held, rows, earn_in_base)


def _counted(rows: tuple[BalanceRow, ...], earn_in_base: bool) -> tuple[BalanceRow, ...]:
    return tuple(row for row in rows if not (earn_in_base and row.bucket is Bucket.EARN_AUTO))


_KNOWN = frozenset({"balance", "hold_trade", "credit", "credit_used"})


def _read_plain(name: str, bucket: Bucket, value: Any, note: Note) -> BalanceRow:
    return BalanceRow(name, bucket, _amount(name, "balance", value, note))


def _read_extended(name: str, bucket: Bucket, value: Any, note: Note) -> BalanceRow:
    if not isinstance(value, Mapping):
        raise _unreadable(name)
    for field in value.keys() - _KNOWN:
        note(field, NEW)
    hold = value.get("hold_trade")
    if hold is None:
        note("hold_trade", MISSING)
    return BalanceRow(
        name,
        bucket,
        _amount(name, "balance", value.get("balance"), note),
        None if hold is None else _amount(name, "hold_trade", hold, note),
        _credit(name, value, note),
    )


def _credit(name: str, value: Mapping[str, Any], note: Note) -> Decimal:
    """The unused part of the credit line; few accounts have one."""
    if "credit" not in value and "credit_used" not in value:
        return _ZERO
    credit = _amount(name, "credit", value.get("credit", 0), note)
    if "credit_used" not in value:
        note("credit_used", MISSING)
        return _ZERO
    return _EXACT.subtract(credit, _amount(name, "credit_used", value["credit_used"], note))


def _amount(name: str, field: str, value: Any, note: Note) -> Decimal:
    """The exact amount in a JSON string or number."""
    text = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        note(field, MISSING if value is None else ODD)
        raise _unreadable(name)
    return _decimal(text)


_decimal = functools.lru_cache(maxsize=1024)(Decimal)  # thousands of accounts hold 0.0000000000 of something


def _unreadable(name: str) -> CallUnknown:
    return CallUnknown(f"Kraken's balance reply cannot be read: the row {str(name)[:20]!r} holds no amount.")


def _sum(values: Iterable[Decimal]) -> Decimal:
    """The sum; for a single value the value itself, since most assets have one row, and many snapshots keep it."""
    first, *others = [*values] or [_ZERO]
    for value in others:
        first = _EXACT.add(first, value)
    return first
