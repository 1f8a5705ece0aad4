"""What the page is made of: the state of the engine, and what the feed has collected beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from engine.app.status import EngineStatus
from engine.rules.balance.history import BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import OrderReceipt
from engine.web.page.holdings import Holding, Holdings
from engine.web.page.quotes import Quotes

if TYPE_CHECKING:  # its package needs an extra
    from engine.cluster.node_status import NodeStatus


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event as the page shows it. `account`: empty where it is about none."""

    number: int
    at: datetime
    kind: str
    state: str
    account: str
    text: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that a view of the page is made of.

    orders: the placements that are not over. others: open orders that the engine has not placed; for the accounts in
    `unknown` these are not known. opened: since when our orders are open, by account and txid. unsettled: since when
    placements are not settled, by account and id. rates: nonces a second by account. day_ago: what each account held 24
    hours ago. may_act: whether the page offers actions. node: what a node knows of its cluster. asks_others: whether it
    can ask the other nodes. holdings: what was last worked out of what the accounts hold.
    """

    status: EngineStatus
    events: Sequence[LoggedEvent] = ()
    orders: Sequence[OrderReceipt] = ()
    others: Sequence[OpenOrder] = ()
    unknown: Sequence[str] = ()
    opened: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    unsettled: Mapping[tuple[str, str], datetime] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    quotes: Quotes = field(default_factory=Quotes)
    day_ago: Mapping[str, BalancePoint] = field(default_factory=dict)
    may_act: bool = False
    node: NodeStatus | None = None
    asks_others: bool = False
    holdings: Holdings = field(default_factory=Holdings)

    def holding(self, snapshot: BalanceSnapshot) -> Holding:
        """What an account holds."""
        return self.holdings.get(snapshot, self.quotes, self.day_ago.get(snapshot.account))
