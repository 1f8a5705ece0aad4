"""Whether a balance that REST tells is behind what the stream has told (promise G6).

REST can lag behind the stream: up to a minute was reported. An asset whose total differs from the one that the stream
told last is behind for `LAG` seconds from then on; after that REST is believed, as it is without push, since totals may
also differ by what the stream does not tell of, or by how rows are added up. An asset that differs so long is not
compared until it agrees again.
Source: issue 82 of the project kraken-infinity-grid, for the minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from decimal import Decimal

from engine.values import AssetBalance
from engine.values.dataclass import dataclass

LAG = 120.0


@dataclass(frozen=True, slots=True)
class PushedTotals:
    """What the stream has told of an account's totals. Immutable; times by the monotonic clock."""

    totals: Mapping[str, tuple[Decimal, float]] = field(default_factory=dict)
    """By plain name, the amount and when it was told."""
    listed: frozenset[str] = frozenset()
    """The assets that only a snapshot has told: where REST lists none of that name, it may have another one there."""
    ignored: frozenset[str] = frozenset()
    """The assets that are not compared."""

    def told(self, totals: Mapping[str, Decimal | None], at: float, *, is_snapshot: bool = False) -> PushedTotals:
        """The stream has told these; `None` is one that could not be read. A snapshot takes the place of all."""
        kept = {} if is_snapshot else dict(self.totals)
        listed = frozenset(totals) if is_snapshot else self.listed - totals.keys()
        for asset, total in totals.items():
            if total is None:
                kept.pop(asset, None)
            else:
                kept[asset] = (total, at)
        return replace(self, totals=kept, listed=listed)

    def compared(self, assets: Mapping[str, AssetBalance], now: float) -> tuple[PushedTotals, bool]:
        """REST has told `assets`: what is kept of that, and whether it is behind."""
        compared = [name for name in self.totals if name in assets or name not in self.listed]
        differing = {name for name in compared if not _agrees(assets.get(name), self.totals[name][0])}
        lasting = {name for name in differing if now - self.totals[name][1] >= LAG}
        ignored = (self.ignored & differing) | lasting
        return replace(self, ignored=ignored), bool(differing - ignored)


def _agrees(asset: AssetBalance | None, total: Decimal) -> bool:
    if asset is None:
        return not total
    finest = min((_exponent(row.balance) for row in asset.rows), default=0)
    rounded = {round(total, -finest) if finest < 0 else total, total}
    return bool(rounded & {asset.total, _sum(row.balance for row in asset.rows)})


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
