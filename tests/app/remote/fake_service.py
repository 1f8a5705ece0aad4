"""A service that answers what a test tells it to, over a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.app.remote import codec
from engine.ownership.local_socket import SOCKET_NAME
from tests.stopwatch import PATIENCE

HELLO = {"pid": os.getpid(), "live": True, "call_timeout": PATIENCE}


class FakeService:
    """`answer(question, asked)` gives what is sent back, byte by byte; `None` closes the connection instead."""

    def __init__(
        self, directory: Path, answer: Callable[[str, Any], bytes | None], listening: socket.socket | None = None
    ) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.authorizations: list[str] = []
        self._answer = answer
        self._socket = _listening(directory) if listening is None else listening
        self._thread = threading.Thread(target=self._run, name="fake service")
        self._thread.start()

    def __enter__(self) -> FakeService:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def questions(self, name: str) -> list[Any]:
        """The arguments of every question of that name."""
        return [asked for question, asked in self.asked if question == name]

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._serve(self._socket.accept()[0])

    def _serve(self, connection: socket.socket) -> None:
        """One question to a connection."""
        with connection, connection.makefile("rb") as received:
            head = received.readline().split()
            length = 0
            while (line := received.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                if name.lower() == b"authorization":
                    self.authorizations.append(value.strip().decode())
            question, asked = head[1].decode().rpartition("/")[2], codec.read(received.read(length))
            self.asked.append((question, asked))
            told = result(HELLO) if question == "hello" else self._answer(question, asked)
            if told is not None:
                connection.sendall(told)


def _listening(directory: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(directory / SOCKET_NAME))
    made.listen()
    return made


def result(value: Any, status: str = "200 OK") -> bytes:
    """A whole answer of the service."""
    body = codec.write({"result": value})
    return f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
