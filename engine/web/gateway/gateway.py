"""The gateway: authenticates and authorises each call, then passes it to the engine."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from engine.app.served import ServedEngine
from engine.errors import CallNotSent, EngineError, StoreError, UnknownName, WrongParameter
from engine.kraken import refusal_words
from engine.kraken.endpoints import Endpoint, is_dry_run, private_endpoint, public_endpoint
from engine.kraken.params import canonical
from engine.kraken.signing import Signer, encode
from engine.values import Settings
from engine.web.gateway import responses
from engine.web.gateway.calls import Calls
from engine.web.gateway.credentials import Credential, Credentials
from engine.web.gateway.names import OrderNames
from engine.web.gateway.order_changes import CHANGES, OrderChanges
from engine.web.gateway.order_reads import NAMED, Client, OrderReads
from engine.web.gateway.orders import PLACES, OrderDesk
from engine.web.gateway.reads import Asked, FairReads
from engine.web.gateway.refusals import GatewayRefusal, RefusalLog
from engine.web.gateway.replay import ReplayGuard
from engine.web.gateway.request import GatewayRequest, Unreadable, read_body, read_query
from engine.web.gateway.snapshots import BALANCES, known_balance, max_age_of

PUBLIC_AT_ONCE = 20
WS_TOKEN = "GetWebSocketsToken"  # noqa: S105 - opens Kraken's sockets, which know neither this lane nor `live`
_NOT_UNLESS_LIVE = frozenset({WS_TOKEN, "CancelAllOrdersAfter"})
SOON = 0.05  # seconds after which it is watched whether a client is still there
NOBODY = 499  # status of a response whose client has gone


class Gateway:
    """Answers `/0/private/*` and `/0/public/*`. Lives in the thread of the event loop.

    Guarantees: a call goes to the engine only with a good signature of a key in force, once, and only when that key may
    make it; the client's nonce is never used at Kraken. If a client disconnects, its call is withdrawn while it waits;
    an order is not, since the journal has it by then. What the gateway or the engine refuses is told with a sentence,
    written to the log, and shown: `show` takes the key's name and a sentence.
    """

    def __init__(
        self, engine: ServedEngine, credentials: Credentials, *, settings: Settings, show: Callable[[str, str], None]
    ) -> None:
        self._engine = engine
        self._timeout, self._serves_snapshots = settings.call_timeout, settings.serve_snapshots
        self._guards: dict[Credential, ReplayGuard] = {}
        self._writing = asyncio.Lock()
        self._public = asyncio.Semaphore(PUBLIC_AT_ONCE)
        self._calls, names = Calls(engine), OrderNames(engine)
        self._reads = FairReads(self._calls)
        self._order_reads = OrderReads(self._reads, names)
        self._order_changes = OrderChanges(engine, self._calls, names)
        self._orders = OrderDesk(engine)
        self._log = RefusalLog(time.monotonic, show)
        self.credentials = credentials
        self.answered = Counter[str]()
        """How many requests were done, refused by the gateway itself, failed, and given up by their client."""

    async def private(self, request: Request) -> Response:
        """One signed call."""
        body = await request.body()
        name = request.path_params["endpoint"]
        who = request.headers.get("api-key", "")
        try:
            credential, asked = await self._authenticated(request, body)
            endpoint = self._permitted(credential, asked, name)
            asked = _canonical(endpoint, asked)
        except GatewayRefusal as no:
            self.answered["refused"] += 1
            known = who if self.credentials.find(who) else "an unknown key"
            self._log.refused(known, name[:64], no.code, str(no))
            return responses.refusal(no.code, str(no))
        client = Client(credential.account, credential.name, time.monotonic() + self._timeout)
        if endpoint.name in PLACES and not is_dry_run(endpoint, asked.params):
            return await self._answer(client, endpoint.name, self._placed(client, endpoint, asked))
        balance = self._known(request, credential.account, endpoint, asked)
        if balance is not None:
            self.answered["done"] += 1
            return responses.done(balance)
        called = self._answer(client, endpoint.name, self._called(client, endpoint, asked))
        return await self._unless_gone(request, called)

    async def public(self, request: Request) -> Response:
        """One public call, which does not pass through the lane."""
        try:
            params = read_query((await request.body()).decode("latin-1") or request.url.query)
            endpoint = public_endpoint(request.path_params["endpoint"])
            async with self._public:
                text = await run_in_threadpool(self._public_result, endpoint, params)
        except Unreadable as error:
            return responses.refusal(refusal_words.INVALID_ARGUMENTS, str(error))
        except EngineError as error:
            return responses.failure(error)
        return text

    async def close(self) -> None:
        """Store the highest nonces seen, so that clients can go on at once after a restart."""
        for credential, guard in self._guards.items():
            if guard.highest < guard.mark:
                with contextlib.suppress(StoreError):
                    await run_in_threadpool(self.credentials.keep_mark, credential, guard.highest)
        self._orders.close()
        self.credentials.close()

    async def _authenticated(self, request: Request, body: bytes) -> tuple[Credential, GatewayRequest]:
        credential = self.credentials.find(request.headers.get("api-key", ""))
        if credential is None:
            told = "The gateway has no such API key: 'kraken-engine gateway-key' lists them and makes new ones."
            raise GatewayRefusal(refusal_words.INVALID_KEY, told)
        try:
            asked = read_body(body, request.headers.get("content-type", ""))
        except Unreadable as error:
            raise GatewayRefusal(refusal_words.INVALID_ARGUMENTS, str(error)) from None
        if asked.nonce is None:
            raise GatewayRefusal(refusal_words.INVALID_NONCE, "The call has no nonce that is a whole number.")
        path = request.scope["path"]
        if not path.isascii():
            raise GatewayRefusal(refusal_words.UNKNOWN_METHOD, "The path has other characters than an endpoint has.")
        expected = Signer(self.credentials.secret(credential)).sign(path, body, asked.nonce)
        given = request.headers.get("api-sign", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            told = "The signature does not fit: the secret is not that of this key, or the key was issued anew."
            raise GatewayRefusal(refusal_words.INVALID_SIGNATURE, told)
        await self._check_new(credential, asked.nonce, given)
        return credential, asked

    async def _check_new(self, credential: Credential, nonce: int, signature: str) -> None:
        guard = self._guards.get(credential)
        if guard is None:
            guard = self._guards[credential] = ReplayGuard(self.credentials.mark(credential))
        now = time.time()
        if not guard.admit(nonce, signature, now):
            raise GatewayRefusal(refusal_words.INVALID_NONCE, guard.why_not(nonce, now))
        async with self._writing:
            mark = guard.next_mark(nonce, now)
            if mark is None:
                return
            try:
                await run_in_threadpool(self.credentials.keep_mark, credential, mark)
            except StoreError as error:
                raise GatewayRefusal(refusal_words.UNAVAILABLE, str(error)) from None
            guard.mark = mark

    def _permitted(self, credential: Credential, asked: GatewayRequest, name: str) -> Endpoint:
        try:
            endpoint = private_endpoint(name).with_params(asked.params)
            self._engine.check_account(credential.account)
        except UnknownName as error:
            code = refusal_words.UNKNOWN_METHOD if error.endpoint else refusal_words.INVALID_KEY
            raise GatewayRefusal(code, str(error)) from None
        denied = self._denied(credential, endpoint)
        if denied is not None:
            raise GatewayRefusal(refusal_words.PERMISSION_DENIED, denied)
        return endpoint

    def _denied(self, credential: Credential, endpoint: Endpoint) -> str | None:
        """Why the key may not make this call, for a person; `None` when it may."""
        if (endpoint.writes or endpoint.name == WS_TOKEN) and not credential.may_trade:
            return f"The gateway key {credential.name} may only read: issue one with --trading."
        if endpoint.writes and endpoint.funds:
            return "No gateway key may move money."
        if endpoint.name in _NOT_UNLESS_LIVE and not self._engine.live:
            return f"The engine is not live, so it takes no {endpoint.name}: start it with --live."
        return None

    def _known(
        self, request: Request, account: str, endpoint: Endpoint, asked: GatewayRequest
    ) -> dict[str, Any] | None:
        """A balance that is known, where the client accepts its age and the engine is set to give it."""
        if not self._serves_snapshots or endpoint.name not in BALANCES or asked.params:
            return None
        age = max_age_of(request.headers.get("cache-control", ""))
        return None if age is None else known_balance(self._engine, account, endpoint.name, age)

    async def _placed(self, client: Client, endpoint: Endpoint, asked: GatewayRequest) -> Response:
        return responses.done(await self._orders.answer(client, endpoint.name, asked.params))

    async def _called(self, client: Client, endpoint: Endpoint, asked: GatewayRequest) -> Response:
        if endpoint.name in NAMED:
            done = await self._order_reads.answer(client, endpoint.name, asked.params)
        elif endpoint.name in CHANGES:
            done = await self._order_changes.answer(client, endpoint.name, asked.params)
        elif endpoint.writes or endpoint.name == WS_TOKEN:
            done = await self._calls.make(client.account, endpoint.name, asked.params, client.deadline)
        else:
            read = Asked(client.account, endpoint.name, asked.params)
            done = await self._reads.read(client.key, read, client.deadline)
        return responses.done(done.result, done.warnings)

    async def _answer(self, client: Client, name: str, making: Coroutine[Any, Any, Response]) -> Response:
        """The answer, or the error that says why there is none."""
        try:
            answer = await making
        except EngineError as error:
            self.answered["failed"] += 1
            self._log.failed(client.key, name, error)
            return responses.failure(error)
        self.answered["done"] += 1
        return answer

    def _public_result(self, endpoint: Endpoint, params: dict[str, Any]) -> Response:
        return responses.done(self._engine.public(endpoint.name, params))

    async def _unless_gone(self, request: Request, making: Coroutine[Any, Any, Response]) -> Response:
        """The answer, unless the client disconnects first: then a call that still waits is withdrawn."""
        call, gone = asyncio.ensure_future(making), None
        try:
            await asyncio.wait((call,), timeout=SOON)
            if not call.done():
                gone = asyncio.ensure_future(_until_gone(request))
                await asyncio.wait((call, gone), return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
        finally:
            for task in (call, gone):
                if task is not None and not task.done():
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
        self.answered["gone"] += 1  # after the call was withdrawn, so that a reader of this can rely on it
        return Response(status_code=NOBODY)


def _canonical(endpoint: Endpoint, asked: GatewayRequest) -> GatewayRequest:
    """With the parameters as Kraken takes them. Raises `GatewayRefusal`, naming the one that cannot be read."""
    try:
        params = canonical(endpoint, asked.params)
        encode(endpoint, params)
    except WrongParameter as error:
        raise GatewayRefusal(f"{refusal_words.INVALID_ARGUMENTS}:{error.name}", str(error)) from None
    except CallNotSent as error:
        raise GatewayRefusal(refusal_words.INVALID_ARGUMENTS, str(error)) from None
    return GatewayRequest(asked.nonce, params)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
