"""A pair of assets as Kraken trades it, and its best prices."""

from __future__ import annotations

from decimal import Decimal

from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What Kraken says of a pair in AssetPairs: what it trades, in which steps, and what it takes now."""

    id: str
    """By which Kraken's answers are keyed, such as ``XXBTZUSD``."""
    altname: str
    wsname: str
    """With a slash, such as ``XBT/USD``; empty where Kraken gives none."""
    base: str
    """The asset that is traded, by Kraken's own name."""
    quote: str
    """The asset that pays for it."""
    status: str
    """``online``, ``cancel_only``, ``post_only``, ``limit_only`` or ``reduce_only``; empty where Kraken tells none."""
    tick_size: Decimal
    """The step of a price."""
    pair_decimals: int
    lot_decimals: int
    """Decimals of a volume."""
    cost_decimals: int
    ordermin: Decimal
    """The least volume of an order."""
    costmin: Decimal
    """The least worth of an order, in the quote asset."""
    fee: Decimal | None = None
    """The highest fee that AssetPairs tells, as a part: 0.004 is 0.4 %. `None` where it tells none."""
    asset_class: str = "currency"
    """Of what is traded: ``currency``, or ``tokenized_asset`` for a share."""
    venue: str = ""
    """Where it is traded when that is not Kraken's own exchange, such as ``BTNL``."""


@dataclass(frozen=True, slots=True)
class Ticker:
    """The best prices of a pair, and the last one that was traded."""

    ask: Decimal
    bid: Decimal
    last: Decimal | None
    """`None` for a pair that was never traded."""
