"""Reads the head of an ordinary reply, where "ordinary" means that no two parsers could read it differently.

Everything else is left to http.client (`any_reply`), with nothing consumed: that parses headers with the email package,
which takes longer than the network, and longer to import than the transport.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

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
_PLAIN = re.compile(rb"HTTP/1\.1 [2-5][0-9]{2} [ -~]*(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*){1,90}")
_TELLING = re.compile(
    rb"\r\n(connection|content-encoding|content-length|content-type|date|retry-after|transfer-encoding):[\t ]*([^\r]*)",
    re.IGNORECASE,
)
_CLOSES = {b"keep-alive": False, b"close": True}
_LONGEST_LENGTH = 12  # digits


def plain_head(data: bytes) -> PlainHead | None:
    """The head at the beginning of `data`, or `None` when it is not all there or not ordinary.

    Ordinary is HTTP/1.1 with a reason, whole lines of printable ASCII, one ``Content-Length``, no transfer or content
    encoding, a ``Connection`` of one known word, and a status with a body. Never says other than http.client would.
    """
    end = data.find(_HEAD_END)
    if end < 0 or _PLAIN.fullmatch(data, 0, end) is None:
        return None
    found = _TELLING.findall(data, 0, end)
    said = {name.lower(): value for name, value in found}
    length, kind = said.get(b"content-length", b""), said.get(b"content-type", b"text/plain")
    closes = _CLOSES.get(said.get(b"connection", b"keep-alive").lower())
    status = int(data[9:12])
    if (
        len(said) != len(found) or closes is None or not length.isdigit() or len(length) > _LONGEST_LENGTH
        or b"transfer-encoding" in said or b"content-encoding" in said or status in _NO_BODY
        or not kind.startswith((b"application/", b"text/"))  # the email parser looks into the others
    ):  # fmt: skip
        return None
    headers = {name: said[key].decode("ascii") for name, key in _KEPT if key in said}
    return PlainHead(end + len(_HEAD_END), status, int(length), closes, headers)


_NO_BODY = frozenset((204, 304))
_KEPT = tuple((name, name.lower().encode()) for name in KEPT)
