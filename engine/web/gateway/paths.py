"""The gateway's paths: most requests are its clients', so they go to it without a look through the pages' routes."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.web.gateway.gateway import Gateway

PRIVATE, PUBLIC = "/0/private/", "/0/public/"


class GatewayPaths:
    """An application: what is below `PRIVATE` and `PUBLIC` is the gateway's, everything else that of `pages`."""

    def __init__(self, gateway: Gateway, pages: ASGIApp) -> None:
        self._gateway, self._pages = gateway, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path = scope["path"] if scope["type"] == "http" else ""
        if not path.startswith((PRIVATE, PUBLIC)):
            await self._pages(scope, receive, send)
            return
        answer = await self._answer(Request(scope, receive), path)
        await answer(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> Response:
        if path.startswith(PRIVATE):
            if request.method != "POST":
                return _not_so("POST")
            return await self._gateway.private(request, path.removeprefix(PRIVATE))
        if request.method not in ("GET", "HEAD", "POST"):
            return _not_so("GET, HEAD, POST")
        return await self._gateway.public(request, path.removeprefix(PUBLIC))


def _not_so(allowed: str) -> Response:
    return PlainTextResponse("Method Not Allowed", 405, {"allow": allowed})
