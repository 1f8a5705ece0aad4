"""Which fee a purchase is counted with: the account's own where Kraken tells it, else a bound that is safe."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from engine.rules.lane.admission import SETTLEMENT, WRITES
from engine.values.dataclass import dataclass

_OWN, _AFTER_IT = 1, 1  # points: TradeVolume, and then GetApiKeyInfo, which comes before an order
NOT_TOLD = "Kraken tells no fee of this pair"
NOT_ASKED = "TradeVolume was not asked yet"
NOT_ANSWERED = "TradeVolume has not answered"
DENIED = "Kraken denies TradeVolume to this key"


@dataclass(frozen=True, slots=True)
class Fee:
    """The fee that is counted for a purchase, and where it is from."""

    rate: Decimal
    """As a part: 0.004 is 0.4 %."""
    is_own: bool
    """Whether it is what this account pays, by TradeVolume; otherwise it pays that much at most."""
    why: str = ""
    """Why only a bound is known."""

    def __str__(self) -> str:
        percent = percent_text(self.rate)
        return f"the account's own {percent} by TradeVolume" if self.is_own else f"at most {percent}: {self.why}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the rate is a part, as a text."""
        return {"rate": format(self.rate, "f"), "own": self.is_own, "text": str(self)}


def choose_fee(own: Decimal | None, bound: Decimal, told: Iterable[Decimal | None] = (), why: str = NOT_TOLD) -> Fee:
    """The account's own fee; without it the greatest of `bound` and of every fee that Kraken has `told`."""
    if own is not None:
        return Fee(own, is_own=True)
    return Fee(max(each for each in (bound, *told) if each is not None), is_own=False, why=why)


def has_room(level: float, limit: float) -> bool:
    """Whether a call counter at `level` has a point for TradeVolume: never one that the pass or its order may need."""
    return level + _OWN + _AFTER_IT + WRITES + SETTLEMENT <= limit


def percent_text(rate: Decimal) -> str:
    """A part as a percentage with two decimals, or more where it has them: ``0.40 %``."""
    text = format(rate.scaleb(2), "f")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')} %"
