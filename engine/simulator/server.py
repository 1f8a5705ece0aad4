"""The HTTP server: sockets and threads, and nothing about Kraken.

A running `HttpServer` has one thread that accepts and one per open connection. Closing it ends them
all: it cuts every connection, and no thread that serves a client waits without a way to be woken.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from engine.simulator.wire import BadRequest, Ending, HttpResponse, Plan, Request, read_request

_RESET = struct.pack("ii", 1, 0)  # linger for no time: close() then sends RST


class Gone(ConnectionError):
    """The connection is gone: the server is closing."""


class Port:
    """A TCP port that stays reserved while nothing listens on it.

    Between two listeners it is held by a socket that only binds. Otherwise another program could be
    given the port, and a client that goes on connecting to it could even be connected to itself.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self.number = port
        self._held: socket.socket | None = None

    def listen(self) -> socket.socket:
        """Begin to listen; the caller closes the socket."""
        self.release()
        listener = self._bind()
        listener.listen(128)
        listener.setblocking(False)
        return listener

    def hold(self) -> None:
        """Keep the port without listening: connections are refused."""
        self._held = self._bind()

    def release(self) -> None:
        """Release a reserved port."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((self._host, self.number))
        except OSError:
            bound.close()
            raise
        self.number = bound.getsockname()[1]
        return bound

    def __del__(self) -> None:
        self.release()


class Link:
    """One client's connection."""

    def __init__(self, sock: socket.socket, closing: threading.Event) -> None:
        self._sock = sock
        self._closing = closing

    @property
    def socket(self) -> socket.socket:
        """The connection itself, for a protocol that is not HTTP."""
        return self._sock

    @property
    def is_closing(self) -> bool:
        """Whether the server is closing, so that no call should wait."""
        return self._closing.is_set()

    def has_client(self) -> bool:
        """Say whether the client is still there, waiting."""
        try:
            return self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def play(self, plan: Plan, before_last: Callable[[], None] = lambda: None) -> None:
        """Send the plan; `before_last` runs before the last piece."""
        final = len(plan.pieces) - 1
        for number, piece in enumerate(plan.pieces):
            if piece.pause and self._closing.wait(piece.pause):
                raise Gone
            if number == final:
                before_last()
            self._sock.sendall(piece.data)
        if plan.ending is Ending.RESET:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


Serve = Callable[[Request, Link], Ending]


class HttpServer:
    """Serves one listener until `close()`. `serve` runs in the connection's own thread."""

    def __init__(self, listener: socket.socket, serve: Serve, *, date: Callable[[], str]) -> None:
        self._listener = listener
        self._serve = serve
        self._date = date
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, threading.Thread] = {}
        self._wake, self._woken = socket.socketpair()
        self.refuses = False
        self.accepted = 0
        self._acceptor = threading.Thread(target=self._accept, name="simulator", daemon=True)
        self._acceptor.start()

    def stop_accepting(self) -> None:
        """Close the listener, so that its port is free."""
        self._closing.set()
        self._wake.send(b"!")
        self._acceptor.join()
        for ours in (self._wake, self._woken, self._listener):
            ours.close()

    def close(self) -> None:
        """Cut every connection and wait for their threads; after `stop_accepting()`."""
        with self._lock:
            threads = list(self._open.values())
        self.drop_connections()
        for thread in threads:
            thread.join()

    def drop_connections(self) -> None:
        """Cut every open connection."""
        with self._lock:
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._closing.is_set():
                if any(key.fileobj is self._listener for key, _ in selector.select()):
                    self._admit()

    def _admit(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # the client disconnected before it was accepted
        self.accepted += 1
        if self.refuses:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            sock.close()
            return
        sock.setblocking(True)
        # A reply held back until the client's delayed ACK costs 40 ms a call.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = threading.Thread(
            target=self._converse, args=(sock,), name="simulator connection", daemon=True
        )
        with self._lock:
            self._open[sock] = thread
        thread.start()

    def _converse(self, sock: socket.socket) -> None:
        link = Link(sock, self._closing)
        stream = sock.makefile("rb")
        try:
            while self._answer_next(stream, link):
                pass
        except OSError:
            pass  # the client disconnected, or the server is closing
        finally:
            stream.close()
            with self._lock:  # a reused descriptor must not be closed
                sock.close()
                del self._open[sock]

    def _answer_next(self, stream: BinaryIO, link: Link) -> bool:
        try:
            request = read_request(stream)
        except BadRequest as bad:
            reply = HttpResponse(
                bad.status, b"", self._date(), content_type="text/plain", keep_alive=False
            )
            link.play(reply.plan())
            return False
        return request is not None and self._serve(request, link) is Ending.KEEP
