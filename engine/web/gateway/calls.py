"""Calls of clients through the engine: repeated as `Engine.call` repeats them, without a thread that waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from engine.actors.lane.messages import CallDone
from engine.actors.lane.queued_call import FutureReply
from engine.app.served import ServedEngine
from engine.errors import CallError, CallNotSent, CallUnknown, DeadlinePassed, EngineError
from engine.kraken.endpoints import private_endpoint
from engine.rules.lane.retry import cancels_by_name, pause_before_retry

GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)

Ended = Callable[[CallDone | EngineError], object]


class RepeatedCall:
    """One call of a client's, attempted until it is done or may not be attempted again by `deadline` (monotonic).

    Lives in the thread of the event loop. `ended` is called there, once: with the answer, or with the error with which
    the last attempt ended. It is not called for a call that was withdrawn.
    """

    def __init__(
        self, engine: ServedEngine, account: str, name: str, params: Mapping[str, Any], deadline: float,
        ended: Ended, endpoint_class: str | None = None,
    ) -> None:  # fmt: skip
        self._engine, self._account, self._name, self._params = engine, account, name, params
        self._deadline, self._ended, self._class = deadline, ended, endpoint_class
        self._loop = asyncio.get_running_loop()
        self._attempts = 0
        self._attempt: Future[Any] | None = None
        self._pause: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Attempt it."""
        self._pause = None
        self._attempts += 1
        attempt: Future[Any] = Future()  # its callback only wakes the event loop, so it needs no thread of its own
        self._attempt = attempt
        attempt.add_done_callback(self._wake)
        reply, seconds = FutureReply(attempt, with_warnings=True), self._deadline - time.monotonic()
        try:
            self._engine.submit_to(reply, self._account, self._name, self._params, seconds, self._class)
        except EngineError as error:
            attempt.set_exception(error)

    @property
    def is_unsent(self) -> bool:
        """Whether its answer is still to be asked for, so that it is no older than somebody who comes now."""
        attempt = self._attempt
        if attempt is None or not attempt.done():
            return attempt is None or not attempt.running()
        return not attempt.cancelled() and isinstance(attempt.exception(), CallNotSent)

    def withdraw(self) -> bool:
        """Give it up; whether it will certainly not be sent any more."""
        self._ended = _ignore
        if self._pause is not None:
            self._pause.cancel()
            return True
        return self._attempt is None or self._attempt.cancel()

    def _wake(self, attempt: Future[Any]) -> None:
        """The attempt has ended. Run by any thread."""
        if not attempt.cancelled() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._attempted, attempt)

    def _attempted(self, attempt: Future[Any]) -> None:
        error: Any = attempt.exception()
        pause = None if error is None else self._pause_after(error)
        if pause is None or self._ended is _ignore:
            ended, self._ended = self._ended, _ignore  # which names this call: a circle
            ended(attempt.result() if error is None else error)
        else:
            self._pause = self._loop.call_later(pause, self.begin)

    def _pause_after(self, error: Exception) -> float | None:
        """The seconds after which it is attempted again; `None`: it is not."""
        if not isinstance(error, CallError):
            return None
        endpoint = private_endpoint(self._name)
        pause = pause_before_retry(
            error, self._attempts - 1, writes=endpoint.with_params(self._params).writes, places=endpoint.places,
            cancels_by_name=cancels_by_name(self._name, self._params),
        )  # fmt: skip
        return None if pause is None or time.monotonic() + pause >= self._deadline else pause


class Calls:
    """Makes calls for clients. Lives in the thread of the event loop."""

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine

    def begin(
        self, account: str, name: str, params: Mapping[str, Any], deadline: float, ended: Ended,
        endpoint_class: str | None = None,
    ) -> RepeatedCall:  # fmt: skip
        """A call that has begun, which `ended` is told the end of."""
        call = RepeatedCall(self._engine, account, name, params, deadline, ended, endpoint_class)
        call.begin()
        return call

    async def make(self, account: str, name: str, params: Mapping[str, Any], deadline: float) -> CallDone:
        """The call, by `deadline` (monotonic). Raises the `EngineError` with which the last attempt ended.

        A call that still waits when the task is cancelled is withdrawn.
        """
        answer: asyncio.Future[CallDone] = asyncio.get_running_loop().create_future()
        call = self.begin(account, name, params, deadline, lambda told: tell(answer, told))
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic()) + GRACE):
                return await answer
        except TimeoutError:
            if call.withdraw():
                raise DeadlinePassed("The call was not sent in time.") from None
            raise CallUnknown("No answer in time: look up what became of the call.") from None
        finally:
            call.withdraw()


def tell(waiter: asyncio.Future[CallDone], told: CallDone | EngineError) -> None:
    """Give the end of a call to one who waits for it, and may have gone."""
    if waiter.done():
        return
    if isinstance(told, CallDone):
        waiter.set_result(told)
    else:
        waiter.set_exception(told)
        waiter.exception()  # it counts as seen, also when the one who waits goes now


def _ignore(told: CallDone | EngineError) -> None:
    """For a call that was withdrawn."""
