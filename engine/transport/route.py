"""How a server is reached: what all connections to it share."""

from __future__ import annotations

import ssl

from engine.transport.address import Base, Proxy, check_proxy, check_url, is_loopback
from engine.transport.resolver import Resolver
from engine.transport.tls import tls_context
from engine.values import Clock, Settings
from engine.values.dataclass import dataclass
from engine.version import __version__


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

    @classmethod
    def to(cls, url: str, settings: Settings, clock: Clock, limit: int, resolver: Resolver) -> Route:
        """The route to the server of that URL. Raises `ConfigError` for a URL, proxy or CA file that cannot be used."""
        base = check_url(url, settings)
        proxy = check_proxy(settings.proxy)
        return cls(
            base=base,
            tls=tls_context(settings.ca_file) if base.is_tls else None,
            proxy=None if is_loopback(base.host) else proxy,
            resolver=resolver,
            clock=clock,
            limit=limit,
            agent=f"kraken-engine/{__version__}",
        )
