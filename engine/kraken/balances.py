"""A balance reply of Kraken's, turned into what is mine and what is free (promises G6, G12).

Rows are mapped through the asset table, never by stripping letters. Formulas of KRAKEN.md §9: available = balances of
the plain row and its Auto-Earn row (``.F``) + credit - credit used - holds of both; staked, bonded, parked and held
rows are mine but not free. Every figure is an exact `Decimal`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, Inexact
from types import MappingProxyType
from typing import Any

from engine.errors import CallUnknown
from engine.kraken.assets import AssetTable
from engine.values import AssetBalance, BalanceRow, Bucket

_EXACT = Context(prec=500, traps=[Inexact])
_AMOUNT = re.compile(r"-?[0-9]{1,100}(\.[0-9]{1,100})?([eE][-+]?[0-9]{1,2})?")


def read_rows(endpoint: str, result: Any, table: AssetTable) -> Mapping[str, AssetBalance]:
    """The assets of a ``Balance`` or ``BalanceEx`` reply by plain name.

    Raises `CallUnknown` when anything in it cannot be read: half a balance is not a balance.
    """
    if not isinstance(result, Mapping):
        raise CallUnknown("Kraken's balance reply cannot be read: it is no table of assets.")
    read = _read_extended if endpoint == "BalanceEx" else _read_plain
    assets: dict[str, list[BalanceRow]] = {}
    for name, value in result.items():
        plain, bucket = table.locate(name)
        assets.setdefault(plain, []).append(read(name, bucket, value))
    return MappingProxyType({plain: _asset(tuple(rows)) for plain, rows in sorted(assets.items())})


def sum_cash(
    assets: Mapping[str, AssetBalance], names: Iterable[str]
) -> tuple[Decimal, Decimal | None]:
    """Cash and available cash of a good reply; an asset that is not in it is a true zero."""
    mine = [assets[name] for name in names if name in assets]
    cash = _sum(row.balance for asset in mine for row in asset.rows if row.bucket.spendable)
    free = [asset.available for asset in mine]
    return cash, None if None in free else _sum(part for part in free if part is not None)


def differences(
    before: Mapping[str, AssetBalance], after: Mapping[str, AssetBalance]
) -> Mapping[str, Decimal]:
    """By how much each asset's total changed; only those that did."""
    nothing = AssetBalance(Decimal(0), None, None)
    changes = {
        name: _EXACT.subtract(after.get(name, nothing).total, before.get(name, nothing).total)
        for name in sorted(before.keys() | after.keys())
    }
    return MappingProxyType({name: change for name, change in changes.items() if change})


def summed(first: Mapping[str, Decimal], second: Mapping[str, Decimal]) -> Mapping[str, Decimal]:
    """Two changes in a row as one; what they undo is left out."""
    nothing = Decimal(0)
    both = {
        name: _EXACT.add(first.get(name, nothing), second.get(name, nothing))
        for name in sorted(first.keys() | second.keys())
    }
    return MappingProxyType({name: change for name, change in both.items() if change})


_ZERO = Decimal(0)


def _asset(rows: tuple[BalanceRow, ...]) -> AssetBalance:
    total = _sum(row.balance for row in rows)
    liquid = [row for row in rows if row.bucket.spendable]
    holds = [row.held for row in liquid]
    if None in holds:
        return AssetBalance(total, None, None, rows)
    held = _sum(hold for hold in holds if hold is not None)
    free = _EXACT.subtract(_sum(each for row in liquid for each in (row.balance, row.credit)), held)
    return AssetBalance(total, free, held, rows)


def _read_plain(name: str, bucket: Bucket, value: Any) -> BalanceRow:
    return BalanceRow(name, bucket, _amount(name, value))


def _read_extended(name: str, bucket: Bucket, value: Any) -> BalanceRow:
    if not isinstance(value, Mapping):
        raise _unreadable(name)
    hold = value.get("hold_trade")
    return BalanceRow(
        name,
        bucket,
        _amount(name, value.get("balance")),
        None if hold is None else _amount(name, hold),
        _credit(name, value),
    )


def _credit(name: str, value: Mapping[str, Any]) -> Decimal:
    """The credit line less what is used of it; few accounts have one."""
    if "credit" not in value and "credit_used" not in value:
        return _ZERO
    return _EXACT.subtract(_amount(name, value.get("credit", 0)), _amount(name, value.get("credit_used", 0)))


def _amount(name: str, value: Any) -> Decimal:
    """An amount as a JSON string or number, exactly."""
    text = str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):
        raise _unreadable(name)
    return Decimal(text)


def _unreadable(name: str) -> CallUnknown:
    return CallUnknown(f"Kraken's balance reply cannot be read: the row {str(name)[:20]!r} holds no amount.")


def _sum(values: Iterable[Decimal]) -> Decimal:
    """The sum; of a single value that value itself, since most assets have one row and many actors keep them."""
    first, *others = [*values] or [_ZERO]
    for value in others:
        first = _EXACT.add(first, value)
    return first
