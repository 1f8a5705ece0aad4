"""What an order holds until it trades, and what a trade costs."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal

from engine.simulator.order import Order

TAKER, MAKER = Decimal("0.0040"), Decimal("0.0025")  # those of the smallest accounts, as `AssetPairs` tells them
_SMALLEST = Decimal("0.00001")  # of a quote asset
_SMALLEST_BASE = Decimal("1e-10")


def hold_of(order: Order) -> tuple[str, Decimal]:
    """The asset that an order holds and how much of it: what may be spent, with the dearest fee."""
    if order.side == "sell":
        fee = order.left * TAKER if order.pays_in_base else Decimal(0)
        return order.pair.base, order.left + fee.quantize(_SMALLEST_BASE, ROUND_UP)
    cost = order.left * (order.price or order.trigger or order.basis)
    with_fee = cost if order.pays_in_base else cost * (1 + TAKER)
    return order.pair.quote, with_fee.quantize(_SMALLEST, ROUND_UP)


def fee_of(order: Order, price: Decimal, volume: Decimal, *, maker: bool) -> Decimal:
    """The fee of a trade, in the base asset if the order pays it there, otherwise in the quote asset."""
    rate = MAKER if maker else TAKER
    if order.pays_in_base:
        return (volume * rate).quantize(_SMALLEST_BASE, ROUND_UP)
    return (price * volume * rate).quantize(_SMALLEST, ROUND_UP)
