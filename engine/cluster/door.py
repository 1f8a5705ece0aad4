"""Every account of a cluster at one node: what is served elsewhere is asked there, once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal, overload

from engine.actors.lane.queued_call import FutureReply
from engine.app import Engine
from engine.app.joint_status import joint
from engine.app.served import AccountVerbs
from engine.app.status import EngineStatus
from engine.app.verbs import Amount
from engine.cluster.neighbours import Neighbours
from engine.cluster.node import Node
from engine.cluster.peer import PeerEngine, Peers
from engine.errors import CallError, ConfigError, EngineError, LaneElsewhere
from engine.rules.balance.history import YEAR, BalanceMark, BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.placement import Placement


class Here:
    """The accounts that a node serves, as one engine. Any thread.

    Each method is that of `Engine`, and raises `LaneElsewhere` for an account that is not served here: other nodes ask
    this, and nothing is passed on from here.
    """

    def __init__(self, node: Node) -> None:
        self.node = node

    def at(self, account: str) -> AccountVerbs:
        """The engine of an account. Raises `LaneElsewhere` or `UnknownName`."""
        return self.node.engine(account)

    def anyone(self) -> AccountVerbs:
        """An engine that can make a public call."""
        engines = list(self.node.engines.values())
        if not engines:
            raise LaneElsewhere("This node serves no lane now, so it has no way to Kraken.", "")
        return engines[0]

    @property
    def live(self) -> bool:
        """`Engine.live`, the same of all lanes here."""
        return self.node.live

    def check_account(self, account: str) -> None:
        """Raise `UnknownName` for an account that is in no lane of the cluster."""
        self.node.lane_of(account)

    def served(self) -> frozenset[str]:
        """The accounts that are served here now."""
        return frozenset(name for lane in self.node.status().lanes for name in lane.served)

    def elsewhere(self, account: str) -> PeerEngine:
        """Raises `LaneElsewhere`: no other node is asked from here."""
        self.node.engine(account)
        raise LaneElsewhere(f"Account {account} is served here by now: ask again.", self.node.lane_of(account))

    def known_balance(self, account: str) -> BalanceSnapshot | None:
        """The last known balance of an account that is served here."""
        try:
            return self.node.engine(account).balance(account)
        except EngineError:
            return None

    def status(self) -> EngineStatus:
        """`Engine.status` of the lanes that this node has; never waits."""
        own = [each.status() for each in self.node.engines.values()]
        node = self.node.status()
        empty = EngineStatus(
            running=node.running, live=node.live, url=self.node.kraken_url, state_dir=self.node.local,
            pid=os.getpid(), as_of=datetime.now(UTC), accounts=(), under_way=None, waiting={}, refresh_intervals={},
            keys={}, warnings=(),
        )  # fmt: skip
        return joint(empty, *own)

    def subscribe(self, subscriber: Callable[[Any], object]) -> None:
        """`Engine.subscribe`, for all lanes here, also those that come later."""
        self.node.subscribe(subscriber)

    def unsubscribe(self, subscriber: Callable[[Any], object]) -> None:
        """`Engine.unsubscribe`."""
        self.node.unsubscribe(subscriber)

    def announce(self, event: object) -> None:
        """`Node.announce`."""
        self.node.announce(event)

    def stop(self, timeout: float = 10.0) -> None:
        """`Node.stop`."""
        self.node.stop(timeout)

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.call`."""
        return self.at(account).call(account, endpoint, params, timeout, endpoint_class=endpoint_class)

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Future[Any]:  # fmt: skip
        """`Engine.submit`."""
        return self.at(account).submit(account, endpoint, params, timeout, endpoint_class=endpoint_class)

    def submit_to(
        self, reply: FutureReply, account: str, endpoint: str, params: Mapping[str, Any] | None,
        timeout: float | None, endpoint_class: str | None = None,
    ) -> None:  # fmt: skip
        """`Engine.submit_to`."""
        try:
            self.at(account).submit_to(reply, account, endpoint, params, timeout, endpoint_class)
        except EngineError as error:
            reply.future.set_exception(error)

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.public`, by any lane."""
        return self.anyone().public(endpoint, params, timeout, endpoint_class=endpoint_class)

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """`Engine.balance`."""
        return self.at(account).balance(account, max_age, timeout)

    def is_available(self, account: str) -> bool:
        """`Engine.is_available`; `False` as well while no node can be asked."""
        try:
            return self.at(account).is_available(account)
        except (LaneElsewhere, CallError) as error:
            if isinstance(error, ConfigError):
                raise
            return False

    def error_count(self, account: str) -> int:
        """`Engine.error_count`."""
        return self.at(account).error_count(account)

    def place(
        self, account: str, order: Order, *, id: str | None = None, timeout: float = 30.0
    ) -> OrderReceipt:
        """`Engine.place`."""
        return self.at(account).place(account, order, id=id, timeout=timeout)

    def place_for(
        self, client: str, client_id: str | None, account: str, order: Order, timeout: float
    ) -> Placement:
        """`Engine.place_for`."""
        return self.at(account).place_for(client, client_id, account, order, timeout)

    def place_batch_for(
        self, client: str, asked: Sequence[tuple[Order, str | None]], account: str, timeout: float
    ) -> list[Placement | CallError]:
        """`Engine.place_batch_for`."""
        return self.at(account).place_batch_for(client, asked, account, timeout)

    def placements(self, account: str, names: Mapping[str, str | None]) -> Mapping[str, Placement]:
        """`Engine.placements`."""
        return self.at(account).placements(account, names)

    def placements_of(
        self, account: str, client: str | None, param: str, value: str | int, *, is_open: bool
    ) -> list[Placement]:
        """`Engine.placements_of`."""
        return self.at(account).placements_of(account, client, param, value, is_open=is_open)

    def cancel(self, account: str, receipt: OrderReceipt | str, timeout: float | None = None) -> OrderReceipt:
        """`Engine.cancel`."""
        return self.at(account).cancel(account, receipt, timeout)

    def cancel_all(self, account: str, timeout: float | None = None) -> int:
        """`Engine.cancel_all`."""
        return self.at(account).cancel_all(account, timeout)

    def amend(
        self, account: str, receipt: OrderReceipt | str, price: Amount = None, volume: Amount = None,
        *, price2: Amount = None, display_volume: Amount = None, timeout: float | None = None,
    ) -> OrderReceipt:  # fmt: skip
        """`Engine.amend`."""
        return self.at(account).amend(
            account, receipt, price, volume, price2=price2, display_volume=display_volume, timeout=timeout
        )

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[False] = False
    ) -> tuple[OrderReceipt, ...]: ...

    @overload
    def open_orders(
        self, account: str, timeout: float | None = None, *, all: Literal[True]
    ) -> tuple[OpenOrder, ...]: ...

    def open_orders(
        self, account: str, timeout: float | None = None, *, all: bool = False
    ) -> tuple[OrderReceipt, ...] | tuple[OpenOrder, ...]:
        """`Engine.open_orders`."""
        if all:
            return self.at(account).open_orders(account, timeout, all=True)
        return self.at(account).open_orders(account, timeout)

    def order(self, account: str, id: str) -> OrderReceipt:
        """`Engine.order`."""
        return self.at(account).order(account, id)

    def reserved(self, account: str) -> Mapping[str, Decimal]:
        """`Engine.reserved`."""
        return self.at(account).reserved(account)

    def gates(
        self, account: str, plan: TradePlan | None = None, *, dry: bool = True, timeout: float | None = None
    ) -> GateReport:
        """`Engine.gates`."""
        return self.at(account).gates(account, plan, dry=dry, timeout=timeout)

    def resume(self, account: str) -> None:
        """`Engine.resume`."""
        self.at(account).resume(account)

    def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.pause_trading`."""
        self.at(account).pause_trading(account, timeout)

    def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.resume_trading`."""
        self.at(account).resume_trading(account, timeout)

    def arm(self, account: str, seconds: int = 60, timeout: float | None = None) -> None:
        """`Engine.arm`."""
        self.at(account).arm(account, seconds, timeout)

    def disarm(self, account: str, timeout: float | None = None) -> None:
        """`Engine.disarm`."""
        self.at(account).disarm(account, timeout)

    def history(self, account: str, days: float = YEAR) -> tuple[BalancePoint, ...]:
        """`Engine.history`."""
        return self.at(account).history(account, days)

    def history_marks(self, account: str) -> tuple[BalanceMark, ...]:
        """`Engine.history_marks`."""
        return self.at(account).history_marks(account)


class Door(Here):
    """Every account of the cluster, as one engine: this node's own, and those of others, asked at their owner's URL.

    A question is passed on once. `status` tells of the others what they said last (`neighbours`).
    """

    def __init__(self, node: Node, peers: Peers) -> None:
        super().__init__(node)
        self._peers = peers
        self.neighbours = Neighbours(node, peers)

    def at(self, account: str) -> AccountVerbs:
        """The engine of an account, here or elsewhere. Raises `LaneElsewhere` while nobody serves it."""
        try:
            return self.node.engine(account)
        except LaneElsewhere as where:
            if where.owner in (None, self.node.name) or where.url is None:
                raise
            owner, url, lane, told = str(where.owner), where.url, where.lane, str(where)
        try:
            return self._peers.at(owner, url)
        except ConfigError as error:
            raise LaneElsewhere(f"{told} It cannot be asked from here: {error}", lane, owner, url) from None

    def elsewhere(self, account: str) -> PeerEngine:
        """The node that serves an account which is not served here. Raises `LaneElsewhere` while there is none."""
        found = self.at(account)
        return found if isinstance(found, PeerEngine) else super().elsewhere(account)

    def stop(self, timeout: float = 10.0) -> None:
        """`Node.stop`; ends the connections to the other nodes, too."""
        super().stop(timeout)
        self._peers.close()

    def anyone(self) -> AccountVerbs:
        """An engine that can make a public call: one here, else another node's."""
        engines: list[Engine] = list(self.node.engines.values())
        others = [(each.owner, each.url) for each in self.node.status().lanes if each.owner and each.url]
        if not engines and others:
            return self._peers.at(*others[0])
        return super().anyone()

    def status(self) -> EngineStatus:
        """`Engine.status` of all accounts, as far as their nodes have told; never waits."""
        own = super().status()
        return joint(own, *_without({each.account for each in own.accounts}, self.neighbours.told()))


class PatientDoor(Door):
    """The same for programs of this machine, which wait for an answer: `status` asks the other nodes first."""

    def status(self) -> EngineStatus:
        """`Engine.status` of all accounts; waits for the other nodes, a few seconds at most."""
        self.neighbours.look()
        return super().status()


def _without(known: set[str], others: Iterable[EngineStatus]) -> Iterator[EngineStatus]:
    """What others tell of accounts that are not told of yet: a lane that moves may be told of twice."""
    for each in others:
        accounts = tuple(one for one in each.accounts if one.account not in known)
        known |= {one.account for one in accounts}
        yield replace(each, accounts=accounts)
