"""The conditional close of an order: what Kraken places against each of its fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from typing import Any

from engine.kraken.params import CLOSE_TYPES
from engine.rules.order.order_values import Price, WrongPart, one_of, plain, price_of
from engine.values.dataclass import dataclass

_TWO_PRICES = frozenset(each for each in CLOSE_TYPES if each.endswith("-limit"))


@dataclass(frozen=True, slots=True)
class ConditionalClose:
    """What Kraken places on the other side as soon as, and as far as, an order is filled.

    type, price, price2: as those of an `Order`; the type is none that trades at once. Raises `ConfigError`.
    """

    type: str
    price: Price | None = None
    price2: Price | None = None

    def __init__(
        self, type: str, price: str | int | Decimal | None = None, price2: str | int | Decimal | None = None
    ) -> None:
        object.__setattr__(self, "type", one_of("close[ordertype]", type, CLOSE_TYPES))
        object.__setattr__(self, "price", price_of("close[price]", price))
        object.__setattr__(self, "price2", price_of("close[price2]", price2))
        for name, given, needed in (("price", price, True), ("price2", price2, type in _TWO_PRICES)):
            if (given is None) == needed:
                sentence = f"A conditional close of type {type} {'needs' if needed else 'has no'} {name}."
                raise WrongPart(f"close[{name}]", sentence)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are texts."""
        return {each.name: plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def of(cls, value: object) -> ConditionalClose | None:
        """The conditional close that is given, if any; also as `to_dict` has it."""
        if value is None or isinstance(value, ConditionalClose):
            return value
        if isinstance(value, Mapping) and value.keys() <= {each.name for each in fields(cls)} and "type" in value:
            return cls(**value)
        raise WrongPart("close", "Order.close is a ConditionalClose, or None.")
