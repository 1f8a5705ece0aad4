"""The messages to the dashboard's clients: one a second, built once for all of them, with the recent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from engine.actors.events import CallFinished
from engine.app.served import ServedEngine
from engine.app.status import EngineStatus
from engine.rules.balance.snapshot import moment
from engine.values import SYSTEM_CLOCK, Clock
from engine.web.feed.balance_history import BalanceCharts, DayAgo
from engine.web.feed.event_log import EventLog, Told
from engine.web.feed.orders import OpenOrders
from engine.web.feed.other_orders import OtherOrders
from engine.web.feed.quote_board import QuoteBoard
from engine.web.feed.series import Series
from engine.web.page.holdings import Holdings
from engine.web.page.seen import Seen
from engine.web.page.view import EVENTS_SHOWN, View, view_of
from engine.web.subject import Cluster

CLIENTS_AT_MOST = 256
BEHIND_AT_MOST = 8  # messages that a slow client may lag before it is dropped
WATCHED_FOR = 30.0  # seconds after a page without a stream was fetched

Question = Callable[[ServedEngine], None]


class Feed:
    """Collects the engine's events, and once a second sends every client what has changed on the page.

    As a subscriber it runs in a thread of the engine's; everything else runs in the thread of the event loop.
    `may_act`: whether the page offers actions. `cluster`: what a node adds.
    """

    def __init__(
        self, status: Callable[[], EngineStatus], *, clock: Clock = SYSTEM_CLOCK, may_act: bool = False,
        cluster: Cluster | None = None,
    ) -> None:  # fmt: skip
        self._status, self._clock, self._may_act, self._cluster = status, clock, may_act, cluster
        self._lock = threading.Lock()
        self._calls: list[CallFinished] = []
        self._nonces: dict[str, tuple[float, int]] = {}
        self._rates: dict[str, float] = {}
        self._clients: set[asyncio.Queue[bytes | None]] = set()
        self._is_closed = False
        self._looked_at = float("-inf")
        self.series = Series()
        self.orders = OpenOrders(lambda: moment(clock.wall_ns()))
        self.others = OtherOrders()
        self.log = EventLog()
        self.quotes = QuoteBoard(clock.monotonic)
        self.day_ago = DayAgo(clock.monotonic)
        self.charts = BalanceCharts(clock.monotonic)
        self._holdings = Holdings()
        self._shown: View | None = None  # while nobody listens
        self._whole: bytes | None = None  # the message with all of it, once a client has needed it

    def __call__(self, event: Any) -> None:
        """Take in an event of the engine's."""
        self.orders(event)
        self.log.add(event, moment(self._clock.wall_ns()))
        if isinstance(event, CallFinished):
            with self._lock:
                self._calls.append(event)

    def refused(self, who: str, text: str) -> None:
        """The gateway has refused a call of this gateway key."""
        account = who.partition(".")[0] if "." in who else ""
        self.log.note(Told("gateway", "warn", account, text), moment(self._clock.wall_ns()))

    @property
    def view(self) -> View:
        """What the page shows now."""
        return self._view(self._status())

    def _view(self, status: EngineStatus) -> View:
        self._holdings.keep([each.account for each in status.accounts])
        cluster = self._cluster
        return view_of(Seen(
            status, self.log.newest(EVENTS_SHOWN), self.orders.receipts(), self.others.orders(),
            self.others.unknown(), self.others.opened(), self.orders.since(), self._rates, self.quotes.quotes,
            self.day_ago.points, self._may_act, None if cluster is None else cluster.status(),
            cluster is not None and cluster.token is not None, self._holdings,
        ))  # fmt: skip

    @property
    def clients(self) -> int:
        """The number of connected clients."""
        return len(self._clients)

    def looked_at(self) -> None:
        """Somebody has fetched the page."""
        self._looked_at = self._clock.monotonic()

    def questions(self) -> Iterable[Question]:
        """What is to be asked now, each in a thread of its own, because somebody looks: these cost calls and time."""
        now = self._clock.monotonic()
        if not self._clients and now - self._looked_at > WATCHED_FOR:
            return
        cluster = self._cluster
        if cluster is not None:
            yield lambda _: cluster.look()
        accounts = self._status().accounts
        names = [each.account for each in accounts]
        account = self.others.due(names, now)
        if account is not None:
            yield partial(self._look_at_orders, account)
        if self.day_ago.is_due():
            yield partial(self.day_ago.look, accounts=names)
        if self.quotes.is_due():
            assets = sorted({name for each in accounts for name in each.assets})
            yield partial(self.quotes.look, assets=assets, pairs=self._pairs())

    def join(self) -> asyncio.Queue[bytes | None] | None:
        """A queue of messages: first the whole state, at the end `None`. `None` if there are too many clients."""
        if self._is_closed or len(self._clients) >= CLIENTS_AT_MOST:
            return None
        client: asyncio.Queue[bytes | None] = asyncio.Queue(BEHIND_AT_MOST)
        if self._shown is None:
            self._shown, self._whole = self.view, None
        if self._whole is None:
            self._whole = _message(self._shown.to_dict())
        client.put_nowait(self._whole)
        self._clients.add(client)
        return client

    def leave(self, client: asyncio.Queue[bytes | None]) -> None:
        """Remove a client."""
        self._clients.discard(client)

    def tick(self) -> None:
        """Take a sample for the charts, and tell the clients what has changed since the last time."""
        with self._lock:
            calls, self._calls = self._calls, []
        status = self._status()
        self._count_nonces(status)
        point = self.series.add(status, calls, self._clock.wall_ns() / 1e9)
        before, self._shown, self._whole = self._shown, self._view(status) if self._clients else None, None
        if before is not None and self._shown is not None:
            self._tell(_message({**self._shown.changes(before), "point": point}))

    def close(self) -> None:
        """End every client's stream."""
        self._is_closed = True
        for client in tuple(self._clients):
            self._drop(client)

    def _look_at_orders(self, account: str, engine: ServedEngine) -> None:
        self.others.look(engine, account)

    def _pairs(self) -> list[str]:
        """The pairs of the open orders."""
        named = [each.order.pair for each in self.orders.receipts()]
        return sorted({*named, *(each.pair for each in self.others.orders() if each.pair)})

    def _count_nonces(self, status: EngineStatus) -> None:
        now = self._clock.monotonic()
        for name, key in (status.lane.keys if status.lane else {}).items():
            then, before = self._nonces.get(name, (now, key.nonces))
            if now > then:
                self._rates[name] = (key.nonces - before) / (now - then)
            self._nonces[name] = (now, key.nonces)

    def _tell(self, message: bytes) -> None:
        for client in tuple(self._clients):
            try:
                client.put_nowait(message)
            except asyncio.QueueFull:
                self._drop(client)

    def _drop(self, client: asyncio.Queue[bytes | None]) -> None:
        """End a stream; a client that reconnects gets the whole state again."""
        self._clients.discard(client)
        while not client.empty():
            client.get_nowait()
        client.put_nowait(None)


def _message(value: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
