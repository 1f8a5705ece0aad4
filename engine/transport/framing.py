"""Reads one reply from a connection: http.client's parser, with limits, and with every ambiguity an error.

http.client parses headers with the email package, which takes longer than the network. So the head of an ordinary reply
is parsed here, where "ordinary" means that no two parsers could read it differently. Everything else is left to
http.client, with nothing consumed.
"""

from __future__ import annotations

import functools
import io
import re
import socket
from collections.abc import Callable, Mapping
from http.client import HTTPMessage, HTTPResponse
from typing import Any, NamedTuple, cast

HEAD_LIMIT = 256 * 1024  # bytes of status line and headers
BUFFER = 64 * 1024  # bytes received at once
KEPT = ("Date", "Content-Type", "Retry-After")  # the headers of a reply that are used


class WireError(Exception):
    """What went wrong, as part of a sentence; holds nothing that the server or the caller wrote."""


class HttpReply(NamedTuple):
    """A response, whatever its status; the last three fields are headers, unchanged."""

    status: int
    body: bytes
    date: str | None
    content_type: str | None
    retry_after: str | None = None


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


class PlainHead(NamedTuple):
    """What the head of an ordinary reply says. `size` is its length in bytes, `length` that of the body."""

    size: int
    status: int
    length: int
    closes: bool
    headers: Mapping[str, str]


_HEAD_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [ -~]*")
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t -~]*)")
_NO_BODY = frozenset((204, 304))
_CLOSES = {"keep-alive": False, "close": True}
_MOST_LINES = 90
_LONGEST_HEAD = 8192  # bytes; it bounds what is remembered
_LONGEST_LENGTH = 12  # digits
_ODD = ("", None)


def plain_head(data: bytes) -> PlainHead | None:
    """The head at the beginning of `data`, or `None` when it is not all there or not ordinary.

    Ordinary is HTTP/1.1 with a reason, whole lines of printable ASCII, few bytes, one ``Content-Length``, no transfer
    or content encoding, a ``Connection`` of one known word, and a status with a body. Never says other than http.client
    would.
    """
    end = data.find(_HEAD_END, 0, _LONGEST_HEAD)
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    status, told = _status(first), [each for each in map(_told, lines) if each is not None]
    said: dict[str, Any] = dict(told)
    is_clear = len(said) == len(told) and _ODD not in told and "Content-Length" in said
    if status is None or not is_clear or len(lines) > _MOST_LINES:
        return None
    return PlainHead(end + len(_HEAD_END), status, said.pop("Content-Length"), said.pop("Connection", False), said)


@functools.lru_cache(maxsize=16)
def _status(line: bytes) -> int | None:
    """The status of an ordinary status line of a reply that has a body."""
    found = _STATUS.fullmatch(line)
    return None if found is None or int(found[1]) in _NO_BODY else int(found[1])


@functools.lru_cache(maxsize=64)
def _told(line: bytes) -> tuple[str, object] | None:
    """What a header line says: the name with the text, the length, or whether the connection closes.

    `None` for a header that is not used, `_ODD` for a line that is left to http.client. Remembered, since from one
    reply to the next few lines change.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        return _ODD
    name, text = found[1].decode().title(), found[2].decode()
    match name:
        case "Content-Length":
            return (name, int(text)) if text.isdigit() and len(text) <= _LONGEST_LENGTH else _ODD
        case "Connection":
            return (name, _CLOSES[text.lower()]) if text.lower() in _CLOSES else _ODD
        case "Transfer-Encoding" | "Content-Encoding":
            return _ODD
        case "Content-Type" if not text.startswith(("application/", "text/")):
            return _ODD  # of other types the email parser reads the body as well
    return (name, text) if name in KEPT else None
