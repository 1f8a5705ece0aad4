"""The transport, against small servers over real sockets."""

from __future__ import annotations

import builtins
import configparser
import contextlib
import errno
import http.client
import inspect
import itertools
import os
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

import engine.transport
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    ConfigError,
    ConnectFailed,
    DeadlinePassed,
    EngineStopped,
)
from engine.transport import HttpReply, Transport, TransportPool, check_url
from engine.transport.address import check_proxy
from engine.transport.resolver import Resolver
from engine.transport.wire import FIRST_TRY, Wire
from engine.values import Settings, SystemClock
from tests import ROOT
from tests.stopwatch import AT_ONCE, LONG, PATIENCE, SOON, Stopwatch, again_if_stalled

CANARY = "s3cret-c4nary"
HEADERS = {"API-Key": CANARY, "API-Sign": f"{CANARY}==", "Content-Type": "application/x-www-form-urlencoded"}
BODY = b"nonce=1&asset=ZUSD"
DATE = "Sat, 22 Nov 2025 14:00:00 GMT"
ELSEWHERE = "https://exchange.test"
DEFAULT = Settings()
ANY_HOST = Settings(any_host=True)
GRACE = 1.0  # how much later than its deadline an exchange may end; what hangs does so for `LONG`


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self._buffer = b""

    def read(self) -> Request | None:
        """The next request, or None at the end."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        assert len(headers) == len(lines), "a header was sent twice"
        length = int(headers.get("content-length", 0))
        while len(self._buffer) < length:
            if not self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        request = Request(method, target, headers, body)
        self.server.requests.append(request)
        self.server.asked.set()
        return request

    def _more(self) -> bool:
        piece = self.sock.recv(65536)
        if piece:
            self.server.pieces.append(piece)
        self._buffer += piece
        return bool(piece)

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hold(self) -> None:
        """Say nothing until the test is over."""
        self.server.over.wait(LONG)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Script = Callable[[Peer], None]
Serve = Callable[..., "Server"]
Connect = Callable[..., Transport]
Background = Callable[..., Future[HttpReply]]


class Server:
    """Runs one script per connection, each in its own thread."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.pieces: list[bytes] = []
        self.connections = 0
        self.asked = threading.Event()
        self.connected = threading.Event()
        self.over = threading.Event()
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._socks: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self.over.is_set():
                sock.close()
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(LONG)
        self._socks.add(sock)
        self.connections += 1
        self.connected.set()
        try:
            if self._tls is not None:
                self._socks.discard(sock)
                sock = self._tls.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True)
                self._socks.add(sock)
            self._script(Peer(self, sock))
        except OSError:
            pass  # the client went away, which many tests want
        finally:
            sock.close()

    def close(self) -> None:
        self.over.set()
        with socket.socket() as knock:  # accept is not woken by closing its socket
            knock.settimeout(1)
            knock.connect_ex(("127.0.0.1", self.port))
        for sock in list(self._socks):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(PATIENCE)
            assert not thread.is_alive()
        self._listener.close()


def reply(body: bytes = b"{}", status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Date: {DATE}", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def answering(*answers: bytes) -> Script:
    """Answers every request with the next of `answers`, the last one for ever."""
    left = list(answers)

    def script(peer: Peer) -> None:
        while peer.read():
            peer.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def once(answer: bytes) -> Script:
    """Answers one request and closes the connection."""

    def script(peer: Peer) -> None:
        if peer.read():
            peer.send(answer)

    return script


def silent(peer: Peer) -> None:
    peer.read()
    peer.hold()


def dripping(head: bytes, drip: bytes) -> Script:
    """Sends `head`, then `drip` over and over, byte by byte."""

    def script(peer: Peer) -> None:
        peer.read()
        peer.send(head)
        while True:
            for byte in drip:
                if peer.server.over.wait(0.01):
                    return
                peer.send(bytes([byte]))

    return script


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(script: Script, tls: ssl.SSLContext | None = None) -> Server:
        servers.append(Server(script, tls))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect() -> Iterator[Connect]:
    transports: list[Transport] = []

    def start(server: Server | str, settings: Settings = DEFAULT, **more: Any) -> Transport:
        url = server if isinstance(server, str) else server.url
        transports.append(Transport(url, settings, **more))
        return transports[-1]

    yield start
    for transport in transports:
        transport.close()


@pytest.fixture
def background() -> Iterator[Background]:
    with ThreadPoolExecutor(20) as pool:
        yield pool.submit


@pytest.fixture
def black_hole() -> Iterator[int]:
    """A port that answers no connection: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(8):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
            fillers.append(sock)
        yield listener.getsockname()[1]
        for sock in fillers:
            sock.close()


def in_time(seconds: float) -> float:
    return time.monotonic() + seconds


def call(transport: Transport, seconds: float = LONG, **more: Any) -> HttpReply:
    return transport.post("/0/private/Balance", BODY, HEADERS, deadline=in_time(seconds), **more)


def fetch(transport: Transport) -> HttpReply:
    """A call without a key, which goes through requests."""
    return transport.get("/0/public/Time", deadline=in_time(LONG))


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.001)


def check_text(error: CallError) -> None:
    """One sentence, without secrets, unnamed, and without a foreign exception behind it."""
    text = str(error)
    assert text.endswith(".")
    assert "\n" not in text
    assert CANARY not in repr(error)
    assert CANARY not in text
    assert error.account is None
    assert error.endpoint is None
    assert error.__cause__ is None
    assert error.__context__ is None


# One exchange


def test_a_post_puts_exactly_this_on_the_wire_in_one_piece(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply(b'{"error":[],"result":{}}')))
    answer = call(connect(server))
    assert answer == HttpReply(200, b'{"error":[],"result":{}}', DATE, "application/json")
    assert server.requests == [
        Request(
            "POST",
            "/0/private/Balance",
            {
                "host": f"127.0.0.1:{server.port}",
                "user-agent": f"kraken-engine/{engine.__version__}",
                "accept": "application/json",
                "accept-encoding": "identity",
                "api-key": CANARY,
                "api-sign": f"{CANARY}==",
                "content-type": "application/x-www-form-urlencoded",
                "content-length": str(len(BODY)),
            },
            BODY,
        )
    ]
    assert len(server.pieces) == 1


def test_a_get_carries_its_query_and_no_body(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    connect(server).get("/0/public/Ticker", "pair=XBTUSD&x=%2b1", deadline=in_time(PATIENCE))
    (request,) = server.requests
    assert (request.method, request.target, request.body) == ("GET", "/0/public/Ticker?pair=XBTUSD&x=%2b1", b"")
    assert "content-length" not in request.headers
    assert "api-key" not in request.headers


def test_a_get_without_requests_puts_the_same_on_the_wire(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply(b"{}")))
    transport = connect(server)
    answers = [get("/0/public/Time", deadline=in_time(PATIENCE)) for get in (transport.get, transport.bare_get)]
    assert answers[0] == answers[1] == HttpReply(200, b"{}", DATE, "application/json")
    assert server.requests[0] == server.requests[1]
    assert len(server.pieces) == 2


def test_an_ordinary_call_needs_no_parser_of_http_client(serve: Serve) -> None:
    """It and the email package take longer to import than the transport; most processes never need them."""
    server = serve(answering(reply(b'{"error":[],"result":{}}')))
    code = (
        "import sys, time; from engine.transport import Transport; one = Transport(sys.argv[1]); "
        "one.bare_get('/0/public/Time', deadline=time.monotonic() + 60); "
        "one.post('/0/private/Balance', b'nonce=1', {}, deadline=time.monotonic() + 60); "
        "print([name for name in ('http.client', 'email', 'requests') if name in sys.modules])"
    )
    told = subprocess.check_output([sys.executable, "-c", code, server.url], text=True, timeout=60)
    assert told == "[]\n"


def test_a_lost_reply_to_a_get_without_requests_is_said_like_any(serve: Serve, connect: Connect) -> None:
    transport = connect(serve(lambda peer: peer.read() and peer.reset()))
    with pytest.raises(CallUnknown, match=r"The call was sent to .*, but the connection") as failed:
        transport.bare_get("/0/public/Time", deadline=in_time(PATIENCE))
    check_text(failed.value)


def test_an_empty_body_and_empty_paths_keep_their_shape(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    transport = connect(server)
    transport.post("/", b"", {}, deadline=in_time(PATIENCE))
    transport.post("//0/private", b"x", {}, deadline=in_time(PATIENCE))
    assert [(r.target, r.body) for r in server.requests] == [("/", b""), ("//0/private", b"x")]
    assert server.requests[0].headers["content-length"] == "0"


def test_a_large_body_arrives_whole(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply(b"y" * 3_000_000)))
    body = bytes(random.Random(1).randbytes(2_000_000))
    answer = connect(server).post("/0/private/AddOrderBatch", body, {}, deadline=in_time(PATIENCE))
    assert server.requests[0].body == body
    assert answer.body == b"y" * 3_000_000


def test_nothing_of_a_call_is_kept_for_the_next(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply(b"{}", "200 OK", "Set-Cookie: id=1; Path=/")))
    transport = connect(server)
    transport.post("/", CANARY.encode(), HEADERS, deadline=in_time(PATIENCE))
    assert CANARY not in repr(transport._prepared.__dict__)
    transport.post("/", b"b", {}, deadline=in_time(PATIENCE))
    assert "api-key" not in server.requests[1].headers
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("no-slash", {}),
        ("/a b", {}),
        ("/a?b", {}),
        ("/a#b", {}),
        ("/a\r\nX: y", {}),
        ("/ä", {}),
        ("/", {"X": f"{CANARY}\r\nY: z"}),
        ("/", {"X": f"{CANARY}\u20ac"}),
        ("/", {"X": f" {CANARY}"}),
        ("/", {"X": ""}),
        ("/", {"": CANARY}),
        ("/", {f"{CANARY} X": "y"}),
        ("/", {"Content-Length": "5"}),
        ("/", {"transfer-encoding": "chunked"}),
        ("/", {"Host": "kraken.com"}),
        (None, {}),
        ("/", {"X": 5}),
        ("/", None),
    ],
)
def test_what_cannot_be_sent_as_it_is_is_not_sent(serve: Serve, connect: Connect, path: Any, headers: Any) -> None:
    server = serve(answering(reply()))
    with pytest.raises(CallNotSent) as caught:
        connect(server).post(path, BODY, headers, deadline=in_time(PATIENCE))
    assert type(caught.value) is CallNotSent
    check_text(caught.value)
    assert server.connections == 0


def test_a_body_that_is_not_bytes_is_not_sent(connect: Connect) -> None:
    with pytest.raises(CallNotSent):
        connect("http://127.0.0.1:9").post("/", "text", {}, deadline=in_time(PATIENCE))  # type: ignore[arg-type]


# Keeping the connection


def test_one_connection_serves_many_calls(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    transport = connect(server)
    for _ in range(5):
        call(transport)
        transport.get("/0/public/Time", deadline=in_time(PATIENCE))
    assert (server.connections, len(server.requests)) == (1, 10)
    assert transport._wire._sock is not None
    assert transport._wire._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def idle_socket_is_readable(transport: Transport) -> bool:
    return bool(transport._wire._poll.poll(0))


def test_a_connection_closed_while_idle_is_replaced_before_the_write(serve: Serve, connect: Connect) -> None:
    server = serve(once(reply()))
    transport = connect(server)
    for count in range(1, 4):
        assert call(transport).status == 200
        until(lambda: idle_socket_is_readable(transport))
        assert server.connections == len(server.requests) == count


def test_an_answer_that_comes_before_its_request_is_never_taken(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        mine = b"%d" % peer.server.connections
        while peer.read():
            peer.send(reply(mine))
            peer.server.asked.wait(PATIENCE)
            peer.send(reply(b"junk"))

    server = serve(script)
    transport = connect(server)
    assert call(transport).body == b"1"
    until(lambda: idle_socket_is_readable(transport))
    assert call(transport).body == b"2"


def test_bytes_behind_a_reply_end_the_connection(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply(b"1") + reply(b"junk")))
    transport = connect(server)
    assert [call(transport).body for _ in range(3)] == [b"1"] * 3
    assert server.connections == 3


class TurnedClock(SystemClock):
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now


def test_a_connection_that_rested_ten_seconds_is_replaced(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    clock = TurnedClock()
    transport = connect(server, clock=clock)
    for rest, connections in ((0, 1), (9.5, 1), (10.5, 2), (0, 2)):
        clock.now += rest
        transport.get("/", deadline=clock.monotonic() + PATIENCE)
        assert server.connections == connections


@pytest.mark.parametrize("header", ["Connection: close", "Connection: Close"])
def test_a_server_that_says_close_gets_a_new_connection(serve: Serve, connect: Connect, header: str) -> None:
    server = serve(answering(reply(b"{}", "200 OK", header)))
    transport = connect(server)
    call(transport)
    call(transport)
    assert server.connections == 2


# Time


TRICKLES = {
    "silent": silent,
    "status line": dripping(b"HTTP/1.1 2", b"0"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "chunks": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "one chunk": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFF\r\n", b"x"),
    "trailers": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "to the end": dripping(b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
    "100 Continue": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("script", TRICKLES.values(), ids=TRICKLES)
@again_if_stalled
def test_a_server_that_loses_time_cannot_pass_the_deadline(serve: Serve, connect: Connect, script: Script) -> None:
    server = serve(script)
    transport = connect(server)
    with Stopwatch() as watch, pytest.raises(CallUnknown, match="time ran out") as caught:
        call(transport, 0.3)
    assert watch.wall > 0.29
    assert watch.seconds < 0.3 + GRACE
    check_text(caught.value)
    assert len(server.requests) == 1


@again_if_stalled
def test_a_server_that_does_not_read_cannot_pass_the_deadline(serve: Serve, connect: Connect) -> None:
    server = serve(lambda peer: peer.hold())
    with Stopwatch() as watch, pytest.raises(CallUnknown, match="sending the request"):
        connect(server).post("/", bytes(20_000_000), {}, deadline=in_time(0.3))
    assert watch.seconds < 0.3 + GRACE


@again_if_stalled
def test_a_black_hole_ends_as_not_connected(connect: Connect, black_hole: int) -> None:
    transport = connect(f"http://127.0.0.1:{black_hole}")
    with Stopwatch() as watch, pytest.raises(ConnectFailed, match="time ran out while connecting") as caught:
        call(transport, 0.3)
    assert watch.wall > 0.29
    assert watch.seconds < 0.3 + GRACE
    check_text(caught.value)


@again_if_stalled
def test_a_tls_handshake_that_stalls_ends_as_not_connected(serve: Serve, connect: Connect) -> None:
    server = serve(lambda peer: peer.hold())
    transport = connect(f"https://127.0.0.1:{server.port}", ANY_HOST)
    with Stopwatch() as watch, pytest.raises(ConnectFailed, match="agreeing on TLS"):
        call(transport, 0.3)
    assert watch.seconds < 0.3 + GRACE


@again_if_stalled
def test_a_handshake_that_drips_ends_at_the_deadline_too(serve: Serve, connect: Connect) -> None:
    server = serve(dripping(b"\x16\x03\x03\x3f\xff", b"\x02"))
    transport = connect(f"https://127.0.0.1:{server.port}", ANY_HOST)
    with Stopwatch() as watch, pytest.raises(ConnectFailed):
        call(transport, 0.3)
    assert watch.seconds < 0.3 + GRACE


def test_a_call_that_comes_too_late_opens_nothing(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    for seconds in (0, -5, float("-inf"), float("nan")):
        with pytest.raises(DeadlinePassed) as caught:
            call(connect(server), seconds)
        check_text(caught.value)
    assert server.connections == 0


def test_a_deadline_without_end_is_allowed(serve: Serve, connect: Connect) -> None:
    assert call(connect(serve(answering(reply()))), float("inf")).status == 200


def test_a_second_caller_waits_for_its_turn_and_not_longer_than_it_may(
    serve: Serve, connect: Connect, background: Background
) -> None:
    server = serve(silent)
    transport = connect(server)
    first = background(call, transport)
    assert server.asked.wait(PATIENCE)
    with Stopwatch() as watch, pytest.raises(DeadlinePassed):
        call(transport, 0.2)
    assert watch.seconds < 0.2 + GRACE
    assert transport.cut()
    with pytest.raises(CallUnknown):
        first.result(PATIENCE)


# Names


class Names:
    """A resolver that says what the test wants, and counts."""

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self.calls = 0
        self.error: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, host: str, port: int, **_: object) -> list[object]:
        self.calls += 1
        assert self.gate.wait(LONG)
        if self.error is not None:
            raise self.error
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", p)) for p in self.ports or (port,)]


@pytest.fixture
def names() -> Iterator[Names]:
    names = Names()
    yield names
    names.gate.set()


def test_a_silent_resolver_ends_at_the_deadline_and_is_asked_once(connect: Connect, names: Names) -> None:
    names.gate.clear()
    transport = connect(ELSEWHERE, ANY_HOST, resolver=Resolver(names))

    @again_if_stalled
    def ends_at_the_deadline() -> None:
        with Stopwatch() as watch, pytest.raises(ConnectFailed, match="looking up its name") as caught:
            call(transport, 0.2)
        assert watch.seconds < 0.2 + GRACE
        check_text(caught.value)

    for _ in range(3):
        ends_at_the_deadline()
    assert names.calls == 1


def test_a_name_that_is_not_found_fails_at_once(connect: Connect, names: Names) -> None:
    names.error = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    transport = connect(ELSEWHERE, ANY_HOST, resolver=Resolver(names))
    for _ in range(2):
        with Stopwatch() as watch, pytest.raises(ConnectFailed, match=r"not found .Name or service"):
            call(transport)
        assert watch.seconds < AT_ONCE
    assert names.calls == 2


def test_the_last_good_address_serves_while_the_resolver_is_silent_or_fails(names: Names) -> None:
    resolver = Resolver(names)

    def ask(seconds: float = LONG) -> list[object]:
        return [address.sockaddr[1] for address in resolver.addresses("exchange.test", 443, lambda: seconds)]

    names.ports = (1, 2)
    first, second = resolver.addresses("exchange.test", 443, lambda: LONG)
    assert first.sockaddr == ("127.0.0.1", 1)
    resolver.remember("exchange.test", 443, second)
    assert ask() == [2, 1]
    names.error = OSError("no")
    assert ask() == [2]
    names.error = None
    names.gate.clear()
    with Stopwatch() as watch:
        assert ask(0.6) == [2]
    assert watch.wall > 0.19  # the resolver had its share first
    assert watch.seconds < AT_ONCE
    assert ask(0.6) == [2]
    assert names.calls == 4
    names.ports = (3,)
    names.gate.set()
    until(lambda: ask() == [3])
    assert names.calls == 4  # the late answer was used, not asked for again


def test_a_resolver_that_breaks_in_any_way_is_a_failed_connection(connect: Connect) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        raise UnicodeError(CANARY)

    def nothing(*_: object, **__: object) -> list[object]:
        return []

    def nonsense(*_: object, **__: object) -> list[object]:
        return [5]

    for broken in (resolve, nothing, nonsense):
        with pytest.raises(ConnectFailed) as caught:
            call(connect(ELSEWHERE, ANY_HOST, resolver=Resolver(broken)))
        check_text(caught.value)


def test_numbers_and_localhost_are_not_looked_up(serve: Serve, connect: Connect) -> None:
    def resolve(*_: object, **__: object) -> list[object]:
        raise AssertionError("asked")

    server = serve(answering(reply()))
    assert call(connect(f"http://localhost:{server.port}", resolver=Resolver(resolve))).status == 200
    assert call(connect(server, resolver=Resolver(resolve))).status == 200


@again_if_stalled
def test_an_address_that_refuses_gives_way_to_the_next(
    serve: Serve, connect: Connect, names: Names, unused_port: int
) -> None:
    server = serve(lambda peer: peer.hold())
    names.ports = (unused_port, server.port)
    with pytest.raises(ConnectFailed, match="agreeing on TLS"):
        call(connect(ELSEWHERE, ANY_HOST, resolver=Resolver(names)), 0.2)
    assert server.connections == 1


@again_if_stalled
def test_an_address_that_hangs_costs_only_its_share(
    serve: Serve, connect: Connect, names: Names, black_hole: int
) -> None:
    server = serve(lambda peer: peer.hold())
    names.ports = (black_hole, server.port)
    with Stopwatch() as watch, pytest.raises(ConnectFailed, match="agreeing on TLS"):
        call(connect(ELSEWHERE, ANY_HOST, resolver=Resolver(names)), 0.6)
    assert watch.seconds < 0.6 + GRACE
    assert server.connections == 1


@again_if_stalled
def test_an_address_that_takes_connections_and_nothing_more_goes_last_the_next_time(
    serve: Serve, connect: Connect, names: Names
) -> None:
    """Half-broken IPv6: small packets pass and large ones do not."""
    first, second = serve(lambda peer: peer.hold()), serve(lambda peer: peer.hold())
    names.ports = (first.port, second.port)
    resolver = Resolver(names)
    for _ in range(2):
        with pytest.raises(ConnectFailed, match="agreeing on TLS"):
            call(connect(ELSEWHERE, ANY_HOST, resolver=resolver), 0.4)
    assert (first.connections, second.connections) == (1, 1)


@again_if_stalled
def test_a_black_hole_among_addresses_leaves_most_of_the_time_to_the_last(
    serve: Serve, connect: Connect, names: Names, black_hole: int
) -> None:
    server = serve(lambda peer: peer.reset())
    names.ports = (black_hole, server.port)
    with Stopwatch() as watch, pytest.raises(ConnectFailed, match="No connection"):
        call(connect(ELSEWHERE, ANY_HOST, resolver=Resolver(names)), LONG)
    assert FIRST_TRY <= watch.wall < FIRST_TRY + GRACE
    assert server.connections == 1


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as sock:  # bound and not listening: nobody else gets it, and it refuses
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_a_port_that_refuses_is_a_failed_connection(connect: Connect, unused_port: int) -> None:
    with pytest.raises(ConnectFailed, match="Connection refused") as caught:
        call(connect(f"http://127.0.0.1:{unused_port}"))
    check_text(caught.value)


# Replies that are not what they should be


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


GOOD = {
    "chunked": (chunked(b"ab", b"c"), 200, b"abc"),
    "chunked with extensions and trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n",
        200,
        b"abc",
    ),
    "many small chunks": (chunked(*[b"x"] * 5000), 200, b"x" * 5000),
    "100 first": (b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + reply(b"abc"), 200, b"abc"),
    "103 first": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2 + reply(b"abc"), 200, b"abc"),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    "204 that claims chunks": (b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", 204, b""),
    "304 with the length of what it does not send": (
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
        304,
        b"",
    ),
    "empty": (reply(b""), 200, b""),
    "identity": (reply(b"abc", "200 OK", "Content-Encoding: identity"), 200, b"abc"),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", 200, b"abc"),
    "length twice, the same": (reply(b"abc", "200 OK", "Content-Length: 3"), 200, b"abc"),
    "502 HTML": (reply(b"<html>", "502 Bad Gateway"), 502, b"<html>"),
    "520": (reply(b"<html>", "520 Web server says no"), 520, b"<html>"),
}


@pytest.mark.parametrize(("answer", "status", "body"), GOOD.values(), ids=GOOD)
def test_every_proper_reply_is_returned_and_the_connection_kept(
    serve: Serve, connect: Connect, answer: bytes, status: int, body: bytes
) -> None:
    server = serve(answering(answer))
    transport = connect(server)
    for _ in range(2):
        got = call(transport)
        assert (got.status, got.body) == (status, body)
    assert server.connections == 1


@pytest.mark.parametrize("more", [[], ["X: y\r\n z"]], ids=["plain", "left to http.client"])
def test_when_to_come_back_is_handed_on(serve: Serve, connect: Connect, more: list[str]) -> None:
    server = serve(answering(reply(b"", "429 Too Many Requests", "Retry-After: 7", *more)))
    assert call(connect(server)) == HttpReply(429, b"", DATE, "application/json", "7")


def test_an_old_server_ends_its_body_by_closing(serve: Serve, connect: Connect) -> None:
    server = serve(once(b"HTTP/1.0 200 OK\r\nDate: x\r\n\r\n" + b"y" * 100_000))
    transport = connect(server)
    for _ in range(2):
        assert call(transport) == HttpReply(200, b"y" * 100_000, "x", None)
    assert server.connections == 2


BAD = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 20",
    "no HTTP": b"hello\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x0a",
    "status no number": b"HTTP/1.1 OK 200\r\n\r\n",
    "status too high": b"HTTP/1.1 2000 OK\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "cut headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "cut body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
    "cut chunk": chunked(end=b"9\r\nabc"),
    "cut between chunks": chunked(b"abc", end=b""),
    "chunk without size": chunked(end=b"\r\nabc\r\n0\r\n\r\n"),
    "chunk with a bad size": chunked(end=b"zz\r\nabc\r\n0\r\n\r\n"),
    "chunk with a size below 0": chunked(end=b"-5\r\nabc\r\n0\r\n\r\n"),
    "length no number": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nabc",
    "length below 0": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc",
    "length with a sign": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "length with digits of elsewhere": "HTTP/1.1 200 OK\r\nContent-Length: ³\r\n\r\nabc".encode("latin-1"),
    "length of 5000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nabc",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "gzip in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "gzip": reply(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"),
    "gzip second": reply(b"\x1f\x8b", "200 OK", "Content-Encoding: identity", "Content-Encoding: br"),
    "header without colon": b"HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 3\r\n\r\nabc",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a long header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    "a long status line": b"HTTP/1.1 200 " + b"y" * 70_000 + b"\r\n\r\n",
    "long headers": b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 60_000 + b"\r\n") * 6 + b"\r\n",
    "100 for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    "103 for ever": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20_000,
}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_a_reply_in_doubt_is_unknown_at_once_and_its_connection_dropped(
    serve: Serve, connect: Connect, answer: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        if peer.server.connections > 1:
            peer.send(reply(b"next"))
            return
        peer.send(answer)
        peer.sock.shutdown(socket.SHUT_WR)
        peer.hold()

    server = serve(script)
    transport = connect(server)
    with Stopwatch() as watch, pytest.raises(CallUnknown) as caught:
        call(transport)
    assert watch.seconds < SOON
    check_text(caught.value)
    assert len(server.requests) == 1
    assert call(transport).body == b"next"


def test_a_reset_after_the_request_is_unknown(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.reset()

    server = serve(script)
    with pytest.raises(CallUnknown, match="Connection reset") as caught:
        call(connect(server))
    check_text(caught.value)
    assert len(server.requests) == 1


def endless(head: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(head)
        while True:
            peer.send(b"x" * 65536)

    return script


BOMBS = {
    "declared": endless(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n"),
    "to the end": endless(b"HTTP/1.0 200 OK\r\n\r\n"),
    "one chunk": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n"),
    "a chunk of size -1": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n"),
    "trailers": endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
    "chunks": once(chunked(*[b"x" * 1000] * 1100)),
    "headers": endless(b"HTTP/1.1 200 OK\r\n"),
}


@pytest.mark.parametrize("script", BOMBS.values(), ids=BOMBS)
def test_no_reply_gets_larger_than_the_limit(serve: Serve, connect: Connect, script: Script) -> None:
    transport = connect(serve(script), limit=1_000_000)
    with Stopwatch() as watch, pytest.raises(CallUnknown) as caught:
        call(transport)
    assert watch.seconds < SOON
    check_text(caught.value)


def test_a_reply_that_says_it_is_too_long_is_not_waited_for(serve: Serve, connect: Connect) -> None:
    def script(peer: Peer) -> None:
        peer.read()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 33554433\r\n\r\n")
        peer.hold()

    with Stopwatch() as watch, pytest.raises(CallUnknown, match="longer than 33554432 bytes"):
        call(connect(serve(script)))
    assert watch.seconds < SOON


def test_a_reply_of_just_the_limit_is_taken(serve: Serve, connect: Connect) -> None:
    transport = connect(serve(answering(reply(b"x" * 1000), chunked(b"x" * 500, b"y" * 500))), limit=1000)
    assert len(call(transport).body) == 1000
    assert len(call(transport).body) == 1000


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["other", "http://[bad", "//:99999999", "\xff\xfe", ""])
def test_a_redirect_is_returned_and_not_followed(serve: Serve, connect: Connect, status: int, location: str) -> None:
    other = serve(answering(reply()))
    where = f"{other.url}/steal" if location == "other" else location
    answer = reply(b"moved", f"{status} Moved").replace(
        b"\r\n\r\n", b"\r\nLocation: " + where.encode("latin-1") + b"\r\n\r\n"
    )
    server = serve(answering(answer))
    got = call(connect(server))
    assert (got.status, got.body) == (status, b"moved")
    assert (len(server.requests), other.connections) == (1, 0)


# The environment


def test_nothing_is_taken_from_the_environment(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy = serve(answering(reply(b"proxy")))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password pw\ndefault login me password pw\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    server = serve(answering(reply(b"server")))
    transport = connect(server)
    assert call(transport).body == b"server"
    assert "authorization" not in server.requests[0].headers
    assert not transport._session.trust_env
    connect(ELSEWHERE, ANY_HOST)
    assert proxy.connections == 0
    assert not (tmp_path / "keys").exists()


def test_the_version_is_that_of_the_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    assert config["metadata"]["version"] == "attr: engine.version.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", engine.__version__)


# The cut


def test_a_cut_ends_a_hung_call_at_once_and_the_next_one_is_fresh(
    serve: Serve, connect: Connect, background: Background
) -> None:
    def script(peer: Peer) -> None:
        if peer.server.connections == 1:
            silent(peer)
        answering(reply(b"next"))(peer)

    server = serve(script)
    transport = connect(server)
    future = background(call, transport)
    assert server.asked.wait(PATIENCE)
    with Stopwatch() as watch:
        assert transport.cut()
        with pytest.raises(CallUnknown, match="it was cut while waiting for the reply") as caught:
            future.result(PATIENCE)
    assert watch.seconds < AT_ONCE
    check_text(caught.value)
    assert not transport.cut()
    assert call(transport).body == b"next"
    assert server.connections == 2


@pytest.mark.parametrize("stage", ["looking up its name", "connecting", "agreeing on TLS"])
def test_a_cut_before_the_request_is_not_sent(
    serve: Serve, connect: Connect, background: Background, names: Names, black_hole: int, stage: str
) -> None:
    if stage == "looking up its name":
        names.gate.clear()
    elif stage == "connecting":
        names.ports = (black_hole,)
    else:
        names.ports = (serve(lambda peer: peer.hold()).port,)
    transport = connect(ELSEWHERE, ANY_HOST, resolver=Resolver(names))
    future = background(call, transport)
    until(lambda: transport._wire.stage == stage)
    with Stopwatch() as watch:
        assert transport.cut()
        with pytest.raises(CallNotSent, match="cut before it was sent") as caught:
            future.result(PATIENCE)
    assert watch.seconds < AT_ONCE
    assert type(caught.value) is CallNotSent
    check_text(caught.value)
    assert transport._wire._sock is None


def test_a_cut_with_nothing_under_way_says_so_and_hits_nothing(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    transport = connect(server)
    assert not transport.cut()
    call(transport)
    assert not transport.cut()
    call(transport)
    assert server.connections == 1


def test_a_cut_hits_only_the_exchange_it_names(serve: Serve, connect: Connect, background: Background) -> None:
    server = serve(silent)
    transport = connect(server)
    mine, other = object(), object()
    future = background(call, transport, token=mine)
    assert server.asked.wait(PATIENCE)
    assert not transport.cut(other)
    assert not future.done()
    assert transport.cut(mine)
    with pytest.raises(CallUnknown):
        future.result(PATIENCE)


def test_a_late_cut_never_hits_the_next_exchange(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    transport = connect(server)
    tokens = [object() for _ in range(500)]
    current = [0]
    over = threading.Event()
    hits = []

    def cut_the_last_one() -> None:
        while not over.wait(0.0001):
            if transport.cut(tokens[current[0] - 1]):
                hits.append(current[0])

    cutter = threading.Thread(target=cut_the_last_one)
    cutter.start()
    try:
        for number in range(1, len(tokens)):
            current[0] = number
            call(transport, token=tokens[number])
    finally:
        over.set()
        cutter.join()
    assert server.connections == 1
    assert not hits


def cut_at_random(
    transport: Transport, body_of: Callable[[int], bytes], *, seed: int, shortest: float
) -> Mapping[type, list[bytes]]:
    """Post one body after another while another thread cuts now and then: the bodies by what became of them.

    It takes a second, or as long as a slow machine needs to see every outcome. `shortest`: seconds between two cuts;
    the longest pause is a thousand times as long.
    """
    over, chance = threading.Event(), random.Random(seed)

    def cut_now_and_then() -> None:
        while not over.wait(shortest * 1000 ** chance.random()):
            transport.cut()

    cutter = threading.Thread(target=cut_now_and_then)
    cutter.start()
    outcomes: dict[type, list[bytes]] = {HttpReply: [], CallNotSent: [], CallUnknown: []}
    start, numbers = time.monotonic(), itertools.count(1)
    try:
        while time.monotonic() - start < (1 if all(outcomes.values()) else LONG):
            body = body_of(next(numbers))
            try:
                outcome: object = transport.post("/", body, HEADERS, deadline=in_time(PATIENCE))
            except CallError as error:
                outcome = error
            outcomes[type(outcome)].append(body)
    finally:
        over.set()
        cutter.join()
    return outcomes


def test_whenever_a_cut_comes_not_sent_means_not_sent(serve: Serve, connect: Connect) -> None:
    server = serve(answering(reply()))
    outcomes = cut_at_random(connect(server), lambda number: b"%d" % number, seed=20251122, shortest=0.00005)
    until(lambda: outcomes[HttpReply][-1] in {request.body for request in server.requests})
    seen = [request.body for request in server.requests]
    assert len(seen) == len(set(seen))
    assert not set(seen) & set(outcomes[CallNotSent])
    assert set(outcomes[HttpReply]) <= set(seen)
    assert all(outcomes.values()), {kind.__name__: len(bodies) for kind, bodies in outcomes.items()}


@pytest.mark.parametrize("end", [Transport.cut, Transport.close])
def test_a_cut_or_close_that_comes_after_the_reply_loses_only_the_connection(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, end: Callable[[Transport], None]
) -> None:
    server = serve(answering(reply(b"abc")))
    transport = connect(server)
    exchange = Wire.exchange

    def exchange_then_end(wire: Wire, *arguments: Any) -> Any:
        got = exchange(wire, *arguments)
        end(transport)
        return got

    monkeypatch.setattr(Wire, "exchange", exchange_then_end)
    assert call(transport).body == b"abc"
    assert transport._wire._sock is None


# The end


def open_files() -> int:
    return len(os.listdir("/dev/fd"))


def test_close_ends_a_hung_call_and_refuses_later_ones(serve: Serve, connect: Connect, background: Background) -> None:
    server = serve(silent)
    transport = connect(server)
    future = background(call, transport)
    assert server.asked.wait(PATIENCE)
    with Stopwatch() as watch:
        transport.close()
        with pytest.raises(CallUnknown):
            future.result(PATIENCE)
    assert watch.seconds < AT_ONCE
    with pytest.raises(EngineStopped) as caught:
        call(transport)
    check_text(caught.value)
    transport.close()
    assert transport._wire._sock is None


@again_if_stalled
def test_close_leaves_nothing_open(serve: Serve, black_hole: int) -> None:
    server = serve(answering(reply()))
    before = open_files()
    for _ in range(3):
        transport = Transport(server.url)
        call(transport)
        transport.close()
        hole = Transport(f"http://127.0.0.1:{black_hole}")
        with pytest.raises(ConnectFailed):
            call(hole, 0.05)
        hole.close()
    until(lambda: open_files() <= before)


def test_an_interrupt_passes_through_and_drops_the_connection(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answering(reply()))
    transport = connect(server)
    call(transport)
    for interrupt in (KeyboardInterrupt, SystemExit, GeneratorExit):
        with monkeypatch.context() as patch:

            def begin(*_: object, interrupt: type[BaseException] = interrupt) -> None:
                raise interrupt

            patch.setattr(Wire, "_receive", begin)
            with pytest.raises(interrupt):
                call(transport)
        assert transport._wire._sock is None
        assert call(transport).status == 200


# Every exception has an outcome


def all_exceptions() -> list[Exception]:
    kinds: set[type] = set()
    for module in (requests.exceptions, http.client, ssl, socket, builtins):
        kinds |= {kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)}
    kinds.add(type("Unforeseen", (Exception,), {}))
    made: list[Exception] = []
    for kind in sorted(kinds, key=lambda kind: f"{kind.__module__}.{kind.__name__}"):
        for arguments in (
            (CANARY,),
            (errno.EIO, CANARY),
            ("ascii", CANARY, 0, 1, CANARY),
            ("ascii", CANARY.encode(), 0, 1, CANARY),
            (CANARY, CANARY),
            (CANARY, [ValueError(CANARY)]),
            (None, CANARY, CANARY),
            (CANARY, 0, 1, CANARY),
            (CANARY, CANARY, 0),
            (CANARY, None, None, CANARY),
            (),
        ):
            try:
                made.append(kind(*arguments))
                break
            except (TypeError, ValueError):
                continue
        else:
            raise AssertionError(f"{kind} could not be made")
    return made


@pytest.fixture(scope="module")
def looking_up() -> Iterator[tuple[Transport, Names]]:
    names = Names()
    transport = Transport(ELSEWHERE, ANY_HOST, resolver=Resolver(names))
    yield transport, names
    transport.close()


@pytest.mark.parametrize("error", all_exceptions(), ids=lambda error: type(error).__name__)
def test_every_exception_has_its_outcome(
    serve: Serve,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    looking_up: tuple[Transport,
    Names],
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    elsewhere, names = looking_up
    names.error = error
    with pytest.raises(CallError) as before:
        call(elsewhere)
    assert type(before.value) is ConnectFailed
    check_text(before.value)

    server = serve(answering(reply()))
    transport = connect(server)
    with monkeypatch.context() as patch:
        patch.setattr(requests.Session, "get_adapter", fail)
        patch.setattr(Wire, "_is_usable", fail)
        for ask in (call, fetch):
            with pytest.raises(CallError) as aside:
                ask(transport)
            assert type(aside.value) in (CallNotSent, DeadlinePassed)
            check_text(aside.value)
    assert server.connections == 0
    with monkeypatch.context() as patch:
        patch.setattr(Wire, "_receive", fail)
        with pytest.raises(CallError) as after:
            call(transport)
    assert type(after.value) is CallUnknown
    check_text(after.value)
    assert call(transport).status == 200


# Side by side


def test_a_pool_carries_calls_side_by_side_and_keeps_a_few_connections(serve: Serve, background: Background) -> None:
    everybody = threading.Barrier(8)

    def script(peer: Peer) -> None:
        while peer.read():
            everybody.wait(PATIENCE)
            peer.send(reply(b"%d" % peer.server.connections))

    server = serve(script)
    pool = TransportPool(server.url, keep=3)
    for connections in (8, 13):
        futures = [background(pool.get, "/0/public/Time", deadline=in_time(PATIENCE)) for _ in range(8)]
        assert {future.result(PATIENCE).status for future in futures} == {200}
        assert server.connections == connections
        assert len(pool._idle) == 3
    pool.close()
    with pytest.raises(EngineStopped):
        pool.get("/0/public/Time", deadline=in_time(PATIENCE))


def test_closing_a_pool_ends_what_is_under_way(serve: Serve, background: Background) -> None:
    server = serve(silent)
    before = open_files()
    pool = TransportPool(server.url)
    futures = [background(pool.get, "/", deadline=in_time(PATIENCE)) for _ in range(4)]
    until(lambda: len(server.requests) == 4)
    with Stopwatch() as watch:
        pool.close()
        for future in futures:
            with pytest.raises(CallUnknown):
                future.result(PATIENCE)
    assert watch.seconds < AT_ONCE
    server.over.set()
    until(lambda: open_files() <= before)


# Where it may connect to


@pytest.mark.parametrize(
    ("url", "any_host", "netloc"),
    [
        ("https://api.kraken.com", False, "api.kraken.com"),
        ("https://api.kraken.com/", False, "api.kraken.com"),
        ("HTTPS://API.Kraken.com:443", False, "api.kraken.com"),
        ("https://api.vip.uat.lobster.kraken.com:8443", False, "api.vip.uat.lobster.kraken.com:8443"),
        ("http://127.0.0.1:8000", False, "127.0.0.1:8000"),
        ("http://127.1.2.3", False, "127.1.2.3"),
        ("http://[::1]:8000", False, "[::1]:8000"),
        ("http://[0:0::1]", False, "[::1]"),
        ("http://localhost:8000", False, "localhost:8000"),
        ("https://exchange.test", True, "exchange.test"),
        ("https://10.0.0.1:9", True, "10.0.0.1:9"),
    ],
)
def test_these_urls_are_allowed(url: str, any_host: bool, netloc: str) -> None:
    base = check_url(url, Settings(any_host=any_host))
    assert base.netloc == netloc
    assert check_url(base.url, Settings(any_host=any_host)) == base


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.kraken.com",
        "ftp://api.kraken.com",
        "file:///etc/passwd",
        "https://",
        "https://:443",
        "https://api.kraken.com:0",
        "https://api.kraken.com:65536",
        "https://api.kraken.com:x",
        "https://api.kraken.com:",
        "https://api.kraken.com/0",
        "https://api.kraken.com/0/private",
        "https://api.kraken.com//",
        "https://api.kraken.com?",
        "https://api.kraken.com/?a=b",
        "https://api.kraken.com#",
        "https://api.kraken.com\n",
        "https://api.kra\tken.com",
        "https://api.kraken.com\\.evil.test",
        "https://evil.test\\@api.kraken.com",
        "https://api.kraken.com ",
        "https://api.kräken.com",
        "https://api..kraken.com",
        "https://-api.kraken.com",
        "https://.kraken.com",
        "https://api.kraken.com.",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        f"https://{CANARY}:{CANARY}@api.kraken.com",
        f"https://{CANARY}@api.kraken.com",
        "https://@api.kraken.com",
        None,
        b"https://api.kraken.com",
    ],
)
def test_these_urls_are_never_allowed(url: str) -> None:
    for any_host in (False, True):
        with pytest.raises(ConfigError) as caught:
            check_url(url, Settings(any_host=any_host))
        assert CANARY not in str(caught.value)
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.kraken.com",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://128.0.0.1",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://127.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://[::]",
        "http://[::2]",
        "http://localhost.",
    ],
)
def test_plain_http_leaves_this_machine_never(url: str) -> None:
    for any_host in (False, True):
        with pytest.raises(ConfigError):
            check_url(url, Settings(any_host=any_host))


@pytest.mark.parametrize(
    "url",
    [
        "https://kraken.com",
        "https://api.kraken.com.evil.test",
        "https://apikraken.com",
        "https://evilkraken.com",
        "https://kraken.com.test",
        "https://127.0.0.1",
        "https://exchange.test",
    ],
)
def test_other_hosts_need_any_host(url: str) -> None:
    with pytest.raises(ConfigError, match="any_host"):
        check_url(url, Settings())
    assert check_url(url, ANY_HOST).is_tls


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy:3128",
        "https://proxy:3128",
        "socks5://proxy:1080",
        f"http://{CANARY}@",
        f"http://me:{CANARY}@proxy",
        f"http://me:{CANARY}@proxy:x",
        f"http://me:{CANARY}@pro xy:1",
        f"http://me:{CANARY}@proxy:1/path",
        f"http://me:{CANARY}@proxy:1?x",
        "http://proxy:1#",
    ],
)
def test_a_bad_proxy_is_refused_without_repeating_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Transport(settings=Settings(proxy=url))
    assert CANARY not in str(caught.value)


def test_the_password_of_a_proxy_is_in_no_repr() -> None:
    proxy = check_proxy(f"http://me:{CANARY}%40@proxy.test:3128")
    assert proxy is not None
    assert proxy.authorization is not None
    assert "Basic" in proxy.authorization
    assert "authorization" not in repr(proxy)


def test_loopback_never_goes_through_the_proxy(serve: Serve, connect: Connect) -> None:
    proxy = serve(answering(reply(b"proxy")))
    server = serve(answering(reply(b"server")))
    assert call(connect(server, Settings(proxy=proxy.url))).body == b"server"
    assert proxy.connections == 0


PROXY_SAYS = {
    "no": (reply(b"", "403 Forbidden"), "refused with status 403"),
    "who are you": (reply(b"", "407 Proxy Authentication Required"), "user name and password"),
    "nothing": (b"", "closed without an answer"),
    "nonsense": (b"hello\r\n\r\n", "not proper HTTP"),
    "too much": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "not proper HTTP"),
    "more than asked": (b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03", "unexpected data"),
}


@pytest.mark.parametrize(("says", "why"), PROXY_SAYS.values(), ids=PROXY_SAYS)
def test_a_proxy_that_does_not_connect_is_a_failed_connection(
    serve: Serve, connect: Connect, says: bytes, why: str
) -> None:
    proxy = serve(once(says))
    settings = Settings(proxy=f"http://me:{CANARY}@127.0.0.1:{proxy.port}")
    with pytest.raises(ConnectFailed, match=why) as caught:
        call(connect("https://api.kraken.com", settings))
    assert f"api.kraken.com:443 through the proxy 127.0.0.1:{proxy.port}" in str(caught.value)
    check_text(caught.value)
    (request,) = proxy.requests
    assert "api-key" not in request.headers


@again_if_stalled
def test_a_proxy_that_stalls_ends_at_the_deadline_and_can_be_cut(
    serve: Serve, connect: Connect, background: Background
) -> None:
    proxy = serve(silent)
    transport = connect("https://api.kraken.com", Settings(proxy=proxy.url))
    with Stopwatch() as watch, pytest.raises(ConnectFailed, match="asking the proxy"):
        call(transport, 0.3)
    assert watch.seconds < 0.3 + GRACE
    proxy.asked.clear()
    future = background(call, transport)
    assert proxy.asked.wait(PATIENCE)
    with Stopwatch() as watch:
        assert transport.cut()
        with pytest.raises(CallNotSent):
            future.result(PATIENCE)
    assert watch.seconds < AT_ONCE


def test_a_read_without_a_key_that_fails_is_not_told_as_something_done(serve: Serve, connect: Connect) -> None:
    server = serve(lambda peer: peer.read())  # and closes
    with pytest.raises(CallUnknown, match="but the connection was closed") as read:
        fetch(connect(server))
    assert "may have been done" not in str(read.value)
    with pytest.raises(CallUnknown, match="and may have been done, but the connection was closed"):
        call(connect(server))
