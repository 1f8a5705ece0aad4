"""How one reply is read off a connection: http.client's parser, with limits, and with doubt as an error."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from http.client import HTTPMessage, HTTPResponse
from typing import Any, cast


class WireError(Exception):
    """What went wrong, as part of a sentence; holds nothing that the server or the caller wrote."""


class Tap(io.RawIOBase):
    """Lets so many bytes through, and no more. `receive` fills a buffer and says how far; 0 is the end."""

    def __init__(self, receive: Callable[[memoryview], int]) -> None:
        self._receive = receive
        self._budget = 0
        self._is_open = False

    def open(self, budget: int) -> None:
        self._budget = budget
        self._is_open = True

    def has_more(self, stream: Stream) -> bool:
        """Close the tap; whether something is left in the stream behind it."""
        self._is_open = False
        return bool(stream.peek(1))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._is_open:
            return None  # to a BufferedReader: nothing now
        count = self._receive(buffer)
        self._budget -= count
        if self._budget < 0:
            raise WireError("the reply is too long")
        return count


class Stream(io.BufferedReader):
    """Outlives the replies read from it, each of which closes it at its end."""

    def makefile(self, mode: str) -> Stream:
        return self

    def close(self) -> None:
        pass


class Reply(HTTPResponse):
    """A reply whose headers leave no doubt about where its body ends."""

    def __init__(self, stream: Stream, method: str | None = None) -> None:
        super().__init__(cast(socket.socket, stream), method=method)

    def begin(self) -> None:
        """Read status and headers of the real reply; http.client takes 103 Early Hints for one."""
        while True:
            super().begin()
            if not 100 <= self.status < 200 or self.status == 101:
                return
            self.headers = self.msg = cast(HTTPMessage, None)

    def check(self, limit: int) -> None:
        """Raises `WireError` for what http.client would read in one of several ways."""
        if self.status == 101:
            raise WireError("the server changed the protocol")
        if self.headers.defects:
            raise WireError("its headers are not proper HTTP")
        for coding in self.headers.get_all("content-encoding", []):
            if coding.strip().lower() not in ("", "identity"):
                raise WireError("the reply is compressed, though it was asked not to be")
        codings = [coding.strip().lower() for coding in self.headers.get_all("transfer-encoding", [])]
        if codings not in ([], ["chunked"]):
            raise WireError("its transfer encoding is not a known one")
        lengths = {length.strip() for length in self.headers.get_all("content-length", [])}
        if len(lengths) > 1 or not all(text.isascii() and text.isdigit() for text in lengths):
            raise WireError("it does not say clearly how long it is")
        if lengths and self.length is None and not self.chunked:
            raise WireError("it does not say clearly how long it is")
        if self.length is not None and self.length > limit:
            raise WireError(f"the reply is longer than {limit} bytes")
