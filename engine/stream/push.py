"""The push thread: one asyncio loop, and in it one line for each account and one for prices."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from engine.rules.stream.subscription import StreamState
from engine.stream.budget import ConnectionBudget
from engine.stream.connection import StreamEndpoints
from engine.stream.connection_turns import ConnectionTurns
from engine.stream.ears import Ears
from engine.stream.line import Line
from engine.stream.price_board import PriceBoard
from engine.stream.price_line import PriceLine
from engine.stream.pulse import Pulse
from engine.values import Settings

logger = logging.getLogger("engine.stream")

THREAD = "kraken-engine push"
RESOLVERS = 2  # threads that look names up for the loop
_NOT_KEPT = (
    "How often this machine connects to Kraken's stream cannot be kept in a file, so other engines and a restart do "
    "not see it: Kraken bans a machine that connects too often."
)


class Push:
    """Keeps the lines of all accounts. Thread-safe; nothing waits but `stop`.

    `pulse` gives an account's pulse; `prices` is where the gates ask. The thread only calls `ears`, which do not wait
    either. `budget`: that of all connections, the public ones as well.
    """

    def __init__(
        self, endpoints: StreamEndpoints, settings: Settings, ears: Ears, pulse: Callable[[str], Pulse],
        prices: PriceBoard, budget: ConnectionBudget | None = None,
    ) -> None:  # fmt: skip
        self._endpoints, self._settings, self._ears, self._pulse = endpoints, settings, ears, pulse
        self._prices = prices
        self._budget = budget or ConnectionBudget(endpoints.private.url)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._over: asyncio.Event | None = None
        self._is_running = threading.Event()
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)

    def start(self, accounts: Iterable[str]) -> None:
        """Begin, with a line for each of these."""
        self._thread.start()
        self._is_running.wait()
        names = tuple(accounts)
        self._soon(lambda: self._begin_all(names))

    def keep(self, account: str) -> None:
        """Begin the account's line; one that runs ends first."""
        self._soon(lambda: self._begin(account))

    def drop(self, account: str) -> None:
        """End the account's line."""
        self._soon(lambda: self._end(account))

    def stop(self, timeout: float) -> bool:
        """End every line and close its socket; whether that was done in time."""
        over = self._over
        if over is not None:
            self._soon(over.set)
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def _soon(self, action: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(action)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            logger.exception("The push thread has ended.")
        finally:
            self._is_running.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_default_executor(ThreadPoolExecutor(RESOLVERS, THREAD))
        self._turns = ConnectionTurns(self._budget, self._urgent)
        self._over = asyncio.Event()
        self._is_running.set()
        if self._budget.room >= 0 and not self._budget.is_kept:
            self._ears.warn("push-budget", _NOT_KEPT)
        public = PriceLine(self._prices, self._ears.note, self._turns, self._budget, self._endpoints.public)
        prices = self._loop.create_task(public.run())
        await self._over.wait()
        tasks = [*self._tasks.values(), prices]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._turns.end()

    def _begin_all(self, accounts: Iterable[str]) -> None:
        """Begin them together, so that those with orders can come first."""
        for account in accounts:
            self._begin(account)

    def _begin(self, account: str) -> None:
        before = self._end(account)
        if self._over is not None and not self._over.is_set():
            self._tasks[account] = asyncio.get_running_loop().create_task(self._keep(account, before))

    async def _keep(self, account: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:  # its socket is closed first
            await asyncio.wait([before])
        line = Line(
            account, self._pulse(account), self._ears, self._turns, self._budget, self._endpoints.private,
            self._settings.call_timeout,
        )  # fmt: skip
        await line.run()

    def _urgent(self) -> set[str]:
        """The accounts that have orders and no stream that is believed."""
        first = [account for account in self._ears.first() if account in self._tasks]
        return {account for account in first if self._pulse(account).report.state is StreamState.DOWN}

    def _end(self, account: str) -> asyncio.Task[None] | None:
        task = self._tasks.pop(account, None)
        if task is not None:
            task.cancel()
        return task
