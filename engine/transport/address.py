"""Where the engine may connect to: the rules for its URL and for its proxy. Pure, no I/O."""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from engine.errors import ConfigError
from engine.values import Secret, Settings
from engine.values.dataclass import dataclass

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_IPV4_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
_IPV6_LOOPBACK = ipaddress.ip_address("::1")
_DEFAULT_PORT = {"https": 443, "http": 80}


class Base(NamedTuple):
    """A checked base URL. `host` is lower case and has no brackets."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def netloc(self) -> str:
        """What goes into the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORT[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.netloc}"


@dataclass(frozen=True)
class Proxy:
    """A checked http proxy. `authorization` is the header value for it, and shows up in no repr."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


def is_loopback(host: str) -> bool:
    """Whether the name or address means this machine, without asking a resolver."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address == _IPV6_LOOPBACK or (isinstance(address, ipaddress.IPv4Address) and address in _IPV4_LOOPBACK)


def check_url(url: str, settings: Settings) -> Base:
    """The parts of a base URL that the engine may use.

    https goes to ``*.kraken.com`` only, unless `settings.any_host`; plain http goes to this machine only, always.
    Raises `ConfigError`, whose message repeats no part that may hold a password.
    """
    base = _base(url, "The URL")
    host = base.host
    if not base.is_tls and not is_loopback(host):
        raise ConfigError(
            f"Plain http would show everything on the way to {host}: use https, "
            "or http to this machine (127.0.0.1, ::1, localhost)."
        )
    if base.is_tls and not host.endswith(".kraken.com") and not settings.any_host:
        raise ConfigError(
            f"{host} is not one of Kraken's hosts (*.kraken.com): correct the URL, "
            "or set any_host if keys may really be used there ([settings] any_host = true in the configuration file)."
        )
    return base


def check_node_url(url: str, *, plain: bool = False) -> Base:
    """The parts of the URL of another node of the cluster, to which the cluster's token may be sent.

    That is https, or http to this machine; `plain` also allows http elsewhere, where a proxy or the network itself
    encrypts. Raises `ConfigError`, whose message repeats no part that may hold a password.
    """
    base = _base(url, "A node's URL")
    if not (plain or base.is_tls or is_loopback(base.host)):
        raise ConfigError(
            f"Plain http would show the cluster's token on the way to {base.host}: give that node an https URL, or "
            "serve with --plain-http where a proxy or the network itself encrypts."
        )
    return base


def check_proxy(url: str | Secret | None) -> Proxy | None:
    """The proxy to use, or `None`. Raises `ConfigError`; its message contains no credentials."""
    if url is None:
        return None
    url = url.reveal() if isinstance(url, Secret) else url
    parts = _split(url, "The proxy")
    if parts.scheme != "http":
        raise ConfigError("The proxy has to be given as http://host:port.")
    if "?" in url or "#" in url or parts.path not in ("", "/"):
        raise ConfigError("The proxy has to be given as http://host:port and nothing after that.")
    host, port = _host_and_port(parts, "The proxy")
    if port is None:
        raise ConfigError(f"The proxy {host} has no port: give it as http://{host}:port.")
    credentials, at, _ = parts.netloc.rpartition("@")
    if not at:
        return Proxy(host, port)
    user, _, password = credentials.partition(":")
    pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
    return Proxy(host, port, "Basic " + base64.b64encode(pair).decode())


def _base(url: str, what: str) -> Base:
    """The parts of a URL of scheme, host and port, and nothing else."""
    parts = _split(url, what)
    if parts.scheme not in _DEFAULT_PORT:
        raise ConfigError(f"{what} has to begin with https://, such as https://api.kraken.com.")
    if "@" in parts.netloc:
        raise ConfigError(f"{what} must not hold a user name or password: take it out.")
    if "?" in url or "#" in url:
        raise ConfigError(f"{what} must not have a query or a fragment: end it after the host.")
    if parts.path not in ("", "/"):
        raise ConfigError(f"{what} must not have a path: the engine adds /0/… itself.")
    host, port = _host_and_port(parts, what)
    return Base(parts.scheme, host, port or _DEFAULT_PORT[parts.scheme])


def _split(url: str, what: str) -> SplitResult:
    # urlsplit silently drops newlines and tabs, so it would check a different URL.
    if not isinstance(url, str) or not re.fullmatch(r"[!-\[\]-~]+", url):
        raise ConfigError(f"{what} has to be plain text without spaces and backslashes.")
    try:
        return urlsplit(url)
    except ValueError:
        raise ConfigError(f"{what} cannot be read: write it as scheme://host:port.") from None


def _host_and_port(parts: SplitResult, what: str) -> tuple[str, int | None]:
    host = parts.hostname or ""
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise ConfigError(f"{what} has an invalid port: use a number from 1 to 65535.")
    try:
        host = ipaddress.ip_address(host).compressed
    except ValueError:
        if len(host) > 253 or not _NAME.fullmatch(host):
            raise ConfigError(f"{what} has no valid host name.") from None
    if "%" in host:
        raise ConfigError(f"{what} has an address with a zone, which is not supported.")
    return host, port
