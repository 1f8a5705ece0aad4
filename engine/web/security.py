"""The checks that every request passes first, and the security headers of every response.

Threats: a browser steered by a hostile page (DNS rebinding, cross-site requests), a stranger on another machine, and
clients that are slow or send too much.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.web.options import WebOptions

BODY_AT_MOST = 64 * 1024  # bytes; the largest of Kraken's bodies, a batch of 15 orders, is a tenth of that
BODY_PATIENCE = 10.0  # seconds for the whole of it

HEADERS = (
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_NO_STORE = (b"cache-control", b"no-store")
_CHALLENGE = {"www-authenticate": 'Basic realm="kraken-engine"'}

_READS = frozenset({"GET", "HEAD"})
_OF_FORMS = _READS | {"POST"}
_PROBES = frozenset({"/healthz", "/readyz"})
_GATEWAY = "/0/"
ACT = "/act"
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(?::[0-9]+)?")


class Guard:
    """Lets a request through, or rejects it. The gateway's clients sign their calls and need no token.

    Anybody may call the probes, since a container's probe has neither token nor host name; `is_trusted` then tells the
    endpoint not to name accounts, and `may_act` whether the page is to offer actions.
    """

    def __init__(self, app: ASGIApp, options: WebOptions) -> None:
        self._app = app
        self._hosts = options.allowed_hosts
        self._acting = None if options.may_act_with is None else digest(options.may_act_with.reveal())
        self._allows_actions = options.allow_actions
        self._token = None if options.token is None else digest(options.token.reveal())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope)
        may_act = self._allows_actions and self._may_act(Headers(scope=scope))
        scope["state"] = {**scope.get("state", {}), "is_trusted": refusal is None, "may_act": may_act}
        app: ASGIApp = self._app if refusal is None or scope["path"] in _PROBES else refusal
        await app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        path: str = scope["path"]
        if _is_ambiguous(scope):
            return _two_lengths()
        if _host(headers.getlist("host")) not in self._hosts:
            return _refused(421, "This name is not one of the service's: add it with --allow-host.")
        if not self._is_same_site(headers):
            return _refused(403, "Requests from other sites are refused.")
        if path == ACT and self._allows_actions and scope["method"] in _OF_FORMS:
            return self._act_refusal(scope["method"], headers)
        if scope["method"] not in _READS and not (scope["method"] == "POST" and path.startswith(_GATEWAY)):
            return _refused(405, "Nothing here is changed through the web.")
        if self._token is None or path.startswith(_GATEWAY) or self._may_look(headers):
            return None
        return _refused(401, "The token is missing or wrong.", _CHALLENGE)

    def _act_refusal(self, method: str, headers: Headers) -> Response | None:
        """An action comes from a page of ours, which a browser says; its form, too, is for a token that may act."""
        if method == "POST" and headers.get("origin") is None:
            return _refused(403, "An action needs the Origin of a page of this service.")
        if not self._may_act(headers):
            return _refused(401, "This needs a token that may act.", _CHALLENGE)
        return None

    def _may_act(self, headers: Headers) -> bool:
        return self._acting is not None and shows(headers, self._acting)

    def _may_look(self, headers: Headers) -> bool:
        return any(shows(headers, each) for each in (self._token, self._acting) if each is not None)

    def _is_same_site(self, headers: Headers) -> bool:
        """Whether the request does not come from another site. Only browsers send these headers."""
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return False
        origin = headers.get("origin")
        return origin is None or origin.partition("://")[2].lower() == headers["host"].lower()


class BodyLimit:
    """Reads the whole body before the request is handled, with limits on size and time."""

    def __init__(self, app: ASGIApp, patience: float = BODY_PATIENCE) -> None:
        self._app = app
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and _is_ambiguous(scope):
            await _two_lengths()(scope, receive, send)
            return
        if scope["type"] != "http" or scope["method"] in _READS:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._patience):
                body = await _whole_body(receive)
        except TimeoutError:
            await _refused(408, "The body came too slowly.")(scope, receive, send)
            return
        if body is None:
            await _refused(413, f"The body is larger than {BODY_AT_MOST} bytes.")(scope, receive, send)
            return
        await self._app(scope, _replayed(body, receive), send)


def _two_lengths() -> Response:
    return _refused(400, "A request has one length.", {"connection": "close"})


def _is_ambiguous(scope: Scope) -> bool:
    """Whether a proxy in front may take another end of the request for the right one, and smuggle a second one in."""
    names = [name for name, _ in scope["headers"]]
    return b"transfer-encoding" in names and b"content-length" in names


async def _whole_body(receive: Receive) -> bytes | None:
    """The body; `None` when it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)  # the client disconnected; the endpoint will notice
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_AT_MOST:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    left = [body]

    async def again() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return again


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            names = {name for name, _ in headers}
            headers += [each for each in (*HEADERS, _NO_STORE) if each[0] not in names]
            message = {**message, "headers": headers}
        await send(message)

    return sent


def _host(given: Iterable[str]) -> str | None:
    """The one Host of a request without its port, or `None`."""
    hosts = list(given)
    found = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    return None if found is None else found[1]


def shows(headers: Headers, token: bytes) -> bool:
    """Whether the request carries the token, as a Bearer token or as a browser's Basic password."""
    given = _credentials(headers)
    return given is not None and hmac.compare_digest(digest(given[1]), token)


def name_in(headers: Headers) -> str:
    """The name that a browser's user has given beside the token, unless it is the token; nobody has verified it."""
    name, token = _credentials(headers) or ("", "")
    return "" if token and token in name else name


def _credentials(headers: Headers) -> tuple[str, str] | None:
    """Name and token; a Bearer token has no name."""
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return "", given
    if scheme.lower() != "basic":
        return None
    try:
        name, _, token = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return name, token


def digest(text: str) -> bytes:
    """A digest to compare, so that timing reveals neither the length nor a prefix of the token."""
    return hashlib.sha256(text.encode()).digest()


def _refused(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{sentence}\n", status, headers)
