"""Publishes what Kraken has told of placements: fills, and what a person should know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.actors.events import EngineWarning, OrderFilled
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState

_DOUBLED = (
    "Account {account} has {count} orders at Kraken for the one placement {id!r}: {txids}. This must not be; cancel "
    "what is too much, and please report it."
)
_SHARED = (
    "Placements {one!r} and {other!r} of account {account} both have the order {txid} at Kraken: for one of them there "
    "is none. Look both up on Kraken's page, and please report it."
)
_CORRECTED = (
    "Order {id!r} of account {account} was {before} with {had} filled, and Kraken now says that it is {after} with "
    "{has} filled."
)
_REPLACED = (
    "Order {old} of placement {id!r} of account {account} was canceled elsewhere and {new} placed in its stead: it is "
    "taken for an edit, and the placement goes on with it."
)
_LEFT_OPEN = (
    "What became of order {id!r} on {pair} of account {account} is not known from the run before; it is looked up, and "
    "until then no other goes out on that pair."
)


class Announcer:
    """Publishes fills and warnings about placements. `invalidate` is called when one has changed a balance."""

    def __init__(self, publish: Callable[[Any], None], invalidate: Callable[[str], None]) -> None:
        self._publish, self._invalidate = publish, invalidate

    def learnt(self, before: Placement, row: Placement, exec_id: str | None = None) -> None:
        """Kraken has told more of a placement: fills, and what contradicts what was told before.

        exec_id: the trade's name, where its stream has told of exactly one.
        """
        if before.is_final and (row.state, row.filled) != (before.state, before.filled):
            self._warn("order-corrected", _CORRECTED, id=row.id, account=row.account, before=before.state.value,
                       had=before.filled, after=row.state.value, has=row.filled)  # fmt: skip
        if len(row.txids) > 1 and row.txids != before.txids:
            self._warn("order-doubled", _DOUBLED, account=row.account, count=len(row.txids), id=row.id,
                       txids=", ".join(row.txids))  # fmt: skip
        if row.state is not OrderState.NOT_PLACED and _may_move_money(before, row):
            self._invalidate(row.account)
        if row.filled > before.filled:
            amounts = row.filled - before.filled, row.cost - before.cost, row.fee - before.fee
            self._publish(OrderFilled(row.account, row.receipt, *amounts, exec_id))

    def shared(self, row: Placement, other: Placement, txid: str) -> None:
        """Two placements have one order. Any thread."""
        self._warn("order-shared", _SHARED, one=row.id, other=other.id, account=row.account, txid=txid)

    def replaced(self, row: Placement, new: str) -> None:
        """An order was edited elsewhere."""
        self._warn("order-replaced", _REPLACED, old=row.txids[0], id=row.id, account=row.account, new=new)

    def left_open(self, row: Placement) -> None:
        """An earlier run has left a placement unknown."""
        self._warn("order-unknown", _LEFT_OPEN, id=row.id, pair=row.pair, account=row.account)

    def _warn(self, code: str, sentence: str, **about: Any) -> None:
        self._publish(EngineWarning(code, sentence.format(**about)))


def _may_move_money(before: Placement, row: Placement) -> bool:
    """Whether a balance may have changed."""
    return (row.state, row.filled, row.txids, row.fitted) != (before.state, before.filled, before.txids, before.fitted)
