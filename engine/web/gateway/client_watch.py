"""Ends what is done for a client who has disconnected."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.requests import Request

SOON = 0.05  # seconds after which it is watched whether a client is still there: most are answered before


class ClientWatch:
    """A context in which the current task is cancelled when the client disconnects; it then goes on behind it.

    What is awaited inside is cancelled as a task is, and has ended when the context has. Used once.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._watching: asyncio.Task[None] | None = None
        self._is_gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._timer = task.get_loop().call_later(SOON, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
        # Somebody else who cancels the task at the same time is not kept from it.
        return self._is_gone and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._task.cancel()
