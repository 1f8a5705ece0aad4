"""What Kraken tells everybody, as far as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from engine.rules.balance.valuation import Prices


@dataclass(frozen=True, slots=True)
class Quotes:
    """Public facts for display: prices, the last trade by any name of a pair, decimals by asset."""

    prices: Prices = field(default_factory=Prices)
    last: Mapping[str, Decimal] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
