"""A requests Session over one connection of our own, with an outcome for every failure.

Guarantees:
- Every failure ends as `CallNotSent` (or a class below it) or `CallUnknown`. Which of the two is decided by
  whether a byte of the request may have left, not by the kind of exception. What is raised names host and
  cause, and never shows a header or a body.
- An exchange ends by its deadline, in all: name, connect, proxy, TLS, sending, headers and body.
- Nothing is sent twice. No redirect is followed, no cookie is kept, nothing is taken from the environment.
- TLS is always verified; there is no switch to turn that off.
"""

from __future__ import annotations

import io
import re
import ssl
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from engine.errors import CallError, ConfigError, DeadlinePassed, EngineStopped
from engine.transport.address import check_proxy, check_url, is_loopback
from engine.transport.failures import failure
from engine.transport.framing import WireError
from engine.transport.resolver import Resolver
from engine.transport.route import Route
from engine.transport.tls_socket import TlsSocket
from engine.transport.wire import LONGEST_WAIT, Wire, WireClosed
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Clock, Settings
from engine.version import __version__

LIMIT = 32 * 1024 * 1024

_PATH = re.compile(r"/[!-\"$->@-~]*")
_QUERY = re.compile(r"[!-\"$-~]*")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")
_OURS = frozenset(
    (
        *("accept", "accept-encoding", "connection", "content-length", "cookie", "expect", "host"),
        *("proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent"),
    )
)
_USUAL = frozenset(("API-Key", "API-Sign", "Content-Type"))


class HttpReply(NamedTuple):
    """A response, whatever its status; the last three fields are headers, unchanged."""

    status: int
    body: bytes
    date: str | None
    content_type: str | None
    retry_after: str | None = None


class _Exchange(NamedTuple):
    """What a caller wants of an exchange."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes | None
    deadline: float
    token: object


class Transport:
    """Carries requests to Kraken over one keep-alive connection, one at a time.

    Thread-safe: a second caller waits, within its deadline. `cut` and `close` do not wait.

    `limit` is the largest body of a reply in bytes. `resolver` may be shared with other transports.
    Raises `ConfigError` when the URL, or the proxy or CA file of the settings, cannot be used.
    """

    def __init__(
        self,
        url: str = KRAKEN_URL,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        *,
        clock: Clock = SYSTEM_CLOCK,
        limit: int = LIMIT,
        resolver: Resolver | None = None,
    ) -> None:
        self._start(_route(url, settings, clock, limit, resolver or Resolver()))

    def _start(self, route: Route) -> None:
        self._route = route
        self._base = route.base.url
        self._wire = Wire(route)
        self._turn = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        adapter = _Adapter(self._wire)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)
        # Prepared once: a PreparedRequest is mutable by its documentation, and building one costs half a call.
        self._prepared = {
            method: self._session.prepare_request(requests.Request(method, self._base))
            for method in ("GET", "POST")
        }

    def sibling(self) -> Transport:
        """Another transport to the same place, which shares the TLS set-up and the resolver."""
        twin = type(self).__new__(type(self))
        twin._start(self._route)
        return twin

    def post(
        self,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        deadline: float,
        token: object = None,
    ) -> HttpReply:
        """Send `body` unchanged and return the reply, whatever its status.

        `deadline` is a value of the clock's `monotonic()`. `token`, any object, identifies this exchange for `cut`.

        Raises `DeadlinePassed`, `ConnectFailed`, `EngineStopped` or plain `CallNotSent` when nothing was sent,
        else `CallUnknown`. None of them has `account` and `endpoint` yet.
        """
        return self._exchange(_Exchange("POST", path, "", headers, body, deadline, token))

    def get(self, path: str, query: str = "", *, deadline: float, token: object = None) -> HttpReply:
        """Get `path?query`; otherwise like `post`."""
        return self._exchange(_Exchange("GET", path, query, {}, None, deadline, token))

    def cut(self, token: object = None) -> bool:
        """End the exchange under way at once, at whatever stage; False when there is none.

        With a `token`, only the exchange that was started with that object: a later one is never hit. The
        exchange then raises `CallNotSent` or `CallUnknown`, or still returns a reply that was already in.
        """
        return self._wire.cut(token)

    def close(self) -> None:
        """Close for good, from any thread. An exchange under way is cut; later ones raise `EngineStopped`."""
        self._session.close()

    def _exchange(self, wanted: _Exchange) -> HttpReply:
        patience = min(wanted.deadline - self._route.clock.monotonic(), LONGEST_WAIT)
        if not patience > 0 or not self._turn.acquire(timeout=patience):
            raise DeadlinePassed("The time of the call was over before it could be sent.")
        try:
            outcome = self._attempt(wanted)
        finally:
            self._turn.release()
        if isinstance(outcome, CallError):
            # Raised here, outside the handler, so that it carries no foreign exception, whose text may repeat what was
            # sent.
            raise outcome
        return outcome

    def _attempt(self, wanted: _Exchange) -> HttpReply | CallError:
        wire = self._wire
        prepared = self._prepared[wanted.method]
        try:
            wire.begin(wanted.token, wanted.deadline)
        except WireClosed:
            return EngineStopped("The connection to Kraken is closed: the engine is stopping.")
        try:
            prepared.url = self._base + _checked_target(wanted.path, wanted.query)
            prepared.headers = _checked_headers(wanted.headers)
            prepared.body = wanted.body
            # Not Session.send, whose redirects, cookies and hooks take longer than the exchange itself.
            response = self._session.get_adapter(prepared.url).send(prepared)
            return HttpReply(
                response.status_code,
                response.raw.read(),
                response.headers.get("Date"),
                response.headers.get("Content-Type"),
                response.headers.get("Retry-After"),
            )
        except Exception as error:  # noqa: BLE001 - every failure has an outcome
            return failure(error, wire)
        finally:
            wire.end()
            prepared.headers = CaseInsensitiveDict()  # the key and the signature are not kept
            prepared.body = None


class TransportPool:
    """Transports to one server for parallel calls from any number of threads.

    One connection for each call under way; up to `keep` of them stay open for later calls. Arguments and errors
    are those of `Transport`.
    """

    def __init__(
        self,
        url: str = KRAKEN_URL,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        *,
        clock: Clock = SYSTEM_CLOCK,
        limit: int = LIMIT,
        resolver: Resolver | None = None,
        keep: int = 4,
    ) -> None:
        self._first = Transport(url, settings, clock=clock, limit=limit, resolver=resolver)
        self._keep = keep
        self._lock = threading.Lock()
        self._idle = [self._first]
        self._lent: set[Transport] = set()
        self._is_closed = False

    def get(self, path: str, query: str = "", *, deadline: float) -> HttpReply:
        """Get `path?query` over a connection of its own."""
        transport = self._borrow()
        try:
            return transport.get(path, query, deadline=deadline)
        finally:
            self._put_back(transport)

    def close(self) -> None:
        """Close for good, from any thread. Exchanges under way are cut; later ones raise `EngineStopped`."""
        with self._lock:
            self._is_closed = True
            transports = [*self._idle, *self._lent]
            self._idle.clear()
        for transport in transports:
            transport.close()

    def _borrow(self) -> Transport:
        with self._lock:
            if self._is_closed:
                raise EngineStopped("The connections to Kraken are closed: the engine is stopping.")
            transport = self._idle.pop() if self._idle else self._first.sibling()
            self._lent.add(transport)
            return transport

    def _put_back(self, transport: Transport) -> None:
        with self._lock:
            self._lent.discard(transport)
            is_kept = not self._is_closed and len(self._idle) < self._keep
            if is_kept:
                self._idle.append(transport)
        if not is_kept:
            transport.close()


class _Adapter(BaseAdapter):
    """Carries a prepared request over the wire.

    The other arguments of a Session are ignored: TLS is verified as the wire was configured, and the time limit is the
    deadline of the exchange.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        method = request.method or ""
        body = request.body
        if body is not None and not isinstance(body, bytes):
            raise WireError("the body has to be bytes")
        reply = self._wire.exchange(method, request.path_url, request.headers.items(), body)
        response = requests.Response()
        response.status_code = reply.status
        response.request = request
        response.url = request.url or ""
        response.raw = io.BytesIO(reply.body)
        # Only the headers that are used.
        for name in ("Date", "Content-Type", "Retry-After"):
            value = reply.headers.get(name)
            if value is not None:
                response.headers[name] = value
        return response

    def close(self) -> None:
        self._wire.close()


def _route(url: str, settings: Settings, clock: Clock, limit: int, resolver: Resolver) -> Route:
    base = check_url(url, settings)
    proxy = check_proxy(settings.proxy)
    tls = tls_context(settings.ca_file) if base.is_tls else None
    return Route(
        base=base,
        tls=tls,
        proxy=None if is_loopback(base.host) else proxy,
        resolver=resolver,
        clock=clock,
        limit=limit,
        agent=f"kraken-engine/{__version__}",
    )


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that verifies certificate and host name. Raises `ConfigError` for a CA file that cannot be used.

    Made once per route: reading the certificates takes 20 ms.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.sslsocket_class = TlsSocket
    file = DEFAULT_CA_BUNDLE_PATH if ca_file is None else ca_file
    try:
        context.load_verify_locations(file)
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(
            f"The CA file {file!r} cannot be used ({reason}): it has to be a PEM file of certificates "
            "that can be read. Correct the setting ca_file, or leave it out for the usual ones."
        ) from None
    return context


def _checked_target(path: str, query: str) -> str:
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        raise WireError("its path or query holds characters that cannot be sent as they are")
    return f"{path}?{query}" if query else path


def _checked_headers(headers: Mapping[str, str]) -> CaseInsensitiveDict[str]:
    """The headers as requests keeps them. Our own sentences, since those of requests repeat the value."""
    checked: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers.items():
        if name not in _USUAL:
            _check_name(name)
        if not _HEADER_VALUE.fullmatch(value):
            raise WireError(f"the header {name} holds characters that cannot be sent")
        checked[name] = value
    return checked


def _check_name(name: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise WireError("a header has a name that cannot be sent")
    if name.lower() in _OURS:
        raise WireError(f"the header {name} is the transport's own")
