"""What assets are worth in one currency, by the prices of markets. Pure.

A market's price is what one unit of its base costs in its quote. From an asset to a currency it goes by the market
between them, in either direction, or over one or two assets in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from engine.values.dataclass import dataclass

CURRENCIES = ("USD", "EUR", "GBP", "CHF", "CAD", "AUD", "JPY", "XBT")
"""In which a total is offered."""
_BETWEEN = ("USD", "EUR", "USDT", "XBT")
_STEPS = 3  # markets: to one asset in between, to another, and to the currency

Market = tuple[str, str]
"""Base and quote, by plain name."""


@dataclass(frozen=True, slots=True)
class Valuation:
    """A sum in one currency. `missing`: the assets without a price, which are not in it."""

    total: Decimal
    missing: tuple[str, ...] = ()


class Prices:
    """The prices of markets, and what they make of each asset, worked out once. Any thread may ask."""

    def __init__(self, by_market: Mapping[Market, Decimal] = MappingProxyType({})) -> None:
        self.by_market = by_market
        self._rates: dict[Market, Decimal | None] = {}

    def rate(self, asset: str, currency: str) -> Decimal | None:
        """What one unit is worth, by as few markets as lead there; `None` where none do."""
        pair = asset, currency
        if pair not in self._rates:
            self._rates[pair] = self._worked_out(asset, currency)
        return self._rates[pair]

    def _worked_out(self, asset: str, currency: str) -> Decimal | None:
        reached = {asset: Decimal(1)}
        for _ in range(_STEPS):
            for name, value in tuple(reached.items()):
                for to in (currency, *_BETWEEN):
                    price = None if to in reached else self._direct(name, to)
                    if price is not None:
                        reached[to] = value * price
            if currency in reached:
                return reached[currency]
        return None

    def _direct(self, asset: str, currency: str) -> Decimal | None:
        if (asset, currency) in self.by_market:
            return self.by_market[asset, currency]
        inverse = self.by_market.get((currency, asset))
        return 1 / inverse if inverse else None


def worth(amounts: Mapping[str, Decimal], currency: str, prices: Prices) -> Valuation:
    """The value of amounts by plain name, positive or negative."""
    total, missing = Decimal(0), []
    for asset, amount in sorted(amounts.items()):
        price = prices.rate(asset, currency) if amount else Decimal(0)
        if price is None:
            missing.append(asset)
        else:
            total += amount * price
    return Valuation(total, tuple(missing))


def markets_for(assets: Iterable[str], listed: Iterable[Market]) -> tuple[Market, ...]:
    """The markets whose prices are needed: from each asset to one in between, and from these to every currency."""
    there = set(listed)
    wanted: dict[Market, None] = {}
    for asset in assets:
        found = [market for to in _BETWEEN for market in ((asset, to), (to, asset)) if market in there]
        wanted.update(dict.fromkeys(found[:1]))
    for currency in (*CURRENCIES, *_BETWEEN):
        for between in _BETWEEN:
            wanted.update({each: None for each in ((between, currency), (currency, between)) if each in there})
    return tuple(wanted)
