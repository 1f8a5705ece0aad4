"""The gateway: authenticates and authorises each call, then passes it to the engine."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from engine.app.served import ServedEngine
from engine.errors import CallNotSent, EngineError, UnknownName, WrongParameter
from engine.kraken import refusal_words
from engine.kraken.endpoints import Endpoint, is_dry_run, private_endpoint, public_endpoint
from engine.kraken.params import canonical
from engine.kraken.signing import encode
from engine.values import Settings
from engine.web.gateway import responses
from engine.web.gateway.authentication import Authentication
from engine.web.gateway.calls import Calls
from engine.web.gateway.client_watch import ClientWatch
from engine.web.gateway.credentials import Credential, Credentials
from engine.web.gateway.names import OrderNames
from engine.web.gateway.order_changes import CHANGES, OrderChanges
from engine.web.gateway.order_reads import NAMED, Client, OrderReads
from engine.web.gateway.orders import PLACES, OrderDesk
from engine.web.gateway.reads import Asked, FairReads
from engine.web.gateway.refusals import GatewayRefusal, RefusalLog
from engine.web.gateway.request import GatewayRequest, Unreadable, read_query
from engine.web.gateway.snapshots import BALANCES, known_balance, max_age_of

PUBLIC_AT_ONCE = 20
WS_TOKEN = "GetWebSocketsToken"  # noqa: S105 - opens Kraken's sockets, which know neither this lane nor `live`
_NOT_UNLESS_LIVE = frozenset({WS_TOKEN, "CancelAllOrdersAfter"})
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
        self._authentication = Authentication(credentials)
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

    async def private(self, request: Request, name: str) -> Response:
        """One signed call of the endpoint of that name."""
        body = await request.body()
        who = request.headers.get("api-key", "")
        try:
            credential, asked = await self._authentication.check(request, body)
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
        with ClientWatch(request):
            return await self._answer(client, endpoint.name, self._called(client, endpoint, asked))
        self.answered["gone"] += 1  # after the call was withdrawn, so that a reader of this can rely on it
        return Response(status_code=NOBODY)

    async def public(self, request: Request, name: str) -> Response:
        """One public call of the endpoint of that name, which does not pass through the lane."""
        try:
            params = read_query((await request.body()).decode("latin-1") or request.url.query)
            endpoint = public_endpoint(name)
            async with self._public:
                text = await run_in_threadpool(self._public_result, endpoint, params)
        except Unreadable as error:
            return responses.refusal(refusal_words.INVALID_ARGUMENTS, str(error))
        except EngineError as error:
            return responses.failure(error)
        return text

    async def close(self) -> None:
        """Store the highest nonces seen, and take no more orders."""
        await self._authentication.close()
        self._orders.close()
        self.credentials.close()

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
