"""Reads any reply from a connection: http.client's parser, with limits, and with every ambiguity an error.

Imported when the first reply comes that `framing` does not read: it takes a while. What http.client raises ends here,
as a `WireError` in words of ours.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPException, HTTPMessage, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any, cast

from engine.transport.framing import NoReply, WireError


class Tap(io.RawIOBase):
    """Lets a limited number of bytes through: first those `ahead`, which were received already.

    `receive` fills a buffer and returns the count; 0 is the end.
    """

    def __init__(self, receive: Callable[[memoryview], int], ahead: bytes = b"") -> None:
        self._receive = receive
        self._ahead = ahead
        self._budget = 0
        self._is_open = False

    def open(self, budget: int) -> None:
        self._budget = budget
        self._is_open = True

    def has_more(self, stream: Stream) -> bool:
        """Close the tap; whether something is left in the stream behind it."""
        self._is_open = False
        return bool(stream.peek(1) or self._ahead)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._is_open:
            return None  # to a BufferedReader: nothing now
        count = self._take(buffer)
        self._budget -= count
        if self._budget < 0:
            raise WireError("the reply is too long")
        return count

    def _take(self, buffer: memoryview) -> int:
        if not self._ahead:
            return self._receive(buffer)
        first, self._ahead = self._ahead[: len(buffer)], self._ahead[len(buffer) :]
        buffer[: len(first)] = first
        return len(first)


class Stream(io.BufferedReader):
    """A stream that stays open when a reply read from it closes it."""

    def makefile(self, mode: str) -> Stream:
        return self

    def close(self) -> None:
        pass


class FramedResponse(HTTPResponse):
    """A reply whose headers leave no doubt about where its body ends."""

    def __init__(self, stream: Stream, method: str | None = None) -> None:
        super().__init__(cast(socket.socket, stream), method=method)

    def begin(self) -> None:
        """Read status and headers of the final reply; http.client would return 103 Early Hints."""
        while True:
            with _in_our_words():
                super().begin()
            if not 100 <= self.status < 200 or self.status == 101:
                return
            self.headers = self.msg = cast(HTTPMessage, None)

    def read(self, amt: int | None = None) -> bytes:
        """The body, or so many bytes of it."""
        with _in_our_words():
            return super().read(amt)

    def check(self, limit: int) -> None:
        """Raises `WireError` for what http.client would read in one of several ways."""
        if self.status == 101:
            raise WireError("the server changed the protocol")
        if self.headers.defects:
            raise WireError("its headers are not proper HTTP")
        for coding in self.headers.get_all("content-encoding", []):
            if coding.strip().lower() not in ("", "identity"):
                raise WireError("the reply is compressed although no compression was accepted")
        codings = [coding.strip().lower() for coding in self.headers.get_all("transfer-encoding", [])]
        if codings not in ([], ["chunked"]):
            raise WireError("its transfer encoding is not a known one")
        lengths = {length.strip() for length in self.headers.get_all("content-length", [])}
        if len(lengths) > 1 or not all(text.isascii() and text.isdigit() for text in lengths):
            raise WireError("its length is ambiguous")
        if lengths and self.length is None and not self.chunked:
            raise WireError("its length is ambiguous")
        if self.length is not None and self.length > limit:
            raise WireError(f"the reply is longer than {limit} bytes")


@contextlib.contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except RemoteDisconnected:
        raise NoReply from None
    except IncompleteRead:
        raise WireError("the reply broke off") from None
    except HTTPException as error:
        raise WireError(f"the reply is not proper HTTP ({type(error).__name__})") from None
