"""What a balance tells of an order that no list tells of: never that it was not placed, at most that it is not open.

Kraken's reference of BalanceEx calls ``hold_trade`` the amount that is held for open orders. With nothing held no order
is open that takes of the balance, as any without leverage does. Something held may be for another order, and what was
traded, deposited or withdrawn meanwhile cannot be told apart in a balance: so nothing is concluded from one. It is said
to the person who has to look.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.rules.order.lists import LookupSteps
from engine.rules.order.order import Order

NOT_OPEN = "Kraken holds nothing for open orders, so it is not open now; whether it was filled no balance tells."
_MAY_BE_OPEN = "Kraken holds {held} for open orders, this one perhaps among them."


def ask_holds(order: Order) -> LookupSteps:
    """A sentence for a person, or an empty one where the balance tells nothing."""
    return says(order, (yield "BalanceEx", {}))


def says(order: Order, result: Any) -> str:
    """The sentence of `ask_holds`, from the reply."""
    held = _held(result)
    if held is None or order.leverage is not None:
        return ""
    listed = ", ".join(f"{amount.normalize():f} {asset}" for asset, amount in sorted(held.items()))
    return _MAY_BE_OPEN.format(held=listed) if held else NOT_OPEN


def _held(result: Any) -> dict[str, Decimal] | None:
    """What is held, by Kraken's name of the asset; `None` where a row does not tell, or there is no row."""
    if not isinstance(result, Mapping) or not result:
        return None
    held: dict[str, Decimal] = {}
    for asset, row in result.items():
        amount = _amount(row)
        if amount is None:
            return None
        if amount:
            held[str(asset)] = amount
    return held


def _amount(row: Any) -> Decimal | None:
    try:
        amount = Decimal(str(row["hold_trade"]))
    except (TypeError, KeyError, InvalidOperation):
        return None
    return amount if amount.is_finite() and amount >= 0 else None
