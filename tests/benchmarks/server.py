"""A loopback exchange that is as fast as one Python thread can be, so that a client's time is the client's own.

It reads HTTP/1.1 with keep-alive, checks that the nonces of each key rise, and answers every private call with the same
balance. It checks no signature: the simulator of the engine does, and is ten times slower for it. It runs in its own
process and prints its port; it ends when its standard input does.

``/set?delay=SECONDS`` makes it wait before each reply (0 also ends all waiting), ``/stats`` says what it counted since
it was last asked.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import select
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from email.utils import formatdate
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\napi-key: *([^\r]*)", re.IGNORECASE)
_NONCE = re.compile(rb"nonce\"?[=:] *\"?(\d+)")
_HEAD_END = b"\r\n\r\n"

BALANCE = (
    b'{"error":[],"result":{"ZUSD":{"balance":"18000.0000","hold_trade":"120.5000"},'
    b'"XXBT":{"balance":"1.2345678900","hold_trade":"0.0000000000"},'
    b'"XETH":{"balance":"10.0000000000","hold_trade":"2.0000000000"}}}'
)
REFUSED = b'{"error":["EAPI:Invalid nonce"]}'


def _reply(body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 200 OK\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n"
        "X-Frame-Options: DENY\r\n\r\n"
    )
    return head.encode() + body


class Exchange:
    """One thread, one epoll loop."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port: int = self._listener.getsockname()[1]
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._poll.register(sys.stdin, select.POLLIN)
        self._open: dict[int, socket.socket] = {}
        self._read: dict[int, bytes] = {}
        self._last: dict[bytes, int] = {}
        self._due: list[tuple[float, int, int, float, bytes]] = []
        self._delay = 0.0
        self._forget()
        self._balance, self._refused, self._dated = _reply(BALANCE), _reply(REFUSED), time.monotonic()

    def run(self) -> None:
        """Serve until standard input ends."""
        while True:
            wait = None if not self._due else max(0.0, 1000 * (self._due[0][0] - time.monotonic()))
            for descriptor, _ in self._poll.poll(wait):
                if descriptor == sys.stdin.fileno():
                    return
                if descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._serve(descriptor)
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, descriptor, arrived, reply = heapq.heappop(self._due)
                self._answer(descriptor, arrived, reply)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._open[connection.fileno()], self._read[connection.fileno()] = connection, b""
        self._poll.register(connection, select.POLLIN)

    def _serve(self, descriptor: int) -> None:
        arrived = time.perf_counter()
        try:
            data = self._open[descriptor].recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._poll.unregister(descriptor)
            self._open.pop(descriptor).close()
            return
        data = self._read[descriptor] + data
        end = data.find(_HEAD_END)
        if end >= 0:
            length = _LENGTH.search(data, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(data) >= whole:
                self._read[descriptor] = data[whole:]
                self._handle(descriptor, arrived, data[:end], data[end + 4 : whole])
                return
        self._read[descriptor] = data

    def _handle(self, descriptor: int, arrived: float, head: bytes, body: bytes) -> None:
        key = _KEY.search(head)
        if key is None:
            self._answer(descriptor, None, _reply(self._told(head)))
            return
        found = _NONCE.search(body)
        nonce = int(found[1]) if found else 0
        self._calls += 1
        if nonce > self._last.get(key[1], 0):
            self._last[key[1]] = nonce
            reply = self._good()
        else:
            self._bad += 1
            reply = self._refused
        if self._delay:
            due = time.monotonic() + self._delay
            heapq.heappush(self._due, (due, self._calls, descriptor, arrived, reply))
        else:
            self._answer(descriptor, arrived, reply)

    def _good(self) -> bytes:
        if time.monotonic() - self._dated > 1:
            self._balance, self._dated = _reply(BALANCE), time.monotonic()
        return self._balance

    def _answer(self, descriptor: int, arrived: float | None, reply: bytes) -> None:
        connection = self._open.get(descriptor)
        if connection is None:
            return
        if arrived is not None:
            self._own.append(time.perf_counter() - arrived)
        try:
            connection.send(reply)
        except ConnectionError:
            return

    def _told(self, head: bytes) -> bytes:
        """The calls that are not private: Kraken's time, and the two requests of the benchmark itself."""
        target = head.split(b" ", 2)[1].decode()
        if target.startswith("/set?delay="):
            self._delay = float(target.partition("=")[2])
            if not self._delay:
                self._release()
            return b"{}"
        if target == "/stats":
            return self._stats()
        return json.dumps({"error": [], "result": {"unixtime": int(time.time()), "rfc1123": ""}}).encode()

    def _release(self) -> None:
        """Whoever waits is answered at once."""
        due, self._due = self._due, []
        for _, _, descriptor, arrived, reply in due:
            self._answer(descriptor, arrived, reply)

    def _stats(self) -> bytes:
        own = statistics.median(self._own) if self._own else 0.0
        told = {"calls": self._calls, "refused": self._bad, "own_median": own}
        self._forget()
        return json.dumps(told).encode()

    def _forget(self) -> None:
        self._calls = self._bad = 0
        self._own: list[float] = []


class ExchangeProcess:
    """The exchange in a process of its own. A context manager."""

    def __enter__(self) -> ExchangeProcess:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def delay(self, seconds: float) -> None:
        """Wait so long before each reply from now on."""
        self._get(f"/set?delay={seconds}")

    def stats(self) -> dict[str, Any]:
        """Calls, refused nonces and the median of its own time since the last question."""
        found: dict[str, Any] = json.loads(self._get("/stats"))
        return found

    def pin(self, cpus: set[int]) -> None:
        """Run on these CPUs only, where the system can do that."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.pid, cpus)

    def _get(self, target: str) -> bytes:
        with urllib.request.urlopen(self.url + target, timeout=10) as reply:
            found: bytes = reply.read()
            return found


class Elsewhere(ExchangeProcess):
    """An exchange that another process has started."""

    def __init__(self, url: str) -> None:
        self.url = url


def main() -> None:
    """Serve, and say where."""
    exchange = Exchange()
    print(exchange.port, flush=True)
    exchange.run()


if __name__ == "__main__":
    main()
