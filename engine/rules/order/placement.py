"""One placement as it is written down: what was asked, what was sent, and what is known of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from decimal import Decimal
from operator import attrgetter
from typing import Any

from engine.errors import IdInUse
from engine.kraken.pair_names import market_key
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.own_name import KrakenName
from engine.rules.order.states import OrderEvent, OrderState, after
from engine.values.dataclass import dataclass

REMEMBERED = 30 * 86_400.0
"""Seconds for which an id of the caller's is remembered after its order is over."""
REMEMBERED_UNNAMED = 3600.0
"""The same for a placement without an id: nobody can ask for it again but by its receipt."""


@dataclass(frozen=True, slots=True)
class Part:
    """What was traded of one order: in the base asset, the quote asset, and Kraken's fee."""

    filled: Decimal
    cost: Decimal
    fee: Decimal

    def __add__(self, other: Part) -> Part:
        return Part(self.filled + other.filled, self.cost + other.cost, self.fee + other.fee)

    @classmethod
    def of(cls, amounts: Iterable[Any]) -> Part:
        """The amounts of `to_list`."""
        return cls(*map(Decimal, amounts))

    def to_list(self) -> list[str]:
        """JSON without loss."""
        return [str(self.filled), str(self.cost), str(self.fee)]


NOTHING = Part(Decimal(0), Decimal(0), Decimal(0))


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
    close_description: str | None = None
    """Kraken's words for its conditional close."""
    reason: str | None = None
    code: str | None = None
    """Kraken's error string, when it refused."""
    may_repeat: bool = False
    """It was not sent, and no cancel came in between: the same id may be used for another try."""
    filled: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    amounts_known: bool = True
    """Whether they come from a row that says that the order is over; matters only when it is over."""
    recheck: bool = False
    """It is over, and looked at once more: a row may say "canceled" a moment before it says what was filled."""
    cancel_wanted: bool = False
    """Somebody wants it canceled: that is carried out as soon as Kraken knows the order, also after a restart."""
    former: Mapping[str, Part | None] = field(default_factory=dict)
    """By txid, the orders that edits have replaced, and what was traded of each (`None`: not read yet)."""
    edits: tuple[str, ...] = ()
    """The txids that EditOrder calls of ours have named whose outcome is not known, once for each."""
    owner: str | None = None
    """Whose account at Kraken it is (`KeyInfo.owner`), where that was told."""
    client: str | None = None
    """The gateway's key whose client has placed it; `None`: it was placed in the process."""
    client_id: str | None = None
    """That client's own name for it, as it was given."""

    @property
    def kraken_name(self) -> KrakenName:
        """By what Kraken's lists tell the order."""
        return KrakenName.of(self.cl_ord_id, has_close=self.fitted.close is not None)

    @property
    def is_final(self) -> bool:
        """Whether it is over and its amounts are known."""
        return self.state.is_over and self.amounts_known

    @property
    def is_live(self) -> bool:
        """Whether it has to be looked after: nothing is final, or it is looked at once more."""
        return not self.is_final or self.recheck

    @property
    def is_reserving(self) -> bool:
        """Whether it may take money that the balance does not show as held."""
        return not self.state.is_settled or (self.state.is_over and not self.amounts_known)

    @property
    def may_be_edited(self) -> bool:
        """Whether another order may have replaced its order: it was not filled, and not canceled here unless an edit
        was under way. Kraken edits no order that has a conditional close."""
        if self.state is OrderState.CLOSED:
            return False
        return self.is_in_edit or (self.fitted.close is None and not self.cancel_wanted)

    @property
    def is_in_edit(self) -> bool:
        """Whether an edit of ours may have replaced its order: what became of that edit is not known."""
        return self.fitted.close is None and not set(self.edits).isdisjoint(self.txids)

    @property
    def unread(self) -> tuple[str, ...]:
        """The txids of orders that an edit has replaced and whose amounts are not read yet."""
        return tuple(txid for txid, part in self.former.items() if part is None)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the order at Kraken, now and before."""
        return self.cl_ord_id, *self.txids, *self.former

    def after(self, event: OrderEvent, now: float, **changes: Any) -> Placement:
        """What is known after some event. Raises `IllegalTransition`.

        A cancel uses the id up, whatever else kept the placement from being sent.
        """
        state = after(self.state, event)
        if self.cancel_wanted:
            changes["may_repeat"] = False
        times = self.times if state is self.state else {**self.times, state.value: now}
        return replace(self, state=state, times=times, **changes)

    def is_again(self, order: Order) -> bool:
        """Whether to place that order under this placement's id is the same once more, which ends as this one does.

        It is not when this one was not sent: then it is another try. Raises `IdInUse` for another order.
        """
        if order != self.order:
            raise IdInUse(
                f"The id {self.client_id or self.id!r} names another order already: give this one an id of its own.",
                account=self.account, endpoint="AddOrder",
            )  # fmt: skip
        return not self.may_repeat

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
            self.fitted, self.reason, self.filled, self.cost, self.fee, self.amounts_known,
        )  # fmt: skip

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
        plain = dict(zip(_PARTS, _parts(self), strict=True))
        return plain | {
            "order": self.order.to_dict(),
            "fitted": self.fitted.to_dict(),
            "params": dict(self.params),
            "reserved": [asset, str(amount)],
            "state": self.state.value,
            "times": dict(self.times),
            "txids": list(self.txids),
            "edits": list(self.edits),
            "former": {txid: None if part is None else part.to_list() for txid, part in self.former.items()},
            **{name: str(getattr(self, name)) for name in _AMOUNTS},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Placement:
        """The row of `to_dict`. Raises what a document that is not ours makes it raise."""
        asset, amount = document["reserved"]
        return cls(**{
            **document,
            "order": Order.from_dict(document["order"]),
            "fitted": Order.from_dict(document["fitted"]),
            "reserved": (str(asset), Decimal(amount)),
            "state": OrderState(document["state"]),
            "txids": tuple(document["txids"]),
            "edits": tuple(document.get("edits", ())),
            "former": {txid: part and Part.of(part) for txid, part in document.get("former", {}).items()},
            **{name: Decimal(document[name]) for name in _AMOUNTS},
        })  # fmt: skip


_AMOUNTS = ("filled", "cost", "fee")
_PARTS = tuple(each.name for each in fields(Placement))
_parts = attrgetter(*_PARTS)
