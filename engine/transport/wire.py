"""One connection to one server: HTTP/1.1 under a total deadline, cut from any thread.

Guarantees:
- Every wait (name, connect, proxy, TLS, send, headers, body) ends at the deadline of the exchange.
- `cut` ends the exchange it names at once and never the next one.
- `is_sent` is True from just before the first byte of the request is written.
- A connection is reused only if its last reply was read completely and it is idle, quiet and recent.
- Nothing is ever sent twice.
- A descriptor that other code of the process has closed is not used, and not closed again: its number may be a file of
  that code's by now.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import threading

from engine.transport.address import Base, Proxy
from engine.transport.framing import (
    BUFFER,
    HEAD_LIMIT,
    KEPT,
    HttpReply,
    NoReply,
    WireError,
    plain_head,
)
from engine.transport.resolver import SLICE, SocketAddress
from engine.transport.route import Route

FIRST_TRY = 2.0  # seconds for an address that is not the last one
IDLE_LIMIT = 10.0  # seconds; Kraken or a middlebox may forget a connection that rests longer
LONGEST_WAIT = 3600.0  # seconds; a socket takes no infinite timeout
_LARGE = 1024 * 1024


class OutOfTime(Exception):
    """The deadline of the exchange has passed."""


class WasCut(Exception):
    """Another thread cut the exchange."""


class WireClosed(Exception):
    """The connection was closed for good."""


class Wire:
    """A keep-alive connection. One thread at a time exchanges; any thread may `cut` and `close`.

    An exchange is `begin`, `exchange`, and always `end`.
    """

    def __init__(self, route: Route) -> None:
        self.route = route
        self._lock = threading.Lock()  # held for moments only, never while waiting for the network
        self._sock: socket.socket | None = None
        self._made: tuple[int, int] | None = None  # which socket it is, whatever its descriptor's number
        self._poll = select.poll()
        self._now = route.clock.monotonic
        self._idle_since = 0.0
        self._token: object = None
        self._deadline = 0.0
        self._is_busy = self._is_whole = self._is_closed = False
        self.is_cut = False
        self.is_sent = False  # whether a byte of the request may have left
        self.stage = ""  # the stage of the exchange, as in "while connecting"

    # What the exchanging thread calls

    def begin(self, token: object, deadline: float) -> None:
        """Start an exchange that `cut(token)` can end. Raises `WireClosed`."""
        with self._lock:
            if self._is_closed:
                raise WireClosed
            self._token, self._deadline = token, deadline
            self._is_busy, self.is_cut, self._is_whole = True, False, False
            self.is_sent = False
            self.stage = ""

    def exchange(self, method: str, request: bytes) -> HttpReply:
        """Send one request and read its reply to the end.

        Raises whatever went wrong; `is_sent` and `stage` then say how far it got.
        """
        if not self._is_usable():
            self._drop()
            self._connect()
        self._left()
        self.stage = "sending the request"
        self.is_sent = True
        self._send(request)
        self.stage = "waiting for the reply"
        return self._receive(method)

    def end(self) -> None:
        """Finish the exchange: the connection is kept only when it is in a known good state."""
        with self._lock:
            self._is_busy = False
            self._token = None
            is_good = self._is_whole and not self.is_cut and not self._is_closed
        if is_good:
            self._idle_since = self._now()
        else:
            self._drop()

    # What any thread may call

    def cut(self, token: object = None) -> bool:
        """End the exchange under way, or only the one begun with `token`; False when there is none."""
        with self._lock:
            if not self._is_busy or (token is not None and token is not self._token):
                return False
            self.is_cut = True
            self._shut()
            return True

    def close(self) -> None:
        """Close for good. An exchange under way is cut, and its thread then closes the socket."""
        with self._lock:
            self._is_closed = True
            if self._is_busy:
                self.is_cut = True
                self._shut()
                return
        self._drop()

    # Inside

    def _shut(self) -> None:
        """Wake the thread that waits on the socket. Called with the lock held, so that it is not closed meanwhile."""
        if self._sock is not None and _identity(self._sock) == self._made:
            # Not SSLSocket.shutdown: that takes the TLS layer away under a racing send, which then goes out in clear.
            with contextlib.suppress(OSError):  # not connected yet: _dial looks at the flag
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def _drop(self) -> None:
        with self._lock:
            sock, self._sock = self._sock, None
            if sock is None:
                return
            if _identity(sock) != self._made:
                sock.detach()
                return
            with contextlib.suppress(OSError):  # it is gone in any case
                sock.close()

    def _left(self) -> float:
        """The seconds this exchange still has. Raises `WasCut` and `OutOfTime`."""
        if self.is_cut:
            raise WasCut
        left = self._deadline - self._now()
        if not left > 0:
            raise OutOfTime
        return left if left < LONGEST_WAIT else LONGEST_WAIT

    def _is_usable(self) -> bool:
        if self._sock is None or _identity(self._sock) != self._made:
            return False
        if self._now() - self._idle_since > IDLE_LIMIT:
            return False
        # Readable means closed, or unsolicited data; neither may precede the next request.
        return not self._poll.poll(0)

    def _connect(self) -> None:
        route = self.route
        server: Base | Proxy = route.proxy or route.base
        self.stage = "looking up its name"
        addresses = route.resolver.addresses(server.host, server.port, self._left)
        self.stage = "connecting"
        address = self._dial_one_of(addresses)
        self._poll = select.poll()
        assert self._sock is not None
        self._poll.register(self._sock, select.POLLIN)
        try:
            if route.proxy is not None:
                self.stage = "asking the proxy"
                from engine.transport.tunnel import open_tunnel  # noqa: PLC0415 - takes long, and few have a proxy

                open_tunnel(route, self._send, self._receive_into)
            if route.tls is not None:
                self.stage = "agreeing on TLS"
                self._secure(route.tls)
        except (OutOfTime, OSError):
            route.resolver.doubt(server.host, server.port, address)
            raise
        route.resolver.remember(server.host, server.port, address)

    def _dial_one_of(self, addresses: list[SocketAddress]) -> SocketAddress:
        """Connect to the first address that accepts, giving each its share of the time left, and the last most of it.

        One that does not answer, as a broken IPv6 address, must not cost a cancel half of its time.
        """
        failures: list[OSError] = []
        for index, address in enumerate(addresses):
            try:
                others = len(addresses) - index - 1
                self._dial(address, min(self._left() / (others + 1), FIRST_TRY) if others else self._left())
            except OSError as error:
                failures.append(error)
                self._drop()
            else:
                return address
        raise failures[0]

    def _dial(self, address: SocketAddress, patience: float) -> None:
        sock = socket.socket(address.family, socket.SOCK_STREAM)
        with self._lock:
            self._sock, self._made = sock, _identity(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address.sockaddr)
        if code == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            waited = 0.0
            # In slices, since a socket that is not connected yet cannot be shut down everywhere.
            while not poll.poll(1000 * (step := min(SLICE, self._left()))):
                waited += step
                if waited >= patience:
                    raise TimeoutError
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))

    def _secure(self, tls: ssl.SSLContext) -> None:
        with self._lock:  # wrapping moves the descriptor to another object, which `cut` has to know
            self._left()
            assert self._sock is not None
            sock = tls.wrap_socket(
                self._sock,
                server_hostname=self.route.base.host,
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,  # a body that ends with its connection may be cut short otherwise
            )
            self._sock = sock
        sock.settimeout(self._left())
        sock.do_handshake()
        sock.setblocking(False)

    def _send(self, data: bytes) -> None:
        assert self._sock is not None
        view = memoryview(data)
        while view:
            try:
                view = view[self._sock.send(view) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self._wait(select.POLLOUT)
            except ssl.SSLWantReadError:
                self._wait(select.POLLIN)

    def _receive_some(self, size: int) -> bytes:
        """What has come, once something has; nothing at the end."""
        sock = self._sock
        assert sock is not None
        while True:
            if not self._has_pending() and not self._poll.poll(1000 * self._left()):
                raise OutOfTime
            try:
                return sock.recv(size)
            except (BlockingIOError, ssl.SSLWantReadError):  # a part of a TLS record
                continue
            except ssl.SSLWantWriteError:
                self._wait(select.POLLOUT)

    def _receive_into(self, buffer: memoryview) -> int:
        data = self._receive_some(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _wait(self, event: int) -> None:
        assert self._sock is not None
        poll = select.poll()
        poll.register(self._sock, event)
        if not poll.poll(1000 * self._left()):
            raise OutOfTime

    def _receive(self, method: str) -> HttpReply:
        data = self._receive_some(BUFFER)
        head = plain_head(data)
        if head is None:
            return self._receive_any(method, data)
        self.stage = "reading the reply"
        if head.length > self.route.limit:
            raise WireError(f"the reply is longer than {self.route.limit} bytes")
        whole = head.size + head.length
        if len(data) < whole:
            data = self._receive_until(whole, data)
        self._is_whole = not (head.closes or len(data) > whole or self._has_pending())
        return HttpReply(head.status, data[head.size : whole], *map(head.headers.get, KEPT))

    def _receive_until(self, whole: int, data: bytes) -> bytes:
        parts, length = [data], len(data)
        while length < whole:
            parts.append(self._receive_some(min(whole - length, _LARGE)))
            if not parts[-1]:
                raise WireError("the reply broke off")
            length += len(parts[-1])
        return b"".join(parts)

    def _receive_any(self, method: str, ahead: bytes) -> HttpReply:
        """Read a reply, of which the beginning is received, with http.client."""
        if not ahead:
            raise NoReply
        from engine.transport.any_reply import FramedResponse, Stream, Tap  # noqa: PLC0415 - takes long

        limit = self.route.limit
        tap = Tap(self._receive_into, ahead)
        tap.open(HEAD_LIMIT)
        stream = Stream(tap, BUFFER)
        reply = FramedResponse(stream, method=method)
        reply.begin()
        self.stage = "reading the reply"
        reply.check(limit)
        # Room for chunk headers, however small the chunks; http.client reads on after a bad one.
        tap.open(2 * limit + HEAD_LIMIT)
        body = b"" if reply.status in (204, 304) else reply.read(limit + 1)
        if len(body) > limit:
            raise WireError(f"the reply is longer than {limit} bytes")
        if reply.length:
            raise WireError("the reply broke off")
        self._is_whole = not (reply.will_close or tap.has_more(stream) or self._has_pending())
        return HttpReply(reply.status, body, *map(reply.headers.get, KEPT))

    def _has_pending(self) -> bool:
        """Whether TLS has data that were received already, of which `poll` does not know."""
        return self.route.tls is not None and isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0


def _identity(sock: socket.socket) -> tuple[int, int] | None:
    """Which file a socket's descriptor stands for; `None` when that is closed."""
    try:
        found = os.fstat(sock.fileno())
    except OSError:
        return None
    return found.st_dev, found.st_ino
