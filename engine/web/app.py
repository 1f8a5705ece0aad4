"""The web application: its routes, and the checks before them."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from engine.values import Secret
from engine.web import remote
from engine.web.actions.handlers import ActionPages
from engine.web.dashboard import dashboard
from engine.web.feed.stream import balances, events, history, log, state
from engine.web.gateway.paths import GatewayPaths
from engine.web.health import healthz, readyz
from engine.web.metrics import CONTENT_TYPE
from engine.web.node_guard import NodeGuard
from engine.web.options import WebOptions
from engine.web.security import ACT, BodyLimit, Guard
from engine.web.static import static
from engine.web.web_state import WebState


def tcp_app(service: WebState, options: WebOptions) -> ASGIApp:
    """The application on TCP: everything but what programs of this user ask of the engine."""
    pages = _pages(service, [*_routes(), *(_action_routes() if options.allow_actions else ())])
    return Guard(BodyLimit(GatewayPaths(service.gateway, pages)), options)


def socket_app(service: WebState) -> ASGIApp:
    """The application on the Unix socket, which only this user can open: the same, and the engine itself."""
    pages = _pages(service, [*_routes(), *remote.PROGRAM_ROUTES])
    pages.state.answers = remote.FOR_PROGRAMS
    return BodyLimit(GatewayPaths(service.gateway, pages))


def node_app(service: WebState, token: Secret, others: ASGIApp) -> NodeGuard:
    """The application on TCP of a node: other nodes with the cluster's token ask of the engine, `others` is the rest.

    The service's engine passes nothing on.
    """
    asked = _pages(service, list(remote.NODE_ROUTES))
    asked.state.answers = remote.FOR_NODES
    return NodeGuard(BodyLimit(asked), token, others)


def _pages(service: WebState, routes: list[Route]) -> Starlette:
    app = Starlette(routes=routes)
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
    ]


async def _metrics(request: Request) -> Response:
    return Response(_service(request).metrics.text(), media_type=CONTENT_TYPE)


def _service(request: Request) -> WebState:
    service: WebState = request.app.state.service
    return service
