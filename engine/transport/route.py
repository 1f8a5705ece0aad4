"""How a server is reached: what all connections to it share."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from engine.transport.address import Base, Proxy
from engine.transport.resolver import Resolver
from engine.values import Clock


@dataclass(frozen=True)
class Route:
    """What all connections to one server share."""

    base: Base
    tls: ssl.SSLContext | None
    proxy: Proxy | None
    resolver: Resolver
    clock: Clock
    limit: int
    agent: str

    @property
    def name(self) -> str:
        """For a person: the server, and the proxy on the way to it."""
        server = f"{self.base.host}:{self.base.port}"
        return server if self.proxy is None else f"{server} through the proxy {self.proxy.host}:{self.proxy.port}"
