"""What a stranger, a strange page or a slow client can do to the web face: nothing."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from engine.errors import ConfigError
from engine.values import Secret
from engine.web.options import WebOptions
from engine.web.protocol import PatientProtocol
from engine.web.security import BODY_AT_MOST, BodyLimit, Guard
from tests.stopwatch import PATIENCE

TOKEN = "a-token-of-some-length"


def answer(options: WebOptions, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, dict[str, str]]:
    """Status and headers of what comes back through the guard."""
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("inside")(scope, receive, send)

    async def send(message: Any) -> None:
        told.append(message)

    named = {"host": "localhost:8710", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http", "method": method, "path": path, "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }  # fmt: skip
    asyncio.run(Guard(app, options)(scope, None, send))  # type: ignore[arg-type]
    return told[0]["status"], {name.decode(): value.decode() for name, value in told[0]["headers"]}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:8710", 200), ("127.0.0.1:1", 200), ("[::1]:8710", 200),
        ("engine.example:443", 200), ("evil.example", 421), ("localhost.evil.example", 421), ("", 421),
        ("127.0.0.1.evil.example:8710", 421), ("[::1].evil.example", 421), ("[::1]:8710:", 421),
    ],
)  # fmt: skip
def test_only_its_own_names_are_answered(host: str, status: int) -> None:
    """DNS rebinding: the attacker's name leads here, and is not ours."""
    assert answer(WebOptions(names=("engine.example",)), host=host)[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://localhost:8710"}, 200),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[bad"}, 403),
    ],
)
def test_requests_from_other_sites_are_refused(headers: dict[str, str], status: int) -> None:
    for path in ("/", "/api/state", "/0/private/Balance"):
        assert answer(WebOptions(), path, **headers)[0] == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_is_changed_through_the_web(method: str) -> None:
    assert answer(WebOptions(), "/", method)[0] == 405
    assert answer(WebOptions(), "/0/private/Balance", method)[0] == (200 if method == "POST" else 405)


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("", 401), ("Bearer ", 401), ("Bearer a-token-of-some-lengthx", 401), (f"Bearer {TOKEN}", 200),
        (f"Basic {TOKEN}", 401), ("Basic OmEtdG9rZW4tb2Ytc29tZS1sZW5ndGg=", 200), ("Basic !!!", 401),
        (f"Digest {TOKEN}", 401), (f"bearer {TOKEN}", 200),
    ],
)  # fmt: skip
def test_a_configured_token_is_required(given: str, status: int) -> None:
    options = WebOptions(token=Secret(TOKEN))
    assert answer(options, "/metrics", authorization=given)[0] == status
    assert answer(options, "/0/private/Balance", "POST", authorization=given)[0] == 200, "it is signed instead"
    assert answer(options, "/healthz", authorization=given)[0] == 200, "a probe has no token"


def test_every_answer_has_the_headers() -> None:
    for headers in (answer(WebOptions())[1], answer(WebOptions(), host="evil.example")[1]):
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "options",
    [
        {"host": "0.0.0.0"},
        {"host": "::"},
        {"host": "192.168.1.2", "plain": True},
        {"host": "0.0.0.0", "token": Secret(TOKEN)},
        {"host": "example.org", "token": Secret(TOKEN)},
        {"token": Secret("short")},
    ],
)
def test_off_loopback_token_and_tls_are_mandatory(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        WebOptions(**options)
    WebOptions(host="0.0.0.0", token=Secret(TOKEN), plain=True)


class _Hasty(PatientProtocol):
    header_patience = 0.3
    connections_at_most = 5


@contextmanager
def running() -> Iterator[int]:
    """The protocol and the body's limit on a real socket, in less patient hands; gives the port."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await Request(scope, receive).body()
        await Response(str(len(body)))(scope, receive, send)

    class Server(uvicorn.Server):
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        BodyLimit(app, patience=0.3), http=_Hasty, ws="none", lifespan="off", loop="asyncio", log_config=None
    )
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


def _said(port: int, text: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(text)
        try:
            return client.makefile("rb").read()
        except ConnectionResetError:
            return b"reset"


def test_slow_and_large_requests_are_ended() -> None:
    with running() as port:
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        assert _said(port, b"POST / HTTP/1.1\r\nHost: loc") in (b"reset", b""), "headers that never end"
        assert _said(port, b"") in (b"reset", b""), "nothing at all"
        assert b" 408 " in _said(port, head + b"Content-Length: 10\r\n\r\nhalf").splitlines()[0]
        assert b" 413 " in _said(port, head + b"Content-Length: 70000\r\n\r\n" + b"x" * 70_000).splitlines()[0]
        chunk = b"%x\r\n%b\r\n" % (BODY_AT_MOST, b"x" * BODY_AT_MOST)
        told = _said(port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"1\r\nx\r\n0\r\n\r\n")
        assert told == b"reset" or b" 413 " in told.splitlines()[0], "no length was promised"
        good = head + b"Content-Length: 10\r\n\r\n0123456789"
        assert _said(port, good).endswith(b"10")


def test_connections_over_the_limit_are_dropped_and_the_others_are_served() -> None:
    with running() as port, ExitStack() as clients:

        def client() -> socket.socket:
            return clients.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))

        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        first = client()
        answers = first.makefile("rb")
        first.sendall(request)
        assert b"200" in answers.readline()
        many = [client() for _ in range(20)]
        assert all(map(_is_ended, many)), "each was too many, or sent nothing"
        first.sendall(request)
        assert any(b"200" in line for line in answers)


def _is_ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("inner", [False, True])
def test_a_request_of_two_lengths_is_refused_and_hung_up_on(inner: bool) -> None:
    """Behind a proxy that counts by the other one, what follows would be somebody's second request."""
    lengths = {"content-length": "5", "transfer-encoding": "chunked"}
    if inner:
        status, headers = _through_body_limit(lengths)
    else:
        status, headers = answer(WebOptions(), path="/0/private/Balance", method="POST", **lengths)
    assert (status, headers["connection"]) == (400, "close")


def _through_body_limit(headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    scope = {"type": "http", "method": "GET", "path": "/healthz",
             "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}  # fmt: skip
    asyncio.run(BodyLimit(PlainTextResponse("inside"))(scope, None, send))  # type: ignore[arg-type]
    return told[0]["status"], {name.decode(): value.decode() for name, value in told[0]["headers"]}
