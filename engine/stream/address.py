"""Where push may connect to: the rules for its URL, the same as for REST. Pure, no I/O."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from engine.errors import ConfigError
from engine.transport.address import check_url, is_loopback
from engine.values import Settings

_REST = {"wss": "https", "ws": "http"}


class StreamAddress(NamedTuple):
    """A checked stream URL."""

    url: str
    host: str
    port: int
    is_tls: bool

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, where no proxy is needed."""
        return is_loopback(self.host)


def check_ws_urls(settings: Settings) -> tuple[StreamAddress, StreamAddress]:
    """The parts of `Settings.ws_url` and of `Settings.public_ws_url`. Raises `ConfigError`."""
    public = "ws_url" if settings.ws_public_url is None else "ws_public_url"
    return check_ws_url(settings.ws_url, "ws_url", settings), check_ws_url(settings.public_ws_url, public, settings)


def check_ws_url(url: str, name: str, settings: Settings) -> StreamAddress:
    """The parts of a stream URL, which is the setting of this name.

    wss goes to ``*.kraken.com`` only, unless `settings.any_host`; plain ws goes to this machine only, always. Raises
    `ConfigError`, whose message repeats no part that may hold a password.
    """
    scheme, colon, rest = url.partition("://")
    if scheme not in _REST or not colon:
        raise ConfigError(f"The setting {name} has to begin with wss://, such as wss://ws-auth.kraken.com/v2.")
    host, slash, path = rest.partition("/")
    try:
        base = check_url(f"{_REST[scheme]}://{host}", settings)
    except ConfigError as error:
        wrong = str(error).replace("The URL", "It").replace("https", "wss").replace("http", "ws")
        raise ConfigError(f"The setting {name} cannot be used. {wrong}") from None
    if any(each in path for each in "?#@") or not path.isascii() or not (path.isprintable() and " " not in path):
        raise ConfigError(f"The setting {name} must not have a query or a fragment: end it after the path.")
    checked = f"{scheme}://{host}{slash}{path}"
    return StreamAddress(checked, base.host, urlsplit(checked).port or base.port, base.is_tls)
