"""What other programs of this user, and other nodes, ask of the engine: the service's end of `RemoteEngine`.

``POST /engine/QUESTION`` with the arguments, answered by ``{"result": …}`` or ``{"error": …}``, all in the encoding of
`engine.app.remote.codec`. Each question is answered in a thread of its own, so that none waits for another one. This
user's programs ask on the Unix socket, other nodes on TCP with the cluster's token.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from engine.actors.lane.messages import CallDone
from engine.actors.lane.queued_call import FutureReply
from engine.app.remote import codec
from engine.app.remote.link import OTHER_VERSION, PATH, VERSION
from engine.errors import CallUnknown, ConfigError, DeadlinePassed, EngineError
from engine.version import __version__
from engine.web.admin import ADMIN, doctor_here
from engine.web.event_lines import EventLines, line
from engine.web.gateway.calls import GRACE
from engine.web.web_state import WebState

Answer = Callable[..., Any]
Answers = Mapping[str, Callable[[WebState], Answer]]
"""By the name of a question, what answers it with the arguments."""

# The methods of `Engine` that are asked for by their names, with their arguments.
METHODS = (
    "call", "public", "balance", "is_available", "error_count", "place", "cancel", "cancel_all", "amend", "open_orders",
    "order", "reserved", "gates", "resume", "pause_trading", "resume_trading", "status",
)  # fmt: skip
NODE_METHODS = (
    "place_for", "place_batch_for", "placements", "placements_of", "pause_trading", "resume_trading", "arm", "disarm",
    "history", "history_marks",
)  # fmt: skip
_NOT_UNDERSTOOD = "The service does not understand this question: use the same version of the engine for both."


async def _ask(request: Request) -> Response:
    """One question, and its answer."""
    service: WebState = request.app.state.service
    try:
        question, asked = request.path_params["question"], await _asked(request)
        answer = await service.remote.threads.run(_bound(request.app.state.answers, service, question, asked))
    except EngineError as error:
        answer = codec.write({"error": error})
    return Response(answer, media_type="application/json")


async def _submit(request: Request) -> Response:
    """One attempt; it is withdrawn when its program goes away while it still waits."""
    service: WebState = request.app.state.service
    try:
        asked = await _asked(request)
        token = str(asked.pop("token", ""))
        future = _fitting(service.engine.submit, asked)()
    except EngineError as error:
        return Response(codec.write({"error": error}), media_type="application/json")
    service.remote.note(token, future)
    return Lines(_until_done(future), gone=future.cancel)


async def _events(request: Request) -> Response:
    """Every event from now on, a line each."""
    service: WebState = request.app.state.service
    return Lines(_followed(service))


async def _asked(request: Request) -> dict[str, Any]:
    """The arguments. Raises `ConfigError`, also for a program of another version."""
    theirs = request.headers.get(VERSION)
    if theirs != __version__:
        raise ConfigError(OTHER_VERSION.format(theirs=__version__, ours=theirs or "none"))
    try:
        asked = codec.read(await request.body())
    except codec.Unreadable:
        raise ConfigError(_NOT_UNDERSTOOD) from None
    if not isinstance(asked, dict):
        raise ConfigError(_NOT_UNDERSTOOD)
    return asked


def _bound(answers: Answers, service: WebState, question: str, asked: Mapping[str, Any]) -> Callable[[], bytes]:
    """Answers a question, in a thread. Raises `ConfigError` for an unknown one."""
    found = answers.get(question)
    if found is None:
        raise ConfigError(_NOT_UNDERSTOOD)
    answer = _fitting(found(service), asked)
    return lambda: _written(answer())


def _written(result: Any) -> bytes:
    """The answer. Raises `CallUnknown` for what cannot be sent: what was asked has been done."""
    try:
        return codec.write({"result": result})
    except ConfigError as error:
        raise CallUnknown(f"It was done, and the answer cannot be sent: {error}") from None


def _fitting(method: Callable[..., Any], asked: Mapping[str, Any]) -> Callable[[], Any]:
    """The call. Raises `ConfigError` for arguments that do not fit."""
    try:
        inspect.signature(method).bind(**asked)
    except TypeError:
        raise ConfigError(_NOT_UNDERSTOOD) from None
    return partial(method, **asked)


def _hello(service: WebState) -> dict[str, Any]:
    settings = service.settings
    return {"pid": os.getpid(), "live": service.engine.live, "call_timeout": float(settings.call_timeout)}


def _withdrawn(service: WebState, token: str) -> bool:
    return service.remote.withdraw(str(token))


def _attempt(
    service: WebState, account: str, endpoint: str, params: Mapping[str, Any] | None, timeout: float,
    endpoint_class: str | None,
) -> tuple[Any, list[str]]:  # fmt: skip
    """One attempt, as the gateway makes it: Kraken's `result` and its warnings. Raises what ended it."""
    future: Future[Any] = Future()
    service.engine.submit_to(
        FutureReply(future, with_warnings=True), account, endpoint, params, timeout, endpoint_class
    )
    try:
        done: CallDone = future.result(max(0.0, timeout) + GRACE)
    except TimeoutError:
        if future.cancel():
            raise DeadlinePassed("The call was not sent in time.", account=account, endpoint=endpoint) from None
        raise CallUnknown("No answer in time: look up what became of the call.", account=account) from None
    return done.result, list(done.warnings)


def _method(name: str) -> Callable[[WebState], Answer]:
    return lambda service: getattr(service.engine, name)


def _of_service(answer: Callable[..., Any]) -> Callable[[WebState], Answer]:
    return lambda service: partial(answer, service)


_COMMON: Answers = {
    **{name: _method(name) for name in METHODS},
    "hello": _of_service(_hello),
    "withdraw": _of_service(_withdrawn),
}
FOR_PROGRAMS: Answers = {**_COMMON, **{name: _of_service(each) for name, each in ADMIN.items()}}
"""What this user's programs may ask."""
FOR_NODES: Answers = {
    **_COMMON, **{name: _method(name) for name in NODE_METHODS}, "attempt": _of_service(_attempt),
    "doctor": _of_service(doctor_here),
}  # fmt: skip
"""What other nodes may ask."""


async def _until_done(future: Future[Any]) -> AsyncGenerator[bytes, None]:
    try:
        yield line({"result": await asyncio.wrap_future(future)})
    except EngineError as error:
        yield line({"error": error})
    except asyncio.CancelledError:
        if not future.cancelled():
            raise
        yield line({"withdrawn": True})


async def _followed(service: WebState) -> AsyncGenerator[bytes, None]:
    events = EventLines()
    service.engine.subscribe(events)
    service.remote.followed.add(events)
    try:
        async with contextlib.aclosing(events.lines()) as lines:
            async for each in lines:
                yield each
    finally:
        service.remote.followed.discard(events)
        service.engine.unsubscribe(events)


class Lines(Response):
    """Sends lines as they come, until they end or the program has gone, which is told to `gone`."""

    def __init__(self, lines: AsyncGenerator[bytes, None], gone: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._lines, self._gone = lines, gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run by the server, once."""
        gone, sending = asyncio.ensure_future(_until_gone(receive)), asyncio.ensure_future(self._send_all(send))
        try:
            await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
            if not sending.done():
                self._gone()
        finally:
            for task in (gone, sending):
                task.cancel()
            await asyncio.gather(gone, sending, return_exceptions=True)

    async def _send_all(self, send: Send) -> None:
        headers = [(b"content-type", b"application/x-ndjson")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with contextlib.aclosing(self._lines) as lines:
            async for each in lines:
                await send({"type": "http.response.body", "body": each, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


NODE_ROUTES = [
    Route(f"{PATH}submit", _submit, methods=["POST"]),
    Route(f"{PATH}{{question}}", _ask, methods=["POST"]),
]
PROGRAM_ROUTES = [Route(f"{PATH}events", _events, methods=["POST"]), *NODE_ROUTES]
