"""What is below the gateway's paths is the gateway's, by the methods that Kraken takes, and everything else a page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message

from engine.web.gateway.gateway import Gateway
from engine.web.gateway.paths import GatewayPaths


class Told(Gateway):
    """Says what it was asked."""

    def __init__(self) -> None:
        pass

    async def private(self, request: Request, name: str) -> Response:
        return PlainTextResponse(f"private {name}")

    async def public(self, request: Request, name: str) -> Response:
        return PlainTextResponse(f"public {name}")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("POST", "/0/private/Balance", 200, "private Balance"),
        ("POST", "/0/private/Earn/Allocate", 200, "private Earn/Allocate"),
        ("POST", "/0/private/", 200, "private "),
        ("GET", "/0/private/Balance", 405, "Method Not Allowed"),
        ("DELETE", "/0/private/Balance", 405, "Method Not Allowed"),
        ("GET", "/0/public/Time", 200, "public Time"),
        ("POST", "/0/public/Time", 200, "public Time"),
        ("PUT", "/0/public/Time", 405, "Method Not Allowed"),
        ("GET", "/0/other", 200, "a page"),
        ("POST", "/0/privateBalance", 200, "a page"),
        ("GET", "/", 200, "a page"),
    ],
)
def test_each_path_and_method_has_its_place(method: str, path: str, status: int, text: str) -> None:
    sent: list[Any] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "headers": []}
    asyncio.run(GatewayPaths(Told(), PlainTextResponse("a page"))(scope, receive, send))
    assert (sent[0]["status"], sent[1]["body"].decode()) == (status, text)
