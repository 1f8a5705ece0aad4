"""Threads for calls that wait, so that an event loop does not."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.errors import CallNotSent

if TYPE_CHECKING:
    import asyncio


AT_ONCE = 128  # threads, by default; further calls wait for one of them


class CallThreads:
    """Runs calls in daemon threads, `at_once` at most, so that a call that hangs never keeps the process from its end.

    A `ThreadPoolExecutor` would: at the interpreter's end it waits for its calls before anybody can stop the engine.
    Beyond the bound, calls wait for a thread in the order in which they came.
    """

    def __init__(self, at_once: int, name: str) -> None:
        self._at_once, self._name = at_once, name
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._running = 0

    async def run(self, call: Callable[[], Any]) -> Any:
        """What `call` returns, or raises. Raises `CallNotSent` when no thread can be started."""
        import asyncio  # noqa: PLC0415 - whoever awaits has imported it; for others it takes long

        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Any] = loop.create_future()
        self.start(partial(_call, call, loop, ended))
        return await ended

    def start(self, job: Callable[[], None]) -> None:
        """Run a job, which raises nothing. Raises `CallNotSent` when no thread can be started."""
        with self._lock:
            if self._running >= self._at_once:
                self._waiting.append(job)
                return
            self._running += 1
        try:
            threading.Thread(target=self._work, args=(job,), name=self._name, daemon=True).start()
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
