"""The holds of orders, the fees of trades, and their rounding."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_UP, Decimal
from typing import NamedTuple

from engine.simulator.book_order import BookOrder
from engine.simulator.market import cost_decimals, decimals_of

_BASE_FEE = Decimal("1e-10")


class Fees(NamedTuple):
    """What an account pays, as shares of the cost."""

    maker: Decimal
    taker: Decimal

    @classmethod
    def of(cls, percent: tuple[str, str]) -> Fees:
        """Maker and taker fee in percent, as text."""
        maker, taker = (Decimal(told) / 100 for told in percent)
        return cls(maker, taker)

    def hold_of(self, order: BookOrder) -> tuple[str, Decimal]:
        """The asset and amount that an order holds: the most that it may spend, with the highest fee."""
        if order.side == "sell":
            fee = order.left * self._dearest if order.pays_in_base else Decimal(0)
            return order.pair.base, order.left + fee.quantize(_BASE_FEE, ROUND_UP)
        cost = order.left * (order.price or order.trigger or order.basis)
        fee = Decimal(0) if order.pays_in_base else cost * self._dearest
        quote = order.pair.quote
        return quote, settled(quote, cost, ROUND_UP) + settled(quote, fee, ROUND_UP)

    def fee_of(self, order: BookOrder, price: Decimal, volume: Decimal, *, maker: bool) -> Decimal:
        """The fee of a trade, in the base asset if the order pays it there, otherwise in the quote asset."""
        rate = self.maker if maker else self.taker
        if order.pays_in_base:
            return (volume * rate).quantize(_BASE_FEE, ROUND_UP)
        return (price * volume * rate).quantize(Decimal(1).scaleb(-cost_decimals(order.pair)), ROUND_UP)

    @property
    def _dearest(self) -> Decimal:
        return max(self.taker, self.maker)


def settled(asset: str, amount: Decimal, rounding: str = ROUND_HALF_EVEN) -> Decimal:
    """An amount in the decimals of its asset, as balances and the ledger have it."""
    return amount.quantize(Decimal(1).scaleb(-decimals_of(asset)), rounding)
