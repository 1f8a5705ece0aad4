"""Asks an HTTP proxy for a tunnel to the server."""

from __future__ import annotations

from collections.abc import Callable

from engine.transport.any_reply import FramedResponse, Stream, Tap
from engine.transport.framing import BUFFER, HEAD_LIMIT, WireError
from engine.transport.route import Route


def open_tunnel(route: Route, send: Callable[[bytes], None], receive: Callable[[memoryview], int]) -> None:
    """Ask the proxy of the route, over a connection to it. Raises `WireError` when it refuses."""
    host = f"[{route.base.host}]" if ":" in route.base.host else route.base.host
    target = f"{host}:{route.base.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"User-Agent: {route.agent}"]
    if route.proxy is not None and route.proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {route.proxy.authorization}")
    send("\r\n".join([*lines, "", ""]).encode("ascii"))
    tap = Tap(receive)
    tap.open(HEAD_LIMIT)
    stream = Stream(tap, BUFFER)
    reply = FramedResponse(stream)
    reply.begin()
    if reply.status == 407:
        raise WireError("the proxy wants a valid user name and password")
    if not 200 <= reply.status < 300:
        raise WireError(f"the proxy refused with status {reply.status}")
    if tap.has_more(stream):
        raise WireError("the proxy sent unexpected data")
