"""Whether Kraken lists Auto-Earn money twice: in its ``.F`` row, and in the plain row as well.

On 13 November 2025 Kraken's changelog deprecated the ``.F`` rows of Balance and BalanceEx, and did not say whether the
plain row holds their amount while both are listed. Counted apart, such money would be there twice, and a check of funds
would pass that should not. So a row that looks like this counts once, until Kraken's rows contradict it.
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
    """Nobody knows: they are added, unless their amounts say that the plain row holds the other."""
    SUM = "sum"
    """It is known that they are added."""
    LARGER = "larger"
    """It is known that the plain row holds the other, where it is not the smaller one."""


def listed_twice(
    before: Mapping[str, AssetBalance], after: Mapping[str, AssetBalance], reading: AutoEarn = AutoEarn.UNSETTLED
) -> frozenset[str]:
    """The assets of a reply whose Auto-Earn amount is taken to be in the plain row too; `before` is the last balance.

    Only where the plain row is not smaller than the ``.F`` row, or it could not hold it. While that is unsettled, this
    has to speak for it: the plain row grew by what the ``.F`` row has (within 1 %) while that row did not shrink, or
    both are equal and were never seen to be apart. Once said it holds until the plain row is the smaller one.
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
