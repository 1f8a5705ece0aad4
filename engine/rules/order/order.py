"""Orders as a caller gives them, and what is known of a placement. Amounts are kept exactly; floats are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, fields
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from engine.errors import ConfigError
from engine.kraken.params import SELF_TRADES
from engine.rules.order.close import ConditionalClose
from engine.rules.order.order_values import (
    Moment,
    Price,
    WrongPart,
    flags_of,
    moment_of,
    one_of,
    pair_of,
    plain,
    price_of,
    time_of,
    userref_of,
    volume_of,
    whole_of,
)
from engine.rules.order.states import OrderState
from engine.values.dataclass import dataclass

SIDES = ("buy", "sell")
NEEDS_PRICE = frozenset({
    "limit", "iceberg", "stop-loss", "take-profit", "stop-loss-limit", "take-profit-limit", "trailing-stop",
    "trailing-stop-limit",
})  # fmt: skip
NEEDS_PRICE2 = frozenset({"stop-loss-limit", "take-profit-limit", "trailing-stop-limit"})
TYPES = NEEDS_PRICE | {"market"}
HAS_LIMIT = NEEDS_PRICE2 | {"limit", "iceberg"}
TRIGGERED = NEEDS_PRICE - {"limit", "iceberg"}
_TYPES_IN_ORDER = tuple(sorted(TYPES))
TIMES_IN_FORCE = ("GTC", "IOC", "FOK", "GTD")

_ID = re.compile(r"[!-~]{1,128}")


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
    time_in_force: ``GTC``, ``IOC``, ``FOK``, or ``GTD`` with `expires`.
    leverage, reduce_only, trigger, display_volume: as Kraken's AddOrder has them.
    expires, starts: when it ends, and from when on it is on the market: seconds from when Kraken gets it, or an aware
        `datetime`. deadline: an aware `datetime`, after which Kraken takes it no more; the engine's own may be sooner.
    self_trade: what happens when it would trade with another order of the same account: ``cancel-newest`` (which is
        also what happens without it), ``cancel-oldest`` or ``cancel-both``.
    userref: a number for groups of orders. The journal has it and Kraken does not: there the order needs the name that
        the engine gives it, and Kraken takes one of the two.
    close: what Kraken places against its fills. Such an order cannot be edited or amended at Kraken. The orders that
        Kraken places do not belong to the placement: they are listed as open orders that were placed elsewhere.

    Amounts are texts, `Decimal` or whole numbers, and are kept exactly. Raises `ConfigError` for a float and for what
    is not an order. Two orders that differ by their deadline alone are equal: the second is another try of the first.
    """

    pair: str
    side: str
    type: str
    volume: Decimal
    price: Price | None = None
    price2: Price | None = None
    flags: tuple[str, ...] = ()
    time_in_force: str = "GTC"
    expires: Moment | None = field(default=None, kw_only=True)
    leverage: int | None = field(default=None, kw_only=True)
    reduce_only: bool = field(default=False, kw_only=True)
    trigger: str | None = field(default=None, kw_only=True)
    display_volume: Decimal | None = field(default=None, kw_only=True)
    starts: Moment | None = field(default=None, kw_only=True)
    deadline: datetime | None = field(default=None, kw_only=True, compare=False)
    self_trade: str | None = field(default=None, kw_only=True)
    userref: int | None = field(default=None, kw_only=True)
    close: ConditionalClose | None = field(default=None, kw_only=True)

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
        expires: int | datetime | str | None = None,
        leverage: int | None = None,
        reduce_only: bool = False,
        trigger: str | None = None,
        display_volume: str | int | Decimal | None = None,
        starts: int | datetime | str | None = None,
        deadline: datetime | str | None = None,
        self_trade: str | None = None,
        userref: int | None = None,
        close: ConditionalClose | Mapping[str, Any] | None = None,
    ) -> None:
        values: dict[str, Any] = {
            "pair": pair_of(pair),
            "side": one_of("side", side, SIDES),
            "type": one_of("type", type, _TYPES_IN_ORDER),
            "volume": volume_of("volume", volume),
            "price": price_of("price", price),
            "price2": price_of("price2", price2),
            "flags": flags_of(flags),
            "time_in_force": one_of("time_in_force", time_in_force, TIMES_IN_FORCE),
            "expires": moment_of("expires", expires),
            "leverage": whole_of("leverage", leverage),
            "reduce_only": reduce_only,
            "trigger": None if trigger is None else one_of("trigger", trigger, ("last", "index")),
            "display_volume": None if display_volume is None else volume_of("display_volume", display_volume),
            "starts": moment_of("starts", starts),
            "deadline": time_of("deadline", deadline),
            "self_trade": None if self_trade is None else one_of("self_trade", self_trade, SELF_TRADES),
            "userref": userref_of(userref),
            "close": None if close is None else ConditionalClose.of(close),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        _check_together(self)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are texts. `from_dict` reads it."""
        values = {
            name: value if value is None or isinstance(value, str) else plain(value)  # most of them are
            for name, value in parts_of(self).items()
        }
        values["close"] = None if self.close is None else self.close.to_dict()
        return values

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Order:
        """The order of `to_dict`. Raises `ConfigError` or `TypeError` for what is none."""
        return cls(**document)


_PARTS = tuple(each.name for each in fields(Order))
_parts = attrgetter(*_PARTS)


def parts_of(order: Order) -> dict[str, Any]:
    """What an order is made from: `Order(**parts)` is the same one."""
    return dict(zip(_PARTS, _parts(order), strict=True))


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
        values = {each.name: plain(getattr(self, each.name)) for each in fields(self)}
        del values["amounts_known"]
        return values | {
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


def _check_together(order: Order) -> None:
    """Raise `WrongPart` for parts that do not belong together."""
    needs = (("price", order.price, NEEDS_PRICE), ("price2", order.price2, NEEDS_PRICE2))
    for name, price, types in needs:
        if (price is None) == (order.type in types):
            raise WrongPart(name, f"A {order.type} order {'needs' if price is None else 'has no'} {name}.")
    if "viqc" in order.flags and (order.type != "market" or order.side != "buy"):
        raise WrongPart("flags", "The flag viqc is for market orders that buy.")
    if "post" in order.flags and (order.type != "limit" or order.time_in_force in ("IOC", "FOK")):
        raise WrongPart("flags", "The flag post is for limit orders that may rest on the book.")
    if order.time_in_force == "FOK" and order.type not in HAS_LIMIT:
        raise WrongPart("time_in_force", "FOK is for orders with a limit price.")
    if order.trigger is not None and order.type not in TRIGGERED:
        raise WrongPart("trigger", "Order.trigger belongs to orders that a price triggers.")
    if (order.expires is None) == (order.time_in_force == "GTD"):
        raise WrongPart("expires", "Order.expires belongs to time_in_force='GTD', and is needed there.")
    if (order.display_volume is None) == (order.type == "iceberg"):
        raise WrongPart("display_volume", "Order.display_volume belongs to iceberg orders, and is needed there.")
    if not isinstance(order.reduce_only, bool):
        raise WrongPart("reduce_only", "Order.reduce_only is a switch: True or False.")
