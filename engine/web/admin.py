"""The administration, on the Unix socket only: what the command line asks of a running service.

Errors are returned as ``{"error": {"type": …, "message": …, …}}`` with the class of `engine.errors`, so that the
command line can raise them again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from engine.app.documents import QUESTIONS
from engine.doctor import examine_running
from engine.errors import CallError, ConfigError, EngineError, NotLive
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import is_dry_run
from engine.kraken.json_text import written
from engine.kraken.unlisted import endpoint_of
from engine.web.web_state import WebState

_NOT_UNDERSTOOD = "The service does not understand this request: use the command line of the same version."

Handler = Callable[[WebState, dict[str, Any]], Awaitable[Any]]


async def _status(service: WebState, _: dict[str, Any]) -> Any:
    return service.engine.status().to_dict()


async def _balances(service: WebState, asked: dict[str, Any]) -> Any:
    """Every account's balance, or those of `accounts`, refreshed first where older than `max_age`."""
    engine = service.engine
    names = asked.get("accounts") or [each.account for each in engine.status().accounts]
    refresh = (run_in_threadpool(engine.balance, name, asked.get("max_age"), asked.get("timeout")) for name in names)
    return [each.to_dict() for each in await asyncio.gather(*refresh)]


async def _call(service: WebState, asked: dict[str, Any]) -> Any:
    """One private call, with the engine's own repeats. A call that changes something needs `live` from the caller."""
    params, endpoint_class = asked.get("params") or {}, asked.get("endpoint_class")
    endpoint = endpoint_of(asked["endpoint"], params, endpoint_class)
    params = settled(endpoint, params)
    if endpoint.needs_live and not is_dry_run(endpoint, params) and asked.get("live") is not True:
        raise NotLive(f"{endpoint.name} can change something at Kraken: give --live.")
    return await run_in_threadpool(
        partial(service.engine.call, endpoint_class=endpoint_class),
        asked["account"], asked["endpoint"], params, asked.get("timeout"),
    )  # fmt: skip


async def _doctor(service: WebState, asked: dict[str, Any]) -> Any:
    """What the engine finds about one of its accounts."""
    findings = await run_in_threadpool(
        lambda: list(examine_running(service.engine, asked["account"], service.settings))
    )
    return [each.to_dict() for each in findings]


async def _gateway_keys(service: WebState, _: dict[str, Any]) -> Any:
    return [each.to_dict() for each in service.gateway.credentials.all()]


async def _issue(service: WebState, asked: dict[str, Any]) -> Any:
    """A gateway key; the only answer that ever shows its secret."""
    service.engine.is_available(asked["account"])  # raises for an account that is not here
    credentials = service.gateway.credentials
    credential, secret = credentials.issue(asked["account"], asked["label"], may_trade=asked["may_trade"] is True)
    return {**credential.to_dict(), "secret": secret.reveal()}


def _asked_of_engine(question: Callable[..., Any]) -> Handler:
    """A question that the command line asks of an engine of its own in the same way."""
    async def answer(service: WebState, asked: dict[str, Any]) -> Any:
        return await run_in_threadpool(partial(question, service.engine, **asked))

    return answer


async def _revoke(service: WebState, asked: dict[str, Any]) -> Any:
    return service.gateway.credentials.revoke(asked["account"], asked["label"]).to_dict()


def _route(name: str, handler: Handler) -> Route:
    async def endpoint(request: Request) -> Response:
        service: WebState = request.app.state.service
        try:
            asked = json.loads(await request.body() or b"{}")
            return Response(written({"result": await handler(service, asked)}), media_type="application/json")
        except EngineError as error:
            return JSONResponse({"error": failure(error)})
        except (KeyError, TypeError, AttributeError, ValueError):
            return JSONResponse({"error": failure(ConfigError(_NOT_UNDERSTOOD))})

    return Route(f"/admin/{name}", endpoint, methods=["POST"])


def failure(error: EngineError) -> dict[str, Any]:
    """An error, JSON-ready."""
    told: dict[str, Any] = {"type": type(error).__name__, "message": str(error)}
    if isinstance(error, CallError):
        told |= {"account": error.account, "endpoint": error.endpoint, "kraken_code": error.kraken_code,
                 "retry_after": error.retry_after}  # fmt: skip
    return told


ROUTES = [
    _route("status", _status),
    _route("balances", _balances),
    _route("call", _call),
    _route("doctor", _doctor),
    _route("gateway-keys", _gateway_keys),
    _route("issue", _issue),
    _route("revoke", _revoke),
    *(_route(name, _asked_of_engine(question)) for name, question in QUESTIONS.items()),
]
