"""One fill of an order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.simulator.market import ListedPair, cost_decimals

_AT_MARKET = frozenset({"stop-loss", "take-profit", "trailing-stop"})


@dataclass(frozen=True, slots=True)
class Fill:
    """A fill. `fee` is in the quote asset, or in the base asset if the order asked for that."""

    id: str
    order: str
    pair: ListedPair
    side: str
    kind: str
    time: float
    price: Decimal
    volume: Decimal
    fee: Decimal
    maker: bool
    number: int
    pays_in_base: bool = False

    @property
    def cost(self) -> Decimal:
        """The cost without the fee."""
        return self.price * self.volume

    def row(self, ledgers: Sequence[str] = ()) -> dict[str, Any]:
        """The row of `TradesHistory`, with the ids of its ledger entries if requested."""
        executed = "market" if self.kind in _AT_MARKET else "limit" if self.kind.endswith("-limit") else self.kind
        costs = cost_decimals(self.pair)
        row: dict[str, Any] = {
            "ordertxid": self.order, "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": self.pair.id, "aclass": "forex",
            "time": self.time, "type": self.side, "ordertype": self.kind, "tradeordertype": executed,
            "price": f"{self.price:.{costs}f}", "cost": f"{self.cost:.{costs}f}",
            "fee": shown_fee(self.fee, self.pair, in_base=self.pays_in_base),
            "vol": f"{self.volume:.{self.pair.lot_decimals}f}", "margin": "0.00000",
            "leverage": "0", "misc": "", "trade_id": self.number, "maker": self.maker,
        }  # fmt: skip
        return {**row, "ledgers": list(ledgers)} if ledgers else row


def shown_fee(fee: Decimal, pair: ListedPair, *, in_base: bool) -> str:
    """A fee as text: in the decimals of costs, or with ten if it is paid in the base asset."""
    return f"{fee:.10f}" if in_base else f"{fee:.{cost_decimals(pair)}f}"
