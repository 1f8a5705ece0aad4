"""One call of a client's through the engine: repeated as `Engine.call` repeats it, without a thread that waits."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from engine.actors.lane.messages import CallDone
from engine.actors.lane.queued_call import FutureReply
from engine.app.served import ServedEngine
from engine.errors import CallError, CallUnknown, DeadlinePassed
from engine.kraken.endpoints import private_endpoint
from engine.rules.lane.retry import cancels_by_name, pause_before_retry

GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)


def no_matter(future: Future[Any]) -> None:
    """For a caller who does not follow the attempts."""


class Calls:
    """Makes calls for clients. Lives in the thread of the event loop."""

    def __init__(self, engine: ServedEngine) -> None:
        self._engine = engine

    async def make(
        self, account: str, name: str, params: Mapping[str, Any], deadline: float, *,
        endpoint_class: str | None = None, attempts: Callable[[Future[Any]], None] = no_matter,
    ) -> CallDone:  # fmt: skip
        """The call, by `deadline` (monotonic). Raises the `CallError` with which the last attempt ended.

        `attempts` is given the future of each attempt. A call that still waits when the task is cancelled is withdrawn.
        """
        endpoint = private_endpoint(name)
        for attempt in itertools.count():
            try:
                return await self._attempt(account, name, params, deadline - time.monotonic(), endpoint_class, attempts)
            except CallError as error:
                pause = pause_before_retry(
                    error, attempt, writes=endpoint.with_params(params).writes, places=endpoint.places,
                    cancels_by_name=cancels_by_name(name, params),
                )  # fmt: skip
                if pause is None or time.monotonic() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _attempt(
        self, account: str, name: str, params: Mapping[str, Any], seconds: float, endpoint_class: str | None,
        attempts: Callable[[Future[Any]], None],
    ) -> CallDone:  # fmt: skip
        future: Future[Any] = Future()  # its one callback wakes the event loop, so it needs no thread of its own
        attempts(future)
        reply = FutureReply(future, with_warnings=True)
        self._engine.submit_to(reply, account, name, params, seconds, endpoint_class)
        try:
            async with asyncio.timeout(max(0.0, seconds) + GRACE):
                done: CallDone = await asyncio.wrap_future(future)
                return done
        except TimeoutError:
            if future.cancelled():
                raise DeadlinePassed("The call was not sent in time.") from None
            raise CallUnknown("No answer in time: look up what became of the call.") from None
