"""The engine's asyncio view: the same methods as coroutines, and its events as an asynchronous iterator."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import Any, Protocol

from engine.actors.events import EngineWarning
from engine.errors import CallNotSent
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.order.order import Order, OrderReceipt

AT_ONCE = 128  # threads; further calls wait for one of them
EVENTS_AT_MOST = 10_000  # that wait for a slow loop
LOOK_EVERY = 0.5  # seconds between looks whether the engine still runs


class Verbs(Protocol):
    """What an engine, here or in another process, can be asked. Each method is that of `Engine`."""

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.call`."""
        ...

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> Any:
        """`Engine.public`."""
        ...

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """`Engine.balance`."""
        ...

    def place(
        self, account: str, order: Order, *, id: str | None = None, timeout: float = 30.0
    ) -> OrderReceipt:
        """`Engine.place`."""
        ...

    def cancel(self, account: str, receipt: OrderReceipt | str, timeout: float | None = None) -> OrderReceipt:
        """`Engine.cancel`."""
        ...

    def cancel_all(self, account: str, timeout: float | None = None) -> int:
        """`Engine.cancel_all`."""
        ...

    def open_orders(self, account: str, timeout: float | None = None) -> tuple[OrderReceipt, ...]:
        """`Engine.open_orders`."""
        ...

    def order(self, account: str, id: str) -> OrderReceipt:
        """`Engine.order`."""
        ...

    def gates(
        self, account: str, plan: TradePlan | None = None, *, dry: bool = True, timeout: float | None = None
    ) -> GateReport:
        """`Engine.gates`."""
        ...


class AsyncVerbs:
    """The methods of an engine as coroutines, for any event loop, which none of them blocks.

    Each takes what the method of that name takes, returns what it returns and raises what it raises. Cancelling the
    task that awaits one ends the waiting, and nothing else: the call goes on, and a placement is followed to its end.
    Each call runs in a thread; beyond 128 at once, calls wait for a thread in the order in which they came.
    """

    def __init__(self, engine: Verbs) -> None:
        self._verbs = engine
        self._threads = _Threads()

    async def call(self, account: str, endpoint: str, *args: Any, **options: Any) -> Any:
        """`Engine.call`."""
        return await self._threads.run(partial(self._verbs.call, account, endpoint, *args, **options))

    async def public(self, endpoint: str, *args: Any, **options: Any) -> Any:
        """`Engine.public`."""
        return await self._threads.run(partial(self._verbs.public, endpoint, *args, **options))

    async def balance(self, account: str, *args: Any, **options: Any) -> BalanceSnapshot:
        """`Engine.balance`."""
        found: BalanceSnapshot = await self._threads.run(partial(self._verbs.balance, account, *args, **options))
        return found

    async def place(self, account: str, order: Order, **options: Any) -> OrderReceipt:
        """`Engine.place`. Give it an `id`, and a task that was cancelled can be asked again without a second order."""
        receipt: OrderReceipt = await self._threads.run(partial(self._verbs.place, account, order, **options))
        return receipt

    async def cancel(self, account: str, receipt: OrderReceipt | str, *args: Any, **options: Any) -> OrderReceipt:
        """`Engine.cancel`."""
        over: OrderReceipt = await self._threads.run(partial(self._verbs.cancel, account, receipt, *args, **options))
        return over

    async def cancel_all(self, account: str, *args: Any, **options: Any) -> int:
        """`Engine.cancel_all`."""
        count: int = await self._threads.run(partial(self._verbs.cancel_all, account, *args, **options))
        return count

    async def open_orders(self, account: str, *args: Any, **options: Any) -> tuple[OrderReceipt, ...]:
        """`Engine.open_orders`."""
        call = partial(self._verbs.open_orders, account, *args, **options)
        found: tuple[OrderReceipt, ...] = await self._threads.run(call)
        return found

    async def order(self, account: str, id: str) -> OrderReceipt:
        """`Engine.order`."""
        receipt: OrderReceipt = await self._threads.run(partial(self._verbs.order, account, id))
        return receipt

    async def gates(self, account: str, plan: TradePlan | None = None, **options: Any) -> GateReport:
        """`Engine.gates`."""
        report: GateReport = await self._threads.run(partial(self._verbs.gates, account, plan, **options))
        return report


class AsyncEngine(AsyncVerbs):
    """`Engine.aio`. `subscribe` and `unsubscribe` are the engine's own; `is_running` tells whether it runs."""

    def __init__(
        self,
        engine: Verbs,
        subscribe: Callable[[Callable[[Any], None]], None],
        unsubscribe: Callable[[Callable[[Any], None]], None],
        is_running: Callable[[], bool],
    ) -> None:
        super().__init__(engine)
        self._subscribe, self._unsubscribe, self._is_running = subscribe, unsubscribe, is_running

    async def events(self) -> AsyncIterator[Any]:
        """Every event from now on, in order; ends when the engine stops, and may begin before it has started.

        Beyond 10,000 events that the loop has not taken, further ones are dropped, and an `EngineWarning`
        ``events-dropped`` in their place says so.
        """
        inbox = _Inbox(asyncio.get_running_loop())
        has_run = self._is_running()
        self._subscribe(inbox.take)
        try:
            while not has_run or self._is_running() or inbox.events:
                while inbox.events:
                    yield inbox.events.popleft()
                await inbox.wait(LOOK_EVERY)
                has_run = has_run or self._is_running()
        finally:
            self._unsubscribe(inbox.take)


class _Inbox:
    """Events on their way from the publisher's thread into one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.events: deque[Any] = deque()
        self._loop, self._arrived, self._is_full = loop, asyncio.Event(), False

    def take(self, event: Any) -> None:
        """Take an event. Run by the publisher's thread."""
        with contextlib.suppress(RuntimeError):  # the loop was closed, and its iterator not
            self._loop.call_soon_threadsafe(self._put, event)

    async def wait(self, seconds: float) -> None:
        """Until an event is there, `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        self._arrived.clear()

    def _put(self, event: Any) -> None:
        was_full, self._is_full = self._is_full, len(self.events) >= EVENTS_AT_MOST
        if not self._is_full:
            self.events.append(event)
        elif not was_full:
            self.events.append(EngineWarning("events-dropped", "A loop does not keep up: events are dropped."))
        self._arrived.set()


class _Threads:
    """Runs calls in daemon threads, `AT_ONCE` at most, so that a call that hangs never keeps the process from its end.

    A `ThreadPoolExecutor` would: at the interpreter's end it waits for its calls before anybody can stop the engine.
    """

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._running = 0

    async def run(self, call: Callable[[], Any]) -> Any:
        """What `call` returns, or raises. Raises `CallNotSent` when no thread can be started."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()
        self._start(partial(_call, call, loop, ended))
        return await ended

    def _start(self, job: Callable[[], None]) -> None:
        with self._lock:
            if self._running >= AT_ONCE:
                self._waiting.append(job)
                return
            self._running += 1
        try:
            threading.Thread(target=self._work, args=(job,), name="kraken-engine aio", daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._running -= 1
            raise CallNotSent(f"No thread can be started for the call ({error}); nothing was sent.") from None

    def _work(self, job: Callable[[], None] | None) -> None:
        while job is not None:
            job()
            with self._lock:
                job = self._waiting.popleft() if self._waiting else None
                self._running -= job is None


def _call(call: Callable[[], Any], loop: asyncio.AbstractEventLoop, ended: asyncio.Future[Any]) -> None:
    result, failure = None, None
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
        failure = error
    with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
        loop.call_soon_threadsafe(_settle, ended, result, failure)


def _settle(ended: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if ended.done():  # the task that waited was cancelled
        return
    if failure is None:
        ended.set_result(result)
    else:
        ended.set_exception(failure)
