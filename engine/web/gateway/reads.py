"""Reads of the gateway's clients: equal ones that wait share one call, and all have the same share of the lane."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from engine.actors.lane.messages import CallDone
from engine.errors import CallNotSent, CallUnknown, DeadlinePassed, EngineError
from engine.kraken.endpoints import CallClass, private_endpoint
from engine.web.gateway.calls import GRACE, Calls, RepeatedCall, tell

SETTLE = "settle"
"""The class of a look for one's own order."""

Key = tuple[str, str, str, str | None]
_text = json.JSONEncoder(sort_keys=True, default=str).encode


class Asked(NamedTuple):
    """What a client reads: reads that are asked for alike have one answer."""

    account: str
    name: str
    params: Mapping[str, Any]
    endpoint_class: str | None = None

    @property
    def key(self) -> Key:
        """The same for reads that are asked for alike."""
        return self.account, self.name, _text(self.params) if self.params else "", self.endpoint_class

    @property
    def is_urgent(self) -> bool:
        """Whether it looks up an order: in the lane that goes before other reads, and a hung one gives way to it."""
        return self.endpoint_class == SETTLE or private_endpoint(self.name).call_class is CallClass.SETTLE


class _Read:
    """One read for those who wait for it."""

    def __init__(self, asked: Asked, key: Key, deadline: float) -> None:
        self.asked, self.key, self.deadline = asked, key, deadline
        self.call: RepeatedCall | None = None
        self.waiting: list[asyncio.Future[CallDone]] = []
        self.is_over = False

    @property
    def may_be_joined(self) -> bool:
        """Whether its answer is still to be asked for, so that it is no older than somebody who comes now."""
        return not self.is_over and (self.call is None or self.call.is_unsent)

    def late(self, waiter: asyncio.Future[CallDone]) -> None:
        """The time of one who waits is over."""
        if self.call is None:
            tell(waiter, DeadlinePassed("The read was not sent in time: others of its account came first."))
        else:
            tell(waiter, CallUnknown("No answer in time."))


class FairReads:
    """Makes the reads of all clients, one at a time for each account. Lives in the thread of the event loop.

    The clients of an account take turns, however many reads each of them has waiting; only a look for an order goes to
    the lane at once. A read joins an equal one that has not been sent yet, whoever asked for that: what it gets was
    asked for after it came.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._open: dict[Key, _Read] = {}
        self._waiting: dict[str, OrderedDict[str, deque[_Read]]] = {}
        self._busy: set[str] = set()
        self.shared = 0
        """How many reads were answered with another one's call."""

    async def read(self, client: str, asked: Asked, deadline: float) -> CallDone:
        """The answer to a read, by `deadline` (monotonic). Raises a `CallError`, or `LaneElsewhere`."""
        while True:
            read, is_own = self._take(client, asked, deadline)
            try:
                return await self._wait(read, deadline)
            except CallNotSent:
                if is_own or time.monotonic() >= deadline:  # else the one who asked first had less time
                    raise

    def _take(self, client: str, asked: Asked, deadline: float) -> tuple[_Read, bool]:
        """The read that answers, and whether it was begun for this one."""
        key = asked.key
        read = self._open.get(key)
        is_own = read is None or not read.may_be_joined
        if read is None or is_own:
            read = self._open[key] = _Read(asked, key, deadline)
        else:
            self.shared += 1
        if read.call is None and asked.is_urgent:
            self._begin(read)
        elif read.call is None:
            queue = self._waiting.setdefault(asked.account, OrderedDict()).setdefault(client, deque())
            if read not in queue:
                queue.append(read)
            self._go_on(asked.account)
        return read, is_own

    async def _wait(self, read: _Read, deadline: float) -> CallDone:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[CallDone] = loop.create_future()
        read.waiting.append(waiter)
        timer = loop.call_later(max(0.0, deadline - time.monotonic()) + GRACE, read.late, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            read.waiting.remove(waiter)
            if not read.waiting and not read.is_over:
                self._withdraw(read)

    def _withdraw(self, read: _Read) -> None:
        """Nobody waits for it any more."""
        if read.call is not None:
            read.call.withdraw()
        self._close(read)

    def _go_on(self, account: str) -> None:
        """Begin the next read of an account whose last one has ended: that of the client whose turn it is."""
        clients = self._waiting.get(account)
        while clients and account not in self._busy:
            client, queue = next(iter(clients.items()))
            read = queue.popleft()
            clients.move_to_end(client)
            if not queue:
                del clients[client]
            if read.call is None and not read.is_over:
                self._busy.add(account)
                self._begin(read)

    def _begin(self, read: _Read) -> None:
        asked = read.asked
        read.call = self._calls.begin(
            asked.account, asked.name, asked.params, read.deadline, partial(self._ended, read), asked.endpoint_class
        )

    def _ended(self, read: _Read, told: CallDone | EngineError) -> None:
        self._close(read)
        for waiter in read.waiting:
            tell(waiter, told)

    def _close(self, read: _Read) -> None:
        """It is over, and its account's next one begins."""
        read.is_over = True
        if self._open.get(read.key) is read:
            del self._open[read.key]
        if read.call is not None and not read.asked.is_urgent:
            self._busy.discard(read.asked.account)
        self._go_on(read.asked.account)
