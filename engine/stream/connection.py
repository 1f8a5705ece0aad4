"""One WebSocket, by the library websockets: opened, read as texts, closed. Nothing about Kraken.

The library writes what it sends to its logger; the token is in that, so it gets one that lets nothing through. It would
follow redirects, to hosts that nobody has named: it may not. It takes a proxy from the environment: only the settings'
counts.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import field
from typing import NamedTuple

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from engine.rules.stream.subscription import Refusal
from engine.stream.address import StreamAddress, check_ws_urls
from engine.transport import tls_context
from engine.values import Secret, Settings
from engine.values.dataclass import dataclass
from engine.version import __version__

OPEN_WITHIN = 10.0  # seconds for name, proxy, TLS and upgrade
CLOSE_WITHIN = 0.5  # seconds for the server's part of the closing
LONGEST = 8 << 20  # bytes of a message: a snapshot of some thousand orders
_POLICY = 1008
_REFUSALS = (401, 403)

_SILENT = logging.Logger("engine.stream", logging.CRITICAL + 1)  # not one that a configuration of the host could open


class Lost(Exception):
    """There is no connection, or none any more; the text says why."""


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@dataclass(frozen=True)
class StreamEndpoint:
    """Where and how to connect."""

    url: str
    host: str
    port: int
    tls: ssl.SSLContext | None = field(repr=False)
    proxy: Secret | None = field(repr=False)

    @classmethod
    def of(cls, address: StreamAddress, settings: Settings) -> StreamEndpoint:
        """By the settings. Raises `ConfigError` for a CA file that cannot be used."""
        proxy = None if address.is_here else settings.proxy
        assert not isinstance(proxy, str)
        tls = tls_context(settings.ca_file) if address.is_tls else None
        return cls(address.url, address.host, address.port, tls, proxy)


class StreamEndpoints(NamedTuple):
    """Those of an engine: for the accounts, and for what is public."""

    private: StreamEndpoint
    public: StreamEndpoint

    @classmethod
    def of(cls, settings: Settings) -> StreamEndpoints:
        """By the settings. Raises `ConfigError`."""
        private, public = check_ws_urls(settings)
        return cls(StreamEndpoint.of(private, settings), StreamEndpoint.of(public, settings))


class Connection:
    """An open socket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        """Send a message. Raises `Lost`, or `Refusal`."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as closed:
            raise _why(closed) from None

    async def next(self, seconds: float) -> str | bytes | None:
        """The next message; `None` when there is none in that time. Raises `Lost`, or `Refusal`."""
        try:
            async with asyncio.timeout(seconds):
                return await self._socket.recv()
        except TimeoutError:
            return None
        except ConnectionClosed as closed:
            raise _why(closed) from None


@asynccontextmanager
async def connected(endpoint: StreamEndpoint) -> AsyncIterator[Connection]:
    """An open connection inside the block, closed after it. Raises `Lost`, or `Refusal`."""
    socket = await _opened(endpoint)
    try:
        yield Connection(socket)
    finally:
        with suppress(OSError, WebSocketException):
            await socket.close()


async def _opened(endpoint: StreamEndpoint) -> ClientConnection:
    try:
        return await _Connect(
            endpoint.url, logger=_SILENT, open_timeout=OPEN_WITHIN, close_timeout=CLOSE_WITHIN, ping_interval=None,
            compression=None, max_size=LONGEST, user_agent_header=f"kraken-engine/{__version__}",
            proxy=None if endpoint.proxy is None else endpoint.proxy.reveal(), ssl=endpoint.tls,
        )  # fmt: skip
    except InvalidStatus as refused:
        status = refused.response.status_code
        if status in _REFUSALS:
            raise Refusal(f"HTTP {status}") from None
        raise Lost(f"the server answered the upgrade with HTTP {status}") from None
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Lost(f"it could not connect ({reason})") from None


def _why(closed: ConnectionClosed) -> Exception:
    code = closed.rcvd.code if closed.rcvd is not None else None
    if code == _POLICY:
        return Refusal("close code 1008")
    return Lost("the connection was cut" if code is None else f"the server closed it (code {code})")
