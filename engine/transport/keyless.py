"""A requests Session that sends over one of our connections."""

from __future__ import annotations

import io
from typing import Any

import requests
from requests.adapters import BaseAdapter

from engine.transport.framing import KEPT
from engine.transport.wire import Wire


def session_over(wire: Wire, constant: str) -> requests.Session:
    """A session whose requests, without a key, go over `wire`, each with the header lines `constant`."""
    session = requests.Session()
    session.trust_env = False
    session.headers.clear()
    adapter = _Adapter(wire, constant)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def prepared(session: requests.Session, url: str) -> requests.PreparedRequest:
    """A request to get `url`, which the session can send."""
    return session.prepare_request(requests.Request("GET", url))


class _Adapter(BaseAdapter):
    """Sends a prepared request without headers or a body of its own over our connection.

    The other arguments of a Session are ignored: TLS is verified as the wire was configured, and the time limit is the
    deadline of the exchange.
    """

    def __init__(self, wire: Wire, constant: str) -> None:
        super().__init__()
        self._wire, self._constant = wire, constant

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
        head = f"{method} {request.path_url} HTTP/1.1\r\n{self._constant}\r\n"
        reply = self._wire.exchange(method, head.encode("ascii"))
        response = requests.Response()
        response.status_code = reply.status
        response.request = request
        response.url = request.url or ""
        response.raw = io.BytesIO(reply.body)
        # Only the headers that are used.
        response.headers.update(
            {name: value for name, value in zip(KEPT, reply[2:], strict=True) if value is not None}
        )
        return response

    def close(self) -> None:
        """Nothing of its own to close."""
