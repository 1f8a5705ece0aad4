"""What an account holds of one asset."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

from engine.values.dataclass import dataclass


class Bucket(Enum):
    """The wallet that a balance row speaks of."""

    SPOT = "spot"
    EARN_AUTO = "auto earn"
    BONDED = "bonded"
    OPT_IN = "opt-in rewards"
    PARKED = "parachain"
    TOKENISED = "tokenised"
    HOLD = "on hold"
    UNKNOWN = "unknown"

    @property
    def spendable(self) -> bool:
        """Whether an order on the base asset can use it; Kraken documents this for `.F` rows."""
        return self in (Bucket.SPOT, Bucket.EARN_AUTO)


@dataclass(frozen=True, slots=True)
class BalanceRow:
    """One row of Kraken's reply under its own name."""

    name: str
    bucket: Bucket
    balance: Decimal
    held: Decimal | None = None
    """`None`: the endpoint that answered does not know holds."""
    credit: Decimal = Decimal(0)
    """Credit line less credit used."""


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """One asset over all its rows.

    `total`: everything. `available`: what an order could use now, or `None` when holds are not known. `held`: reserved
    by open orders, or `None`. `rows`: Kraken's rows as they came. `earn_in_base`: the plain row seems to hold what the
    Auto-Earn row (``.F``) lists once more, so that only the plain row counts.
    """

    total: Decimal
    available: Decimal | None
    held: Decimal | None
    rows: tuple[BalanceRow, ...] = ()
    earn_in_base: bool = False
