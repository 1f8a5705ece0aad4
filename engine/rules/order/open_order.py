"""An order that is open at Kraken, whoever placed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from engine.kraken.stream import Execution
from engine.rules.order.found import read_order
from engine.rules.order.order import OrderReceipt
from engine.rules.order.placement import Placement
from engine.values.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """One of an account's open orders.

    txid: Kraken's name; `None` for a placement of ours of which it is not known yet whether Kraken has it.
    is_ours: whether it was placed by this engine; `receipt` is what is known of it then, and `id` its name here.
    pair, side, type, volume, price, price2, filled, description, opened: as Kraken tells them; `None` where it does
        not. Prices relative to the market are only in `description`.
    """

    account: str
    txid: str | None
    is_ours: bool
    id: str | None = None
    receipt: OrderReceipt | None = None
    cl_ord_id: str | None = None
    pair: str | None = None
    side: str | None = None
    type: str | None = None
    volume: Decimal | None = None
    price: Decimal | None = None
    price2: Decimal | None = None
    filled: Decimal | None = None
    description: str | None = None
    opened: datetime | None = None

    @classmethod
    def listed(cls, account: str, txid: str, row: Mapping[str, Any], placement: Placement | None) -> OpenOrder:
        """From Kraken's list. Never raises: what cannot be read is `None`."""
        found = read_order(txid, row)
        told = row.get("descr")
        descr: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
        name = row.get("cl_ord_id")
        return cls(
            account, txid, placement is not None,
            id=None if placement is None else placement.id,
            receipt=None if placement is None else placement.receipt,
            cl_ord_id=str(name) if name else None,
            pair=_text(descr.get("pair")), side=_text(descr.get("type")), type=_text(descr.get("ordertype")),
            volume=found.volume, price=found.price, price2=found.price2, filled=found.filled,
            description=found.description, opened=_moment(row.get("opentm")),
        )  # fmt: skip

    @classmethod
    def streamed(cls, account: str, told: Execution, placement: Placement | None) -> OpenOrder:
        """From Kraken's stream, where its list does not have the order yet."""
        return cls(
            account, told.txid, placement is not None,
            id=None if placement is None else placement.id,
            receipt=None if placement is None else placement.receipt,
            cl_ord_id=told.cl_ord_id, pair=told.symbol, side=told.side, type=told.type, volume=told.volume,
            price=told.price, filled=told.filled,
        )  # fmt: skip

    @classmethod
    def unlisted(cls, row: Placement) -> OpenOrder:
        """A placement of ours that Kraken's list does not have, or not yet."""
        sent = row.fitted
        return cls(
            row.account, next(iter(row.txids), None), True, id=row.id, receipt=row.receipt, cl_ord_id=row.cl_ord_id,
            pair=sent.pair, side=sent.side, type=sent.type, volume=sent.volume,
            price=sent.price if isinstance(sent.price, Decimal) else None,
            price2=sent.price2 if isinstance(sent.price2, Decimal) else None,
            filled=row.filled, description=row.description,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: amounts are texts."""
        plain = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        return plain | {"receipt": None if self.receipt is None else self.receipt.to_dict()}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, datetime) else value
