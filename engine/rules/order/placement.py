"""One placement as it is written down: what was asked, what was sent, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from engine.kraken.pair_names import market_key
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.states import OrderEvent, OrderState, after

REMEMBERED = 30 * 86_400.0
"""Seconds for which an id of the caller's is remembered after its order is over."""
REMEMBERED_UNNAMED = 3600.0
"""The same for a placement without an id: nobody can ask for it again but by its receipt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A row of the journal. Immutable: each event makes a new one."""

    account: str
    id: str
    cl_ord_id: str
    """32 hexadecimal digits of ours; also the row's name."""
    key_id: str
    """With which key it is, or was, to be sent (`Account.key_id`)."""
    order: Order
    """As it was asked for."""
    fitted: Order
    """As it is sent."""
    pair: str
    """The market (`pair_names.market_of`); in rows of earlier versions Kraken's id of the pair."""
    params: Mapping[str, Any]
    """AddOrder's, without what is only known when it is sent."""
    reserved: tuple[str, Decimal]
    """What it may take: an asset and how much of it."""
    named: bool = True
    """Whether the id is the caller's."""
    state: OrderState = OrderState.PLANNED
    times: Mapping[str, float]
    """When it came to each state, in Unix seconds by this machine's clock."""
    deadline: float | None = None
    """Until when Kraken takes it, in Unix seconds by Kraken's clock; `None` before it was sent."""
    txids: tuple[str, ...] = ()
    description: str | None = None
    reason: str | None = None
    code: str | None = None
    """Kraken's error string, when it refused."""
    may_repeat: bool = False
    """It was not sent, and no cancel came in between: the same id may be used for another try."""
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)

    def after(self, event: OrderEvent, now: float, **changes: Any) -> Placement:
        """What is known after some event. Raises `IllegalTransition`."""
        state = after(self.state, event)
        times = self.times if state is self.state else {**self.times, state.value: now}
        return replace(self, state=state, times=times, **changes)

    def shares_market_with(self, other: Placement) -> bool:
        """Whether both are on one market, by whatever names they were asked for."""
        return not self._market_keys.isdisjoint(other._market_keys)

    @property
    def _market_keys(self) -> set[str]:
        return {market_key(self.pair), market_key(str(self.params.get("pair") or self.pair))}

    @property
    def receipt(self) -> OrderReceipt:
        """What the caller sees of it."""
        return OrderReceipt(
            self.id, self.account, self.order, self.state, self.txids, self.cl_ord_id, True, self.description,
            self.fitted, self.reason, self.filled, self.cost, self.fee,
        )  # fmt: skip

    @property
    def is_live(self) -> bool:
        """Whether it has to be looked after."""
        return not self.state.is_over

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the order at Kraken."""
        return self.cl_ord_id, *self.txids

    @property
    def kept_until(self) -> float:
        """Until when it is remembered if nothing more happens to it, in Unix seconds."""
        return max(self.times.values(), default=0.0) + (REMEMBERED if self.named else REMEMBERED_UNNAMED)

    def is_forgotten(self, now: float) -> bool:
        """Whether it need not be kept any longer; `now` in Unix seconds."""
        return not self.is_live and now > self.kept_until

    def to_dict(self) -> dict[str, Any]:
        """JSON without loss."""
        asset, amount = self.reserved
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return plain | {
            "order": self.order.to_dict(),
            "fitted": self.fitted.to_dict(),
            "params": dict(self.params),
            "reserved": [asset, str(amount)],
            "state": self.state.value,
            "times": dict(self.times),
            "txids": list(self.txids),
            **{name: str(getattr(self, name)) for name in _AMOUNTS},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Placement:
        """The row of `to_dict`. Raises what a document that is none of ours makes it raise."""
        asset, amount = document["reserved"]
        return cls(**{
            **document,
            "order": Order.from_dict(document["order"]),
            "fitted": Order.from_dict(document["fitted"]),
            "reserved": (str(asset), Decimal(amount)),
            "state": OrderState(document["state"]),
            "txids": tuple(document["txids"]),
            **{name: Decimal(document[name]) for name in _AMOUNTS},
        })  # fmt: skip


_AMOUNTS = ("filled", "cost", "fee")
