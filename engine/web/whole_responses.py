"""A transport that sends the head of a response together with its body: one system call instead of two."""

from __future__ import annotations

from typing import Any

_HEAD, _LENGTH = b"HTTP/", b"\r\ncontent-length:"


class WholeResponses:
    """A transport of asyncio's as uvicorn writes to it: the head, the body and its end, one after the other.

    The head of a response with a length is held until the next write, since its body is behind it. That of a stream,
    whose first part may take its time, goes out at once.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, or hold a head."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD) and _LENGTH in data:
            self._head = data
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if self._head:
            self.write(b"")
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
