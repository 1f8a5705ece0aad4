"""Orders as a caller gives them, and what is known of a placement. Amounts are kept exactly; floats are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any

from engine.errors import ConfigError
from engine.rules.order.states import OrderState

SIDES = ("buy", "sell")
NEEDS_PRICE = frozenset({
    "limit", "iceberg", "stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit", "trailing-stop",
    "trailing-stop-limit",
})  # fmt: skip
NEEDS_PRICE2 = frozenset({"stop-loss-limit", "take-profit-limit", "trailing-stop-limit"})
TYPES = NEEDS_PRICE | {"market"}
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTD")
FLAGS = frozenset({"post", "fcib", "fciq", "viqc"})

_AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")
_RELATIVE = re.compile(r"[+#-][0-9]{1,30}(\.[0-9]{1,30})?%?|[0-9]{1,30}(\.[0-9]{1,30})?%")
_ID = re.compile(r"[!-~]{1,128}")

Price = Decimal | str
"""A price; a text is one relative to the market, as Kraken writes it: ``+5``, ``#2%``."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to place.

    pair: by any name of the market (``XBTUSD``, ``XXBTZUSD``, ``BTC/USD``, ``xbt/usd``). That of a tokenized share is
        written as Kraken does (``AAPLxUSD``), and one of another venue with it (``XBTUSD:BTNL``).
    side: ``buy`` or ``sell``.
    type: Kraken's order type, such as ``limit`` or ``market``.
    volume: in the base asset; with the flag ``viqc`` (market buys only) in the quote asset.
    price, price2: as Kraken's AddOrder takes them: the limit, or trigger and limit; also relative, as a text.
    flags: Kraken's order flags: ``post``, ``fcib``, ``fciq``, ``viqc``.
    time_in_force: ``GTC``, ``IOC``, ``FOK``, or ``GTD`` with `expires`, seconds from when Kraken gets it.
    leverage, reduce_only, trigger, display_volume: as Kraken's AddOrder has them.

    Amounts are texts, `Decimal` or whole numbers, and are kept exactly. Raises `ConfigError` for a float and for what
    is no order. There is no conditional close: that places a second order, which no placement could answer for.
    """

    pair: str
    side: str
    type: str
    volume: Decimal
    price: Price | None = None
    price2: Price | None = None
    flags: tuple[str, ...] = ()
    time_in_force: str = "GTC"
    expires: int | None = field(default=None, kw_only=True)
    leverage: int | None = field(default=None, kw_only=True)
    reduce_only: bool = field(default=False, kw_only=True)
    trigger: str | None = field(default=None, kw_only=True)
    display_volume: Decimal | None = field(default=None, kw_only=True)

    def __init__(
        self,
        pair: str,
        side: str,
        type: str,
        volume: str | int | Decimal,
        price: str | int | Decimal | None = None,
        price2: str | int | Decimal | None = None,
        flags: tuple[str, ...] | list[str] | str = (),
        time_in_force: str = "GTC",
        *,
        expires: int | None = None,
        leverage: int | None = None,
        reduce_only: bool = False,
        trigger: str | None = None,
        display_volume: str | int | Decimal | None = None,
    ) -> None:
        values: dict[str, Any] = {
            "pair": _pair(pair),
            "side": _one_of("side", side, SIDES),
            "type": _one_of("type", type, sorted(TYPES)),
            "volume": _volume("volume", volume),
            "price": _price("price", price),
            "price2": _price("price2", price2),
            "flags": _flags(flags),
            "time_in_force": _one_of("time_in_force", time_in_force, TIMES_IN_FORCE),
            "expires": _whole("expires", expires),
            "leverage": _whole("leverage", leverage),
            "reduce_only": reduce_only,
            "trigger": None if trigger is None else _one_of("trigger", trigger, ("last", "index")),
            "display_volume": None if display_volume is None else _volume("display_volume", display_volume),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _check_together(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are texts. `from_dict` reads it."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Order:
        """The order of `to_dict`. Raises `ConfigError` or `TypeError` for what is none."""
        return cls(**document)


@dataclass(frozen=True, slots=True)
class OrderReceipt:
    """What is known of a placement.

    id: the caller's name for it, or one of ours.
    order: as it was asked for; `sent`: as it is at Kraken, rounded to what the pair takes and changed by amends.
    state: `OrderState`.
    txids: Kraken's names of the order, after an edit the new one; more than one only if the exchange holds what it must
        not.
    cl_ord_id: the name that we gave it.
    live: `False`: Kraken only checked it.
    description: Kraken's words for the order, or `None`.
    reason: why it was refused, not placed or canceled, for a person.
    filled, cost, fee: what was traded, as far as it is known; in the base asset, the quote asset, and Kraken's fee.
    amounts_known: whether these are complete: they come from a row of Kraken's that says that the order is over.
    """

    id: str
    account: str
    order: Order
    state: OrderState
    txids: tuple[str, ...] = ()
    cl_ord_id: str = ""
    live: bool = True
    description: str | None = None
    sent: Order | None = None
    reason: str | None = None
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    amounts_known: bool = True

    @property
    def is_final(self) -> bool:
        """Whether nothing of this can change any more: the order is over, and what was filled is known."""
        return self.state.is_over and self.amounts_known

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are texts."""
        plain = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        del plain["amounts_known"]
        return plain | {
            "is_final": self.is_final,
            "order": self.order.to_dict(),
            "sent": None if self.sent is None else self.sent.to_dict(),
            "state": self.state.value,
        }


def check_id(value: object) -> str:
    """A caller's name for a placement. Raises `ConfigError`."""
    if isinstance(value, str) and _ID.fullmatch(value):
        return value
    raise ConfigError(f"{str(value)[:140]!r} cannot name a placement: use 1 to 128 printable characters, no spaces.")


def _pair(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= 32 and value.isascii() and value.isprintable():
        return value
    raise ConfigError(f"Order.pair is {str(value)[:40]!r}: name a pair as Kraken does, such as 'XBTUSD'.")


def _one_of(name: str, value: object, known: Any) -> str:
    if isinstance(value, str) and value in known:
        return value
    raise ConfigError(f"Order.{name} is {str(value)[:40]!r}: it is one of {', '.join(known)}.")


def _amount(name: str, value: object) -> Decimal:
    if isinstance(value, float):
        raise ConfigError(f"Order.{name} is the float {value!r}, which is not exact: give it as a text, like '0.01'.")
    if isinstance(value, Decimal) and value.is_finite():
        value = format(value, "f") if abs(value.adjusted()) <= 30 else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        with_point = isinstance(value, str) and _AMOUNT.fullmatch(value.replace(",", "."))
        hint = ": write it with a point" if with_point else ""
        raise ConfigError(f"Order.{name} is {str(value)[:40]!r}, which is not an amount{hint}. Give a text such as "
                          "'0.01', a Decimal or a whole number; it is not negative.")  # fmt: skip
    return Decimal(value)


def _volume(name: str, value: object) -> Decimal:
    amount = _amount(name, value)
    if not amount:
        raise ConfigError(f"Order.{name} is 0: nothing would be traded.")
    return amount


def _price(name: str, value: object) -> Price | None:
    if value is None or (isinstance(value, str) and _RELATIVE.fullmatch(value)):
        return value
    amount = _amount(name, value)
    if not amount:
        raise ConfigError(f"Order.{name} is 0: leave it out where the order has none.")
    return amount


def _whole(name: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**10):
        return value
    raise ConfigError(f"Order.{name} is {str(value)[:40]!r}: it is a positive whole number, or None.")


def _flags(value: object) -> tuple[str, ...]:
    given = value.split(",") if isinstance(value, str) and value else value or ()
    if not isinstance(given, list | tuple):
        raise ConfigError("Order.flags is a list of Kraken's order flags, such as ('post',).")
    return tuple(sorted({_one_of("flags", each, sorted(FLAGS)) for each in given}))


def _check_together(order: Order) -> None:
    """Raise `ConfigError` for parts that do not belong together."""
    needs = (("price", order.price, NEEDS_PRICE), ("price2", order.price2, NEEDS_PRICE2))
    for name, price, types in needs:
        if (price is None) == (order.type in types):
            raise ConfigError(f"A {order.type} order {'needs' if price is None else 'has no'} {name}.")
    if "viqc" in order.flags and (order.type != "market" or order.side != "buy"):
        raise ConfigError("The flag viqc is for market orders that buy.")
    if "post" in order.flags and order.type != "limit":
        raise ConfigError("The flag post is for limit orders.")
    if (order.expires is None) == (order.time_in_force == "GTD"):
        raise ConfigError("Order.expires belongs to time_in_force='GTD', and is needed there.")
    if (order.display_volume is None) == (order.type == "iceberg"):
        raise ConfigError("Order.display_volume belongs to iceberg orders, and is needed there.")
    if not isinstance(order.reduce_only, bool):
        raise ConfigError("Order.reduce_only is a switch: True or False.")


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return list(value) if isinstance(value, tuple) else value
