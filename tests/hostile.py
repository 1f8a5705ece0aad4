"""A server that keeps no promise: real sockets, scripted by the test, of another make than the simulator's."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs

PATIENCE = 60.0  # seconds after which a thread of the server gives up


class Arrived(NamedTuple):
    """One request that was read to its end, in the order of arrival."""

    endpoint: str
    key: str | None
    nonce: int | None
    tag: str | None
    """The caller's mark: which of the test's calls this is."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: Hostile, sock: socket.socket) -> None:
        self.server = server
        self._sock = sock
        self._buffer = b""

    def read(self) -> Arrived | None:
        """The next request, or `None` when the client has hung up."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        length = int(headers.get("content-length", "0"))
        while len(rest) < length:
            if not self._more():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        body, self._buffer = rest[:length], rest[length:]
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        key = next((line.split(": ", 1)[1] for line in lines if line.lower().startswith("api-key: ")), None)
        nonce = int(fields["nonce"]) if "nonce" in fields else None
        tag = fields.get("userref") or fields.get("txid")
        return self.server.note(Arrived(first.split(" ")[1].rpartition("/")[2], key, nonce, tag))

    def _more(self) -> bool:
        piece = self._sock.recv(65536)
        self._buffer += piece
        return bool(piece)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def drip(self, data: bytes) -> None:
        """One byte every 10 ms, over and over, until the client has had enough."""
        while True:
            for at in range(len(data)):
                if self.server.over.wait(0.01):
                    return
                self.send(data[at : at + 1])

    def hold(self) -> None:
        """Keep the connection and say nothing until the client hangs up or the test is over."""
        with contextlib.suppress(OSError):
            while not self.server.over.is_set() and self._sock.recv(65536):
                pass

    def ignore(self) -> None:
        """Never read a byte."""
        self.server.let_go.wait(PATIENCE)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.close(self._sock)


Act = Callable[[Peer], object]

GOOD: dict[str, Any] = {
    "BalanceEx": {"ZUSD": {"balance": "171.50", "hold_trade": "0.00"}},
    "TradeBalance": {"eb": "1.5"},
    "AddOrder": {"descr": {"order": "buy"}, "txid": ["OAAAAA-AAAAA-AAAAAA"]},
    "CancelOrder": {"count": 1},
}


class Hostile:
    """Answers well, but for calls of the `targets`, which meet `on_call`, and connections that meet `at_accept`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.over = threading.Event()
        self.let_go = threading.Event()
        self.on_call: Act | None = None
        self.at_accept: Act | None = None
        self.targets: frozenset[str] = frozenset()
        self.arrived: list[Arrived] = []
        self._tls = tls
        self._lock = threading.Lock()
        self._socks: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https://localhost' if tls else 'http://127.0.0.1'}:{self.port}"
        self._start(self._accept)

    def note(self, arrived: Arrived) -> Arrived:
        with self._lock:
            self.arrived.append(arrived)
        return arrived

    def count(self, tag: str) -> int:
        """How often a call of that mark arrived."""
        with self._lock:
            return sum(each.tag == tag for each in self.arrived)

    def nonces(self) -> dict[str, list[int]]:
        """The nonces of each key as they arrived."""
        seen: dict[str, list[int]] = {}
        with self._lock:
            for each in self.arrived:
                if each.key is not None and each.nonce is not None:
                    seen.setdefault(each.key, []).append(each.nonce)
        return seen

    def behave(self) -> None:
        """Answer well again."""
        self.on_call = self.at_accept = None
        self.let_go.set()

    def misbehave(self, *, on_call: Act | None = None, at_accept: Act | None = None, targets: frozenset[str]) -> None:
        """Meet calls of the targets with `on_call`; drop all connections so that the next meets `at_accept`."""
        self.let_go.clear()
        self.on_call, self.at_accept, self.targets = on_call, at_accept, targets
        if at_accept is not None:
            self.hang_up()

    def hang_up(self) -> None:
        """Cut all connections."""
        with self._lock:
            socks = list(self._socks)
        for sock in socks:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def close(self) -> None:
        self.over.set()
        self.let_go.set()
        with socket.socket() as knock:  # accept is not woken by closing its socket
            knock.settimeout(PATIENCE)
            knock.connect_ex(("127.0.0.1", self.port))
        self.hang_up()
        for thread in self._threads:
            thread.join(PATIENCE + 1)
            assert not thread.is_alive()
        self._listener.close()

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        self._threads = [each for each in self._threads if each.is_alive()]
        thread = threading.Thread(target=run, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            if self.over.is_set():
                sock.close()
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(PATIENCE)
        with self._lock:
            self._socks.add(sock)
        plain = sock
        try:
            act = self.at_accept
            if act is not None:
                act(Peer(self, sock))
                return
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                with self._lock:
                    self._socks.add(sock)
            self._talk(Peer(self, sock))
        except (OSError, ValueError):
            pass  # the client went away, which is what most tests are about
        finally:
            with self._lock:
                self._socks -= {plain, sock}
                socket.socket.close(sock)

    def _talk(self, peer: Peer) -> None:
        while (arrived := peer.read()) is not None:
            act = self.on_call
            if act is not None and arrived.endpoint in self.targets:
                if act(peer) is not True:
                    return
            else:
                peer.send(good_reply(arrived.endpoint))


def good_reply(endpoint: str) -> bytes:
    result = {"unixtime": int(time.time())} if endpoint == "Time" else GOOD[endpoint]
    return reply(json.dumps({"error": [], "result": result}).encode())


def reply(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def answers(data: bytes) -> Act:
    """Send these bytes and keep the connection."""

    def act(peer: Peer) -> bool:
        peer.send(data)
        return True

    return act


def says(data: bytes) -> Act:
    """Send these bytes and close the connection."""

    def act(peer: Peer) -> None:
        peer.send(data)

    return act
