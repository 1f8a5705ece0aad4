"""The web application: its routes and its middleware."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.values import Secret
from engine.web import remote
from engine.web.actions.handlers import ActionPages
from engine.web.dashboard import dashboard
from engine.web.feed.stream import balances, events, history, log, state
from engine.web.health import healthz, readyz
from engine.web.metrics import CONTENT_TYPE
from engine.web.node_guard import NodeGuard
from engine.web.options import WebOptions
from engine.web.security import ACT, BodyLimit, Guard
from engine.web.static import static
from engine.web.web_state import WebState


def tcp_app(service: WebState, options: WebOptions) -> Starlette:
    """The application on TCP: everything but what programs of this user ask of the engine."""
    routes = [*_routes(), *(_action_routes() if options.allow_actions else ())]
    return _app(service, routes, [Middleware(Guard, options=options), Middleware(BodyLimit)])


def socket_app(service: WebState) -> Starlette:
    """The application on the Unix socket, which only this user can open: the same, and the engine itself."""
    app = _app(service, [*_routes(), *remote.PROGRAM_ROUTES], [Middleware(BodyLimit)])
    app.state.answers = remote.FOR_PROGRAMS
    return app


def node_app(service: WebState, token: Secret, others: ASGIApp) -> NodeGuard:
    """The application on TCP of a node: other nodes with the cluster's token ask of the engine, `others` is the rest.

    The service's engine passes nothing on.
    """
    app = _app(service, list(remote.NODE_ROUTES), [Middleware(BodyLimit)])
    app.state.answers = remote.FOR_NODES
    return NodeGuard(app, token, others)


def _app(service: WebState, routes: list[Route], middleware: list[Middleware]) -> Starlette:
    app = Starlette(routes=routes, middleware=middleware)
    app.state.service = service
    return app


def _action_routes() -> list[Route]:
    pages = ActionPages()
    return [Route(ACT, pages.show, methods=["GET"]), Route(ACT, pages.act, methods=["POST"])]


def _routes() -> list[Route]:
    return [
        Route("/", dashboard),
        Route("/api/state", state),
        Route("/api/history", history),
        Route("/api/balances", balances),
        Route("/api/log", log),
        Route("/api/events", events),
        Route("/static/{name}", static),
        Route("/metrics", _metrics),
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/0/private/{endpoint:path}", _private, methods=["POST"]),
        Route("/0/public/{endpoint:path}", _public, methods=["GET", "POST"]),
    ]


async def _metrics(request: Request) -> Response:
    return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE)


async def _private(request: Request) -> Response:
    return await _service(request).gateway.private(request)


async def _public(request: Request) -> Response:
    return await _service(request).gateway.public(request)


def _service(request: Request) -> WebState:
    service: WebState = request.app.state.service
    return service
