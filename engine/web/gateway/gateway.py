"""The gateway: authenticates and authorises each call, then passes it to the engine."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from engine.actors.lane.messages import CallDone
from engine.app import Engine
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    DeadlinePassed,
    EngineError,
    NotLive,
    StoreError,
    UnknownName,
)
from engine.kraken.dry_run import NAME as VALIDATE
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import Endpoint, is_dry_run, private_endpoint, public_endpoint
from engine.kraken.signing import Signer, encode
from engine.rules.lane.retry import pause_before_retry
from engine.web.gateway import responses
from engine.web.gateway.credentials import Credential, Credentials
from engine.web.gateway.orders import NAME, order_of, result_of
from engine.web.gateway.replay import ReplayGuard
from engine.web.gateway.request import GatewayRequest, Unreadable, read_body, read_query

PUBLIC_AT_ONCE = 20
PLACED_AT_ONCE = 50  # orders that wait for their end; more wait for these
ADD_ORDER = "AddOrder"
_NAMES_AN_ORDER = frozenset({"CancelOrder", "AmendOrder", "OpenOrders", "ClosedOrders"})
WS_TOKEN = "GetWebSocketsToken"  # noqa: S105 - opens Kraken's sockets, which know neither this lane nor `live`
_NOT_UNLESS_LIVE = frozenset({WS_TOKEN, "CancelAllOrdersAfter"})
NOBODY = 499  # status of a response whose client has gone
GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)


class GatewayRefusal(Exception):
    """A call that the gateway itself refuses, with Kraken's error code."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gateway:
    """Answers `/0/private/*` and `/0/public/*`. Lives in the thread of the event loop.

    Guarantees: a call goes to the engine only with a good signature of a key in force, once, and only when that key may
    make it; the client's nonce is never used at Kraken. If a client disconnects, its call is withdrawn while it waits;
    an order is not, since the journal has it by then.
    """

    def __init__(self, engine: Engine, credentials: Credentials, *, timeout: float) -> None:
        self._engine = engine
        self._timeout = timeout
        self._guards: dict[Credential, ReplayGuard] = {}
        self._writing = asyncio.Lock()
        self._public = asyncio.Semaphore(PUBLIC_AT_ONCE)
        self._placing = ThreadPoolExecutor(PLACED_AT_ONCE, "kraken-engine gateway")
        self.credentials = credentials
        self.answered = Counter[str]()
        """How many requests were done, refused by the gateway itself, failed, and given up by their client."""

    async def private(self, request: Request) -> Response:
        """One signed call."""
        body = await request.body()
        try:
            credential, asked = await self._authenticated(request, body)
            endpoint = self._permitted(credential, asked, request.path_params["endpoint"])
            asked = _settled(endpoint, asked)
        except GatewayRefusal as no:
            self.answered["refused"] += 1
            return responses.refusal(no.code)
        if endpoint.name == ADD_ORDER and not is_dry_run(endpoint, asked.params):
            return await self._place(credential.account, asked)
        return await self._unless_gone(request, self._call(credential.account, endpoint, asked))

    async def public(self, request: Request) -> Response:
        """One public call, which does not pass through the lane."""
        try:
            params = read_query((await request.body()).decode("latin-1") or request.url.query)
            endpoint = public_endpoint(request.path_params["endpoint"])
            async with self._public:
                text = await run_in_threadpool(self._public_result, endpoint, params)
        except Unreadable:
            return responses.refusal(responses.INVALID_ARGUMENTS)
        except CallError as error:
            return responses.failure(error)
        return text

    async def close(self) -> None:
        """Store the highest nonces seen, so that clients can go on at once after a restart."""
        for credential, guard in self._guards.items():
            if guard.highest < guard.mark:
                with contextlib.suppress(StoreError):
                    await run_in_threadpool(self.credentials.keep_mark, credential, guard.highest)
        self._placing.shutdown(wait=False)
        self.credentials.close()

    async def _authenticated(self, request: Request, body: bytes) -> tuple[Credential, GatewayRequest]:
        credential = self.credentials.find(request.headers.get("api-key", ""))
        if credential is None:
            raise GatewayRefusal(responses.INVALID_KEY)
        try:
            asked = read_body(body, request.headers.get("content-type", ""))
        except Unreadable:
            raise GatewayRefusal(responses.INVALID_ARGUMENTS) from None
        if asked.nonce is None:
            raise GatewayRefusal(responses.INVALID_NONCE)
        path = request.scope["path"]
        if not path.isascii():
            raise GatewayRefusal(responses.UNKNOWN_METHOD)
        expected = Signer(self.credentials.secret(credential)).sign(path, body, asked.nonce)
        given = request.headers.get("api-sign", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise GatewayRefusal(responses.INVALID_SIGNATURE)
        await self._check_new(credential, asked.nonce, given)
        return credential, asked

    async def _check_new(self, credential: Credential, nonce: int, signature: str) -> None:
        guard = self._guards.get(credential)
        if guard is None:
            guard = self._guards[credential] = ReplayGuard(self.credentials.mark(credential))
        now = time.time()
        if not guard.admit(nonce, signature, now):
            raise GatewayRefusal(responses.INVALID_NONCE)
        async with self._writing:
            mark = guard.next_mark(nonce, now)
            if mark is None:
                return
            try:
                await run_in_threadpool(self.credentials.keep_mark, credential, mark)
            except StoreError:
                raise GatewayRefusal(responses.UNAVAILABLE) from None
            guard.mark = mark

    def _permitted(self, credential: Credential, asked: GatewayRequest, name: str) -> Endpoint:
        try:
            endpoint = private_endpoint(name).with_params(asked.params)
            self._engine.is_available(credential.account)
        except UnknownName as error:
            raise GatewayRefusal(responses.UNKNOWN_METHOD if error.endpoint else responses.INVALID_KEY) from None
        is_trading = endpoint.writes or endpoint.name == WS_TOKEN
        if is_trading and not credential.may_trade:
            raise GatewayRefusal(responses.PERMISSION_DENIED)
        if endpoint.writes and endpoint.funds:
            raise GatewayRefusal(responses.PERMISSION_DENIED)
        if endpoint.name in _NOT_UNLESS_LIVE and not self._engine.status().live:
            raise GatewayRefusal(responses.PERMISSION_DENIED)
        try:
            encode(endpoint, asked.params)
        except CallNotSent:
            raise GatewayRefusal(responses.INVALID_ARGUMENTS) from None
        return endpoint

    async def _place(self, account: str, asked: GatewayRequest) -> Response:
        """An order, through the engine's journal. It goes on if its client disconnects: the journal has it by name."""
        try:
            if not self._engine.status().live:
                raise NotLive("The engine is not live.", account=account)
            order, name = order_of(asked.params)
            place = partial(self._engine.place, account, order, id=name, timeout=self._timeout)
            receipt = await asyncio.get_running_loop().run_in_executor(self._placing, place)
        except EngineError as error:
            self.answered["failed"] += 1
            return responses.failure(error)
        self.answered["done"] += 1
        return responses.done(result_of(receipt))

    def _translated(self, account: str, endpoint: Endpoint, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """The parameters with the engine's `cl_ord_id` in place of the client's own name for the order."""
        name = params.get(NAME)
        if endpoint.name not in _NAMES_AN_ORDER or not isinstance(name, str):
            return params
        with contextlib.suppress(EngineError):
            return {**params, NAME: self._engine.order(account, name).cl_ord_id}
        return params

    async def _call(self, account: str, endpoint: Endpoint, asked: GatewayRequest) -> Response:
        """The call with its repeats, as `Engine.call` makes them, without a thread that waits."""
        deadline, params = time.monotonic() + self._timeout, asked.params
        if NAME in params:
            params = await run_in_threadpool(self._translated, account, endpoint, params)
        for attempt in itertools.count():
            try:
                done = await self._attempt(account, endpoint.name, params, deadline - time.monotonic())
            except CallError as error:
                pause = pause_before_retry(error, attempt, writes=endpoint.writes, places=endpoint.places)
                if pause is None or time.monotonic() + pause >= deadline:
                    self.answered["failed"] += 1
                    return responses.failure(error)
                await asyncio.sleep(pause)
            else:
                self.answered["done"] += 1
                return responses.done(done.result, done.warnings)
        raise AssertionError("unreachable")

    async def _attempt(self, account: str, endpoint: str, params: Mapping[str, Any], seconds: float) -> CallDone:
        """One attempt. Raises a `CallError`; a call that still waits when its time is over is withdrawn."""
        future = self._engine.submit(account, endpoint, params, seconds, with_warnings=True)
        try:
            async with asyncio.timeout(max(0.0, seconds) + GRACE):
                done: CallDone = await asyncio.wrap_future(future)
                return done
        except TimeoutError:
            if future.cancelled():
                raise DeadlinePassed("The call was not sent in time.") from None
            raise CallUnknown("No answer in time: look up what became of the call.") from None

    def _public_result(self, endpoint: Endpoint, params: dict[str, Any]) -> Response:
        return responses.done(self._engine.public(endpoint.name, params))

    async def _unless_gone(self, request: Request, making: Coroutine[Any, Any, Response]) -> Response:
        """The answer, unless the client disconnects first: then a call that still waits is withdrawn."""
        call = asyncio.ensure_future(making)
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait((call, gone), return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
        finally:
            for task in (call, gone):
                task.cancel()
            await asyncio.gather(call, gone, return_exceptions=True)
        self.answered["gone"] += 1  # after the call was withdrawn, so that a reader of this can rely on it
        return Response(status_code=NOBODY)


def _settled(endpoint: Endpoint, asked: GatewayRequest) -> GatewayRequest:
    """With `validate` read, which may make an order a dry run. Raises `GatewayRefusal`, naming it."""
    try:
        return GatewayRequest(asked.nonce, settled(endpoint, asked.params))
    except CallNotSent:
        raise GatewayRefusal(f"{responses.INVALID_ARGUMENTS}:{VALIDATE}") from None


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
