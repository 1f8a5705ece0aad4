"""An engine's asyncio view: the same methods as coroutines, and its events as an asynchronous iterator."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, Protocol

from engine.actors.events import EngineWarning
from engine.app.call_threads import AT_ONCE, CallThreads
from engine.app.status import EngineStatus
from engine.app.verbs import Verbs
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.plan import TradePlan
from engine.rules.gates.report import GateReport
from engine.rules.order.order import Order, OrderReceipt

EVENTS_AT_MOST = 10_000  # that wait for a slow loop
LOOK_EVERY = 0.5  # seconds between looks whether the engine still runs


class AsyncVerbs:
    """The methods of an engine as coroutines, for any event loop, which none of them blocks.

    Each takes what the method of that name takes, returns what it returns and raises what it raises. Cancelling the
    task that awaits one ends the waiting, and nothing else: the call goes on, and a placement is followed to its end.
    Each call runs in a thread; beyond 128 at once, calls wait for a thread in the order in which they came.
    """

    def __init__(self, engine: Verbs) -> None:
        self._verbs = engine
        self._threads = CallThreads(AT_ONCE, "kraken-engine aio")

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

    async def is_available(self, account: str) -> bool:
        """`Engine.is_available`."""
        found: bool = await self._threads.run(partial(self._verbs.is_available, account))
        return found

    async def place(self, account: str, order: Order, **options: Any) -> OrderReceipt:
        """`Engine.place`. Give it an `id`, and a task that was cancelled can be asked again without a second order."""
        receipt: OrderReceipt = await self._threads.run(partial(self._verbs.place, account, order, **options))
        return receipt

    async def amend(self, account: str, receipt: OrderReceipt | str, *args: Any, **options: Any) -> OrderReceipt:
        """`Engine.amend`."""
        amended: OrderReceipt = await self._threads.run(partial(self._verbs.amend, account, receipt, *args, **options))
        return amended

    async def cancel(self, account: str, receipt: OrderReceipt | str, *args: Any, **options: Any) -> OrderReceipt:
        """`Engine.cancel`."""
        over: OrderReceipt = await self._threads.run(partial(self._verbs.cancel, account, receipt, *args, **options))
        return over

    async def cancel_all(self, account: str, *args: Any, **options: Any) -> int:
        """`Engine.cancel_all`."""
        count: int = await self._threads.run(partial(self._verbs.cancel_all, account, *args, **options))
        return count

    async def open_orders(self, account: str, *args: Any, **options: Any) -> tuple[Any, ...]:
        """`Engine.open_orders`."""
        call = partial(self._verbs.open_orders, account, *args, **options)
        found: tuple[Any, ...] = await self._threads.run(call)
        return found

    async def order(self, account: str, id: str) -> OrderReceipt:
        """`Engine.order`."""
        receipt: OrderReceipt = await self._threads.run(partial(self._verbs.order, account, id))
        return receipt

    async def gates(self, account: str, plan: TradePlan | None = None, **options: Any) -> GateReport:
        """`Engine.gates`."""
        report: GateReport = await self._threads.run(partial(self._verbs.gates, account, plan, **options))
        return report

    async def resume(self, account: str) -> None:
        """`Engine.resume`."""
        await self._threads.run(partial(self._verbs.resume, account))

    async def pause_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.pause_trading`."""
        await self._threads.run(partial(self._verbs.pause_trading, account, timeout))

    async def resume_trading(self, account: str, timeout: float | None = None) -> None:
        """`Engine.resume_trading`."""
        await self._threads.run(partial(self._verbs.resume_trading, account, timeout))

    async def status(self) -> EngineStatus:
        """`Engine.status`."""
        found: EngineStatus = await self._threads.run(self._verbs.status)
        return found


class Following(Protocol):
    """A subscription to an engine's events."""

    def is_live(self) -> bool:
        """Whether an event may still come."""
        ...

    def close(self) -> None:
        """Take no more of them."""
        ...


class AsyncEngine(AsyncVerbs):
    """`Engine.aio` and `RemoteEngine.aio`. `follow` gives every event from now on to a callable, and does not wait."""

    def __init__(self, engine: Verbs, follow: Callable[[Callable[[Any], None]], Following]) -> None:
        super().__init__(engine)
        self._follow = follow

    async def events(self) -> AsyncIterator[Any]:
        """Every event from now on, in order; ends when the engine stops.

        That of an `Engine` may begin before the engine has started. Beyond 10,000 events that the loop has not taken,
        further ones are dropped, and an `EngineWarning` ``events-dropped`` in their place says so.
        """
        inbox = _Inbox(asyncio.get_running_loop())
        following = self._follow(inbox.take)
        try:
            is_live = True
            while is_live:
                is_live = following.is_live()
                await asyncio.sleep(0)  # what was on its way when that was asked arrives now
                while inbox.events:
                    yield inbox.events.popleft()
                if is_live:
                    await inbox.wait(LOOK_EVERY)
        finally:
            following.close()


class LoopSubscription:
    """A subscription to an engine of this process; it may begin before the engine has started."""

    def __init__(self, engine: Verbs, take: Callable[[Any], None], is_running: Callable[[], bool]) -> None:
        self._engine, self._take, self._is_running = engine, take, is_running
        self._has_run = False
        engine.subscribe(take)

    def is_live(self) -> bool:
        """Whether an event may still come: not after the engine's end."""
        is_running = self._is_running()
        self._has_run |= is_running
        return is_running or not self._has_run

    def close(self) -> None:
        """Take no more of them."""
        self._engine.unsubscribe(self._take)


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
