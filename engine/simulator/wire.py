"""HTTP requests, HTTP responses, and the plan by which a response is sent."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from email.message import Message
from enum import Enum
from typing import BinaryIO, NamedTuple

_LONGEST_LINE = 65536
_LONGEST_BODY = 1 << 20


class BadRequest(Exception):
    """The input is not HTTP that this server accepts; `status` is the status of the response."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request(NamedTuple):
    """One HTTP request. Header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


def read_request(stream: BinaryIO) -> Request | None:
    """Read the next request; `None` if the client has disconnected. Raises `BadRequest`."""
    line = stream.readline(_LONGEST_LINE)
    if not line:
        return None
    parts = line.decode("latin-1").split()
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequest(400)
    if parts[0] not in ("GET", "POST"):
        raise BadRequest(405)
    try:
        message = http.client.parse_headers(stream)
    except http.client.HTTPException:
        raise BadRequest(400) from None
    length = _body_length(message)
    body = stream.read(length)
    if len(body) < length:
        return None
    headers = {name.lower(): value for name, value in message.items()}
    return Request(parts[0], parts[1], headers, body, _keeps_alive(parts[2], headers))


def _body_length(headers: Message) -> int:
    if "Transfer-Encoding" in headers:
        raise BadRequest(411)
    text = headers.get("Content-Length", "0")
    if not (text.isascii() and text.isdecimal()):
        raise BadRequest(400)
    if int(text) > _LONGEST_BODY:
        raise BadRequest(413)
    return int(text)


def _keeps_alive(version: str, headers: Mapping[str, str]) -> bool:
    wish = headers.get("connection", "").lower()
    return wish == "keep-alive" if version == "HTTP/1.0" else wish != "close"


class Ending(Enum):
    """What happens to the connection after a reply."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


class Piece(NamedTuple):
    """Bytes to send, after a pause of so many seconds."""

    pause: float
    data: bytes


class Plan(NamedTuple):
    """The pieces to send, and how the connection ends."""

    pieces: tuple[Piece, ...]
    ending: Ending = Ending.KEEP


class HttpResponse(NamedTuple):
    """One HTTP response."""

    status: int
    body: bytes
    date: str
    content_type: str = "application/json"
    server: str = "simulator"
    keep_alive: bool = True
    location: str | None = None
    retry_after: str | None = None

    def head(self) -> bytes:
        """The status line and the headers, up to and with the empty line."""
        fields = {
            "Date": self.date,
            "Server": self.server,
            "Content-Type": self.content_type,
            "Content-Length": str(len(self.body)),
            "Location": self.location,
            "Retry-After": self.retry_after,
            "Connection": "keep-alive" if self.keep_alive else "close",
        }
        reason = http.client.responses.get(self.status, "Unknown")
        lines = [f"HTTP/1.1 {self.status} {reason}"]
        lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def plan(self) -> Plan:
        """The whole reply in one piece."""
        ending = Ending.KEEP if self.keep_alive else Ending.CLOSE
        return Plan((Piece(0, self.head() + self.body),), ending)
