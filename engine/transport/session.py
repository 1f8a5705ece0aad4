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

import functools
import re
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from engine.errors import CallError, DeadlinePassed, EngineStopped
from engine.transport.failures import failure
from engine.transport.framing import KEPT, HttpReply, WireError
from engine.transport.resolver import Resolver
from engine.transport.route import Route
from engine.transport.wire import LONGEST_WAIT, Wire, WireClosed
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Clock, Settings

if TYPE_CHECKING:
    import requests

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
        self._start(Route.to(url, settings, clock, limit, resolver or Resolver()))

    def _start(self, route: Route) -> None:
        self._route = route
        self._wire = Wire(route)
        self._turn = threading.Lock()
        self._constant = (
            f"Host: {route.base.netloc}\r\nUser-Agent: {route.agent}\r\n"
            "Accept: application/json\r\nAccept-Encoding: identity\r\n"
        )

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
        return self._exchange(deadline, token, self._post, path, headers, body)

    def get(self, path: str, query: str = "", *, deadline: float, token: object = None) -> HttpReply:
        """Get `path?query`, by requests; otherwise like `post`."""
        return self._exchange(deadline, token, self._get, path, query, is_read=True)

    def bare_get(self, path: str, *, deadline: float, token: object = None) -> HttpReply:
        """Get `path` as `post` sends: without requests, whose import takes longer than a command's whole work."""
        return self._exchange(deadline, token, self._bare_get, path, is_read=True)

    def cut(self, token: object = None) -> bool:
        """End the exchange under way at once, at whatever stage; False when there is none.

        With a `token`, only the exchange that was started with that object: a later one is never hit. The
        exchange then raises `CallNotSent` or `CallUnknown`, or still returns a reply that was already in.
        """
        return self._wire.cut(token)

    @functools.cached_property
    def _session(self) -> requests.Session:
        """For requests without a key. Made by the first one: importing requests takes as long as all of the engine."""
        from engine.transport.keyless import session_over  # noqa: PLC0415

        return session_over(self._wire, self._constant)

    @functools.cached_property
    def _prepared(self) -> requests.PreparedRequest:
        """Prepared once: a PreparedRequest is mutable by its documentation, and building one costs half a call."""
        from engine.transport.keyless import prepared  # noqa: PLC0415

        return prepared(self._session, self._route.base.url)

    def close(self) -> None:
        """Close for good, from any thread. An exchange under way is cut; later ones raise `EngineStopped`."""
        self._wire.close()

    def _exchange(
        self, deadline: float, token: object, act: Callable[..., HttpReply], *wanted: Any, is_read: bool = False
    ) -> HttpReply:
        patience = min(deadline - self._route.clock.monotonic(), LONGEST_WAIT)
        if not patience > 0 or not self._turn.acquire(timeout=patience):
            raise DeadlinePassed("The time of the call was over before it could be sent.")
        wire = self._wire
        try:
            wire.begin(token, deadline)
            return act(*wanted)
        except WireClosed:
            outcome: CallError = EngineStopped("The connection to Kraken is closed: the engine is stopping.")
        except Exception as error:  # noqa: BLE001 - every failure has an outcome
            outcome = failure(error, wire, is_read=is_read)
        finally:
            wire.end()
            self._turn.release()
        raise outcome  # outside the handler, so that it carries no foreign exception: its text may repeat what was sent

    def _post(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Write a call as it was signed, and read its reply."""
        if not isinstance(body, bytes):
            raise WireError("the body has to be bytes")
        lines = f"POST {_checked_target(path)} HTTP/1.1\r\n{self._constant}"
        for name, value in headers.items():
            if name not in _USUAL:
                _check_name(name)
            if not _HEADER_VALUE.fullmatch(value):
                raise WireError(f"the header {name} holds characters that cannot be sent")
            lines += f"{name}: {value}\r\n"
        head = f"{lines}Content-Length: {len(body)}\r\n\r\n"
        return self._wire.exchange("POST", head.encode("ascii") + body)

    def _bare_get(self, path: str) -> HttpReply:
        head = f"GET {_checked_target(path)} HTTP/1.1\r\n{self._constant}\r\n"
        return self._wire.exchange("GET", head.encode("ascii"))

    def _get(self, path: str, query: str) -> HttpReply:
        """A request without a key, by requests. Not `Session.send`, whose redirects, cookies and hooks take longer than
        the exchange itself."""
        self._prepared.url = self._route.base.url + _checked_target(path, query)
        response = self._session.get_adapter(self._prepared.url).send(self._prepared)
        return HttpReply(response.status_code, response.raw.read(), *map(response.headers.get, KEPT))


@functools.lru_cache(maxsize=256)
def _checked_target(path: str, query: str = "") -> str:
    if not _PATH.fullmatch(path) or not _QUERY.fullmatch(query):
        raise WireError("its path or query holds characters that cannot be sent as they are")
    return f"{path}?{query}" if query else path


def _check_name(name: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise WireError("a header has a name that cannot be sent")
    if name.lower() in _OURS:
        raise WireError(f"the header {name} is the transport's own")
