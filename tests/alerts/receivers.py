"""Receivers of alerts on loopback: a webhook (also spoken to by ntfy), and a mail server."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.stopwatch import PATIENCE


class Received:
    """What arrived; a test waits for the message it is after."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.status = 200
        self.hold: threading.Event | None = None
        self._changed = threading.Condition()

    def add(self, message: Any) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait_for(self, number: int) -> list[Any]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.messages) >= number, PATIENCE), self.messages
            return list(self.messages)

    def wait_for_title(self, beginning: str) -> None:
        """Return when a message whose title begins like that is here; others may come before it."""
        with self._changed:
            begins = lambda: any(each["title"].startswith(beginning) for each in self.messages)  # noqa: E731
            assert self._changed.wait_for(begins, PATIENCE), self.messages


@contextlib.contextmanager
def webhook() -> Iterator[tuple[Received, int]]:
    """An HTTP server that takes JSON in and answers with `status`, after `hold`."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if received.hold is not None:
                received.hold.wait(PATIENCE)
            received.add(json.loads(body))
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield received, server.server_address[1]
        finally:
            if received.hold is not None:
                received.hold.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def mail_server() -> Iterator[tuple[Received, int]]:
    """An SMTP server as plain as one can be; it keeps each message's text."""
    received = Received()

    class Handler(socketserver.StreamRequestHandler):
        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

        def handle(self) -> None:
            self._say("220 here")
            while line := self.rfile.readline():
                command = line.strip().upper()
                if command == b"DATA":
                    self._say("354 go on")
                    text = b""
                    while (line := self.rfile.readline()).rstrip() != b".":
                        text += line
                    received.add(text.decode())
                    self._say("250 taken")
                elif command == b"QUIT":
                    self._say("221 bye")
                    return
                else:
                    is_known = command.startswith((b"EHLO", b"HELO", b"MAIL", b"RCPT", b"RSET"))
                    self._say("250 here" if is_known else "502 no")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield received, server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
