"""The way in for other nodes of the cluster: by the token that all nodes share."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.app.remote.link import PATH
from engine.values import Secret
from engine.web.security import digest, shows


class NodeGuard:
    """Gives what is under ``/engine/`` to `app` when it has the cluster's token, and everything else to `others`.

    No page of a browser can send the token, so neither Host nor Origin matters here.
    """

    def __init__(self, app: ASGIApp, token: Secret, others: ASGIApp) -> None:
        self._app, self._others = app, others
        self._token = digest(token.reveal())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not scope["path"].startswith(PATH):
            await self._others(scope, receive, send)
        elif shows(Headers(scope=scope), self._token):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("This is for nodes with the cluster's token.\n", 401)(scope, receive, send)
