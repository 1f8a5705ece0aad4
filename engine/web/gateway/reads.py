"""Reads of the gateway's clients: equal ones that wait share one call, and all have the same share of the lane."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple

from engine.actors.lane.messages import CallDone
from engine.errors import CallNotSent, CallUnknown, DeadlinePassed, EngineError
from engine.kraken.endpoints import CallClass, private_endpoint
from engine.web.gateway.calls import GRACE, Calls

SETTLE = "settle"
"""The class of a look for one's own order."""


class Asked(NamedTuple):
    """What a client reads: reads that are asked for alike have one answer."""

    account: str
    name: str
    params: Mapping[str, Any]
    endpoint_class: str | None = None

    @property
    def key(self) -> str:
        """The same for reads that are asked for alike."""
        return json.dumps([self.account, self.name, self.params, self.endpoint_class], sort_keys=True, default=str)

    @property
    def is_urgent(self) -> bool:
        """Whether it looks up an order: in the lane that goes before other reads, and a hung one gives way to it."""
        return self.endpoint_class == SETTLE or private_endpoint(self.name).call_class is CallClass.SETTLE


class _Read:
    """One read for those who wait for it."""

    def __init__(self, asked: Asked, deadline: float) -> None:
        self.asked, self.deadline = asked, deadline
        self.answer: asyncio.Future[CallDone] = asyncio.get_running_loop().create_future()
        self.attempt: Future[Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self.waiting = 0

    @property
    def may_be_joined(self) -> bool:
        """Whether its answer is still to be asked for, so that it is no older than somebody who comes now."""
        if self.answer.done():
            return False
        if self.attempt is None:
            return True
        if not self.attempt.done():
            return not self.attempt.running()
        return not self.attempt.cancelled() and isinstance(self.attempt.exception(), CallNotSent)

    def begins(self, attempt: Future[Any]) -> None:
        """Another attempt begins."""
        self.attempt = attempt


class FairReads:
    """Makes the reads of all clients, one at a time for each account. Lives in the thread of the event loop.

    The clients of an account take turns, however many reads each of them has waiting; only a look for an order goes to
    the lane at once. A read joins an equal one that
    has not been sent yet, whoever asked for that: what it gets was asked for after it came.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._open: dict[str, _Read] = {}
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
            read = self._open[key] = _Read(asked, deadline)
        else:
            self.shared += 1
        if read.task is None and asked.is_urgent:
            read.task = asyncio.ensure_future(self._make(read))
        elif read.task is None:
            queue = self._waiting.setdefault(asked.account, OrderedDict()).setdefault(client, deque())
            if read not in queue:
                queue.append(read)
            self._go_on(asked.account)
        return read, is_own

    async def _wait(self, read: _Read, deadline: float) -> CallDone:
        read.waiting += 1
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic()) + GRACE):
                return await asyncio.shield(read.answer)
        except TimeoutError:
            if read.task is None:
                raise DeadlinePassed("The read was not sent in time: others of its account came first.") from None
            raise CallUnknown("No answer in time.") from None
        finally:
            read.waiting -= 1
            if not read.waiting and not read.answer.done():
                self._withdraw(read)

    def _withdraw(self, read: _Read) -> None:
        """Nobody waits for it any more."""
        read.answer.cancel()
        if read.task is not None:
            read.task.cancel()

    def _go_on(self, account: str) -> None:
        """Begin the next read of an account whose last one has ended: that of the client whose turn it is."""
        clients = self._waiting.get(account)
        while clients and account not in self._busy:
            client, queue = next(iter(clients.items()))
            read = queue.popleft()
            clients.move_to_end(client)
            if not queue:
                del clients[client]
            if read.task is None and not read.answer.done():
                self._busy.add(account)
                read.task = asyncio.ensure_future(self._make(read))

    async def _make(self, read: _Read) -> None:
        asked = read.asked
        try:
            done = await self._calls.make(
                asked.account, asked.name, asked.params, read.deadline, endpoint_class=asked.endpoint_class,
                attempts=read.begins,
            )  # fmt: skip
        except EngineError as error:
            if not read.answer.done():
                read.answer.set_exception(error)
                read.answer.exception()  # whoever waited may be gone
        else:
            if not read.answer.done():
                read.answer.set_result(done)
        finally:
            if not asked.is_urgent:
                self._busy.discard(asked.account)
            if self._open.get(asked.key) is read:
                del self._open[asked.key]
            self._go_on(asked.account)
