"""Whether Kraken lists Auto-Earn money twice: in its ``.F`` row, and in the plain row as well.

Kraken's changelog of 13 November 2025 deprecates the ``.F`` rows of Balance and BalanceEx. It does not say whether the
plain row includes their amount while both are listed. If it does, adding the two would count the money twice, and a
check of funds would pass wrongly. So rows that look like this count once, until Kraken's rows contradict it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal
from enum import Enum

from engine.values import AssetBalance, Bucket

_EXACT = Context(prec=500)


class AutoEarn(Enum):
    """How a plain row and its ``.F`` row add up."""

    UNSETTLED = "unsettled"
    """Not known: they are added, unless their amounts suggest that the plain row includes the other."""
    SUM = "sum"
    """They are known to add up."""
    LARGER = "larger"
    """The plain row is known to include the other, unless it is the smaller one."""


def listed_twice(
    before: Mapping[str, AssetBalance], after: Mapping[str, AssetBalance], reading: AutoEarn = AutoEarn.UNSETTLED
) -> frozenset[str]:
    """The assets of a reply whose plain row is taken to include the Auto-Earn amount; `before` is the last balance.

    A plain row that is smaller than the ``.F`` row cannot include it. While the reading is not known, evidence is
    needed: the plain row grew by the amount of the ``.F`` row (within 1 %) while that row did not shrink, or both are
    equal and were never seen to differ. An asset once listed twice stays so until its plain row is the smaller one.
    """
    if reading is AutoEarn.SUM:
        return frozenset()
    return frozenset(
        name
        for name, asset in after.items()
        if _may_hold(asset) and (reading is AutoEarn.LARGER or _looks_doubled(before.get(name), asset))
    )


def _looks_doubled(was: AssetBalance | None, now: AssetBalance) -> bool:
    base, earn = _parts(now)
    if was is None:
        return base == earn
    if was.earn_in_base:
        return True
    base_before, earn_before = _parts(was)
    if not earn_before:
        return base == earn
    if base == earn and base_before >= earn_before:
        return True
    beside = _EXACT.subtract(_EXACT.subtract(base, base_before), earn)
    return earn >= earn_before and _EXACT.multiply(_EXACT.abs(beside), 100) <= earn


def _may_hold(asset: AssetBalance) -> bool:
    base, earn = _parts(asset)
    return base >= earn > 0


def _parts(asset: AssetBalance) -> tuple[Decimal, Decimal]:
    return _summed(asset, Bucket.SPOT), _summed(asset, Bucket.EARN_AUTO)


def _summed(asset: AssetBalance, bucket: Bucket) -> Decimal:
    total = Decimal(0)
    for amount in _of(asset, bucket):
        total = _EXACT.add(total, amount)
    return total


def _of(asset: AssetBalance, bucket: Bucket) -> Iterator[Decimal]:
    return (row.balance for row in asset.rows if row.bucket is bucket)
