"""One order on the exchange's book."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.fill import Fill, shown_fee
from engine.simulator.market import ListedPair, cost_decimals
from engine.simulator.parameters import PriceSpec

OPEN, PENDING, CLOSED, CANCELED, EXPIRED = "open", "pending", "closed", "canceled", "expired"
NOTHING = Decimal(0)


class Close(NamedTuple):
    """The conditional close of an order: what is placed against each of its fills."""

    kind: str
    price: str
    price2: str


class Amendment(NamedTuple):
    """One state of an order: as it was placed, or as an amend left it."""

    id: str
    kind: str
    time: float
    volume: Decimal
    left: Decimal
    price: Decimal | None
    trigger: Decimal | None
    is_post_only: bool

    def row(self) -> dict[str, Any]:
        """The row of `OrderAmends`; its timestamp is in milliseconds."""
        return {
            "amend_id": self.id, "amend_type": self.kind, "order_qty": f"{self.volume:.8f}",
            "remaining_qty": f"{self.left:.8f}", "limit_price": f"{self.price or 0:f}",
            "trigger_price": f"{self.trigger or 0:f}", "post_only": self.is_post_only,
            "timestamp": int(self.time * 1000),
        }  # fmt: skip


@dataclass(slots=True)
class BookOrder:
    """An order that was accepted.

    price: its limit.  trigger: the last price that activates it.
    trails: how far the trigger stays behind the best price.  offset: where the limit will be then, from the trigger.
    basis: the price when it was accepted; determines the hold of an order without a price.
    prices: `price` and `price2`, as in its description.
    refid: the order whose conditional close this is.
    """

    txid: str
    pair: ListedPair
    side: str
    kind: str
    volume: Decimal
    opened: float
    basis: Decimal
    price: Decimal | None = None
    trigger: Decimal | None = None
    trails: PriceSpec | None = None
    offset: PriceSpec | None = None
    prices: tuple[str, str] = ("0", "0")
    time_in_force: str = "GTC"
    flags: str = "fciq"
    starts: float = 0.0
    expires: float = 0.0
    cl_ord_id: str | None = None
    userref: str | None = None
    refid: str | None = None
    close: Close | None = None
    status: str = OPEN
    reason: str | None = None
    closed: float | None = None
    changed: float = 0.0
    misc: set[str] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)
    amendments: list[Amendment] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether it can still be filled or canceled."""
        return self.status in (OPEN, PENDING)

    @property
    def filled(self) -> Decimal:
        """How much of it is filled."""
        return sum((fill.volume for fill in self.fills), NOTHING)

    @property
    def left(self) -> Decimal:
        """How much of it is left."""
        return self.volume - self.filled

    @property
    def is_post_only(self) -> bool:
        """Whether it may only make."""
        return "post" in self.flags.split(",")

    @property
    def pays_in_base(self) -> bool:
        """Whether its fees are taken from the base asset."""
        return "fcib" in self.flags.split(",")

    @property
    def is_waiting(self) -> bool:
        """Whether its trigger has not been reached yet."""
        return self.kind not in ("market", "limit", "iceberg") and "touched" not in self.misc

    def end(self, status: str, reason: str | None, now: float) -> None:
        """End the order: it cannot be filled any more."""
        self.status, self.reason, self.closed = status, reason, now

    def remember(self, now: float) -> str:
        """Record the current state for `OrderAmends`; returns its id. The first state is the placement."""
        kind = "user" if self.amendments else "original"
        state = Amendment(
            new_id("T"), kind, now, self.volume, max(NOTHING, self.left), self.price, self.trigger, self.is_post_only
        )
        self.amendments.append(state)
        return state.id

    def row(self, trades: bool = False, *, null_id: bool = True) -> dict[str, Any]:
        """Its row in the order endpoints. null_id: a missing `cl_ord_id` is null instead of left out."""
        cost = sum((fill.cost for fill in self.fills), NOTHING)
        average = cost / self.filled if self.filled else NOTHING
        lots, costs = self.pair.lot_decimals, cost_decimals(self.pair)
        row: dict[str, Any] = {
            "refid": self.refid, "userref": int(self.userref) if self.userref else None,
            "status": self.status, "opentm": self.opened, "starttm": self.starts or 0, "expiretm": self.expires or 0,
            "time_in_force": ("GTD" if self.expires and self.time_in_force == "GTC" else self.time_in_force).lower(),
            "descr": self._description(),
            "vol": f"{self.volume:.{lots}f}", "vol_exec": f"{self.filled:.{lots}f}", "cost": f"{cost:.{costs}f}",
            "fee": shown_fee(sum((fill.fee for fill in self.fills), NOTHING), self.pair, in_base=self.pays_in_base),
            "price": f"{average:.{costs}f}",
            "stopprice": f"{self.trigger or 0:.{costs}f}", "limitprice": f"{0:.{costs}f}",
            "misc": ",".join(sorted(self.misc)), "oflags": self.flags,
        }  # fmt: skip
        if self.cl_ord_id is not None or null_id:
            row["cl_ord_id"] = self.cl_ord_id
        if self.closed is not None:
            row |= {"closetm": self.closed, "reason": self.reason}
        if trades and self.fills:
            row["trades"] = [fill.id for fill in self.fills]
        return row

    def text(self) -> str:
        """The text of `descr.order`."""
        volume = f"{self.volume:.{self.pair.lot_decimals}f}"
        return f"{self.side} {volume} {self.pair.altname} @ {described(self.kind, self.prices)}"

    def told(self) -> dict[str, str]:
        """Its `descr` in the reply of `AddOrder`: `close` only with a conditional close."""
        return {"order": self.text(), **({"close": self.close_text()} if self.close else {})}

    def close_text(self) -> str:
        """The text of `descr.close`; empty without a conditional close."""
        if self.close is None:
            return ""
        return f"close position @ {described(self.close.kind, (self.close.price, self.close.price2))}"

    def _description(self) -> dict[str, str]:
        return {
            "pair": self.pair.altname, "aclass": "forex", "type": self.side, "ordertype": self.kind,
            "price": self.prices[0], "price2": self.prices[1], "leverage": "none", "order": self.text(),
            "close": self.close_text(),
        }  # fmt: skip


def described(kind: str, prices: tuple[str, str]) -> str:
    """An order type with its prices in Kraken's words, e.g. ``stop loss 27000.0 -> limit 26000.0``."""
    words, (first, second) = kind.removesuffix("-limit").replace("-", " "), prices
    if kind == "market":
        return words
    return f"{words} {first} -> limit {second}" if kind.endswith("-limit") else f"{words} {first}"


def new_id(letter: str) -> str:
    """A transaction id shaped like Kraken's: ``O`` for orders, ``T`` for trades, ``L`` for ledger entries."""
    letters = string.ascii_uppercase + string.digits
    text = letter + "".join(secrets.choice(letters) for _ in range(16))
    return f"{text[:6]}-{text[6:11]}-{text[11:]}"
