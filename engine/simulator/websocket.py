"""One client's WebSocket, by RFC 6455 as published: the handshake, frames, and the closing. Nothing about Kraken.

A server answers text with text; what the client must not send (unmasked frames, reserved bits, broken UTF-8) closes the
connection with the code that the RFC names. No extension is accepted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from engine.simulator.wire import Request

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LONGEST = 1 << 20  # bytes of a message
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_KNOWN = frozenset({_CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
NORMAL, PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1000, 1002, 1007, 1009


class Violation(Exception):
    """The client broke the protocol; `code` closes the connection."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


def is_upgrade(request: Request) -> bool:
    """Whether a request asks for a WebSocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


def accepted(request: Request) -> bytes | None:
    """The bytes that accept an upgrade; `None` for one that is not as the RFC has it."""
    headers, key = request.headers, request.headers.get("sec-websocket-key", "")
    asks = "upgrade" in headers.get("connection", "").lower().replace(" ", "").split(",")
    if request.method != "GET" or not asks or headers.get("sec-websocket-version") != "13" or not _is_key(key):
        return None
    proof = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
    return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {proof}", "", ""]).encode()


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


class Frame(NamedTuple):
    """One frame of a client's, unmasked."""

    is_final: bool
    opcode: int
    payload: bytes


def frame(opcode: int, payload: bytes) -> bytes:
    """A server's frame: final and unmasked."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
    return head + payload


class FrameReader:
    """Cuts a client's bytes into frames. Raises `Violation`."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes."""
        self._buffer += data
        found = []
        while (each := self._next()) is not None:
            found.append(each)
        return found

    def _next(self) -> Frame | None:
        data = self._buffer
        if len(data) < 2:
            return None
        is_final, opcode, size = bool(data[0] & 0x80), data[0] & 0x0F, data[1] & 0x7F
        _check_head(data[0], data[1])
        start = 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < 2 + width:
                return None
            size, start = int.from_bytes(data[2 : 2 + width], "big"), 2 + width
        if size > _LONGEST:
            raise Violation(TOO_BIG, "too big")
        end = start + 4 + size
        if len(data) < end:
            return None
        mask, masked = data[start : start + 4], data[start + 4 : end]
        del data[:end]
        return Frame(is_final, opcode, bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked)))


def _check_head(first: int, second: int) -> None:
    opcode = first & 0x0F
    if first & 0x70 or opcode not in _KNOWN:
        raise Violation(PROTOCOL_ERROR, "reserved bits or opcode")
    if not second & 0x80:
        raise Violation(PROTOCOL_ERROR, "a client's frames are masked")
    if opcode >= CLOSE and (not first & 0x80 or second & 0x7F > 125):
        raise Violation(PROTOCOL_ERROR, "a control frame is short and whole")


class WebSocket:
    """A connection after its upgrade. `send` and `close` are for any thread; `converse` runs in the connection's."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames = FrameReader()
        self._parts: list[bytes] = []
        self._outgoing: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._wake, self._woken = socket.socketpair()
        self._is_closing = False
        self._is_over = False

    def send(self, text: str) -> None:
        """Send a message, after those before it. Returns at once."""
        self.send_frame(TEXT, text.encode())

    def send_frame(self, opcode: int, payload: bytes) -> None:
        """Send a frame of any kind. Returns at once; after a closing frame nothing is sent."""
        with self._lock:
            if self._is_closing:
                return
            self._is_closing = opcode == CLOSE
            self._outgoing.append(frame(opcode, payload))
        with suppress(OSError):  # it is over
            self._wake.send(b"!")

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a closing frame; the connection ends with the client's, or a moment later."""
        self.send_frame(CLOSE, struct.pack("!H", code) + reason.encode())

    def abort(self) -> None:
        """Cut the connection without a closing frame."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def converse(self, take: Callable[[str], None], tick: Callable[[], None], every: float) -> None:
        """Serve the connection until it is over: `take` gets each text, `tick` is called every so many seconds."""
        due = time.monotonic() + every
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._sock, selectors.EVENT_READ)
                selector.register(self._woken, selectors.EVENT_READ)
                while not self._is_over:
                    ready = {key.fileobj for key, _ in selector.select(max(0.0, due - time.monotonic()))}
                    if self._sock in ready:
                        self._read(take)
                    if self._woken in ready:
                        self._woken.recv(4096)
                    if time.monotonic() >= due:
                        due = time.monotonic() + every
                        tick()
                    self._write()
        finally:
            with self._lock:
                self._is_closing = True
            self._wake.close()
            self._woken.close()

    def _read(self, take: Callable[[str], None]) -> None:
        data = self._sock.recv(65536)
        self._is_over = not data
        try:
            for each in self._frames.feed(data):
                self._take(each, take)
        except Violation as broken:
            self.close(broken.code, broken.reason)
            self._write()
            self._is_over = True

    def _take(self, each: Frame, take: Callable[[str], None]) -> None:
        if each.opcode == CLOSE:
            self.send_frame(CLOSE, each.payload[:2])
            self._write()
            self._is_over = True
        elif each.opcode == PING:
            self.send_frame(PONG, each.payload)
        elif each.opcode != PONG:
            self._collect(each, take)

    def _collect(self, each: Frame, take: Callable[[str], None]) -> None:
        if (each.opcode == _CONTINUATION) != bool(self._parts):
            raise Violation(PROTOCOL_ERROR, "a message within a message")
        if each.opcode == BINARY:
            raise Violation(1003, "text only")
        self._parts.append(each.payload)
        if sum(map(len, self._parts)) > _LONGEST:
            raise Violation(TOO_BIG, "too big")
        if not each.is_final:
            return
        message, self._parts = b"".join(self._parts), []
        try:
            take(message.decode())
        except UnicodeDecodeError:
            raise Violation(NOT_UTF8, "not UTF-8") from None

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._outgoing:
                    return
                data = b"".join(self._outgoing)
                self._outgoing.clear()
            self._sock.sendall(data)
