"""Reads the head of an ordinary reply, where "ordinary" means that no two parsers could read it differently.

Everything else is left to http.client (`any_reply`), with nothing consumed: that parses headers with the email package,
which takes longer than the network, and longer to import than the transport.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

HEAD_LIMIT = 256 * 1024  # bytes of status line and headers
BUFFER = 64 * 1024  # bytes received at once
KEPT = ("Date", "Content-Type", "Retry-After")  # the headers of a reply that are used


class WireError(Exception):
    """What went wrong, as part of a sentence; holds nothing that the server or the caller wrote."""


class NoReply(WireError, ConnectionResetError):
    """The connection was closed before a reply began."""

    def __init__(self) -> None:
        super().__init__("the connection was closed without an answer")


class HttpReply(NamedTuple):
    """A response, whatever its status; the last three fields are headers, unchanged."""

    status: int
    body: bytes
    date: str | None
    content_type: str | None
    retry_after: str | None = None


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
_LONGEST_LENGTH = 12  # digits
_ODD = ("", None)


def plain_head(data: bytes) -> PlainHead | None:
    """The head at the beginning of `data`, or `None` when it is not all there or not ordinary.

    Ordinary is HTTP/1.1 with a reason, whole lines of printable ASCII, one ``Content-Length``, no transfer or content
    encoding, a ``Connection`` of one known word, and a status with a body. Never says other than http.client would.
    """
    end = data.find(_HEAD_END)
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
