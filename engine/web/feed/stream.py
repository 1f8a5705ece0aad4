"""The stream of server-sent events, and the same data for clients that poll."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from engine.web.feed.balance_history import SPANS
from engine.web.feed.feed import Feed
from engine.web.web_state import WebState

SEND_PATIENCE = 20.0  # seconds that a client may take to read one message
COME_BACK = b"retry: 2000\n\n"


async def events(request: Request) -> Response:
    """The whole state, then its changes once a second; HTTP 503 if there are too many clients."""
    feed = _service(request).feed
    queue = feed.join()
    if queue is None:
        return PlainTextResponse("Too many dashboards are open.\n", 503, {"retry-after": "10"})
    return _Stream(feed, queue)


async def state(request: Request) -> Response:
    """The whole state, once."""
    feed = _service(request).feed
    feed.looked_at()
    return await run_in_threadpool(lambda: JSONResponse(feed.view.to_dict()))


async def history(request: Request) -> Response:
    """The charts' samples of the last 15 minutes."""
    return JSONResponse(_service(request).feed.series.points())


async def balances(request: Request) -> Response:
    """The history of balances over the last ``days`` (1, 7 or 31), with outages and fills."""
    service = _service(request)
    asked = request.query_params.get("days", "1")
    days = next((each for each in SPANS if f"{each:g}" == asked), SPANS[0])
    return JSONResponse(await run_in_threadpool(service.feed.charts.get, service.engine, days))


async def log(request: Request) -> Response:
    """The events as text, the oldest first, to be kept."""
    headers = {"content-disposition": 'attachment; filename="kraken-engine.log"'}
    return PlainTextResponse("".join(_service(request).feed.log.lines()), headers=headers)


class _Stream(Response):
    """Sends one client's queue until it ends, or the client disconnects or stops reading."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, queue: asyncio.Queue[bytes | None]) -> None:
        super().__init__()
        self._feed = feed
        self._queue = queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run by the server, once."""
        gone = asyncio.ensure_future(_until_gone(receive))
        sending = asyncio.ensure_future(self._send_all(send))
        try:
            await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feed.leave(self._queue)
            for task in (gone, sending):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, TimeoutError, OSError):
                    await task

    async def _send_all(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        message: bytes | None = COME_BACK
        while message is not None:
            async with asyncio.timeout(SEND_PATIENCE):
                await send({"type": "http.response.body", "body": message, "more_body": True})
            message = await self._queue.get()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _service(request: Request) -> WebState:
    service: WebState = request.app.state.service
    return service
