"""One order, as the exchange keeps it."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from engine.simulator.market import Pair

OPEN, PENDING, CLOSED, CANCELED, EXPIRED = "open", "pending", "closed", "canceled", "expired"
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class Fill:
    """A trade of ours. `fee` is in the quote asset, or in the base asset if the order asked for that."""

    id: str
    order: str
    pair: Pair
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
        """What it cost without the fee."""
        return self.price * self.volume

    def row(self) -> dict[str, Any]:
        """The row of `TradesHistory`."""
        return {
            "ordertxid": self.order, "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": self.pair.id, "time": self.time,
            "type": self.side, "ordertype": self.kind, "price": f"{self.price:.5f}", "cost": f"{self.cost:.5f}",
            "fee": shown_fee(self.fee, self.pays_in_base), "vol": f"{self.volume:.8f}", "margin": "0.00000",
            "leverage": "0", "misc": "",
            "trade_id": self.number, "maker": self.maker,
        }  # fmt: skip


@dataclass(slots=True)
class Order:
    """An order that was accepted.

    price: its limit.  trigger: what the last price has to reach before it counts.
    basis: the price when it was accepted; what an order holds that names no price goes by it.
    """

    txid: str
    pair: Pair
    side: str
    kind: str
    volume: Decimal
    opened: float
    basis: Decimal
    price: Decimal | None = None
    trigger: Decimal | None = None
    prices: tuple[str, str] = ("0", "0")
    time_in_force: str = "GTC"
    flags: str = "fciq"
    starts: float = 0.0
    expires: float = 0.0
    cl_ord_id: str | None = None
    userref: str | None = None
    status: str = OPEN
    reason: str | None = None
    closed: float | None = None
    changed: float = 0.0
    misc: set[str] = field(default_factory=set)
    fills: list[Fill] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        """Whether it can still be filled or canceled."""
        return self.status in (OPEN, PENDING)

    @property
    def filled(self) -> Decimal:
        """How much of it was filled."""
        return sum((fill.volume for fill in self.fills), NOTHING)

    @property
    def left(self) -> Decimal:
        """How much of it was not."""
        return self.volume - self.filled

    @property
    def is_post_only(self) -> bool:
        """Whether it may not take."""
        return "post" in self.flags.split(",")

    @property
    def pays_in_base(self) -> bool:
        """Whether its fees are taken from the base asset."""
        return "fcib" in self.flags.split(",")

    @property
    def is_waiting(self) -> bool:
        """Whether its trigger was not reached yet."""
        return self.kind not in ("market", "limit", "iceberg") and "touched" not in self.misc

    def end(self, status: str, reason: str | None, now: float) -> None:
        """It cannot be filled any more."""
        self.status, self.reason, self.closed = status, reason, now

    def row(self, trades: bool = False) -> dict[str, Any]:
        """What the order endpoints tell of it."""
        cost = sum((fill.cost for fill in self.fills), NOTHING)
        average = cost / self.filled if self.filled else NOTHING
        row: dict[str, Any] = {
            "refid": None, "userref": int(self.userref) if self.userref else None, "cl_ord_id": self.cl_ord_id,
            "status": self.status, "opentm": self.opened, "starttm": self.starts, "expiretm": self.expires,
            "descr": self._description(),
            "vol": f"{self.volume:.8f}", "vol_exec": f"{self.filled:.8f}", "cost": f"{cost:.5f}",
            "fee": shown_fee(sum((fill.fee for fill in self.fills), NOTHING), self.pays_in_base),
            "price": f"{average:.5f}",
            "stopprice": f"{self.trigger or 0:.5f}", "limitprice": "0.00000",
            "misc": ",".join(sorted(self.misc)), "oflags": self.flags,
        }  # fmt: skip
        if self.closed is not None:
            row |= {"closetm": self.closed, "reason": self.reason}
        if trades and self.fills:
            row["trades"] = [fill.id for fill in self.fills]
        return row

    def text(self) -> str:
        """The order as `descr.order` says it."""
        words = [self.kind, *(price for price in self.prices if price != "0")]
        return f"{self.side} {self.volume:.8f} {self.pair.altname} @ {' '.join(words)}"

    def _description(self) -> dict[str, str]:
        return {
            "pair": self.pair.altname, "aclass": "forex", "type": self.side, "ordertype": self.kind,
            "price": self.prices[0], "price2": self.prices[1], "leverage": "none", "order": self.text(), "close": "",
        }  # fmt: skip


def shown_fee(fee: Decimal, in_base: bool) -> str:
    """A fee as it is told, in the decimals of its asset."""
    return f"{fee:.10f}" if in_base else f"{fee:.5f}"


def new_id(letter: str) -> str:
    """A transaction id shaped like Kraken's: ``O`` for orders, ``T`` for trades, ``L`` for ledger entries."""
    letters = string.ascii_uppercase + string.digits
    text = letter + "".join(secrets.choice(letters) for _ in range(16))
    return f"{text[:6]}-{text[6:11]}-{text[11:]}"
