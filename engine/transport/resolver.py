"""Resolves names under a deadline, which the system's resolver does not support.

Guarantees:
- A caller waits no longer than its deadline, whatever the system's resolver does.
- At most one lookup of a name is under way: one that hangs is joined, not repeated.
- If the resolver fails or hangs, the last working address is used.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

FAIR_SHARE = 2.0  # seconds the resolver gets before the last good address is used
LATE = 60.0  # seconds for which a late answer serves the next caller
SLICE = 0.05  # seconds between two checks whether the call was cut

Resolve = Callable[..., list[Any]]  # as socket.getaddrinfo


class SocketAddress(NamedTuple):
    """Where a socket connects to."""

    family: int
    sockaddr: tuple[Any, ...]


class _Lookup:
    """One run of the system's resolver."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.addresses: list[SocketAddress] = []
        self.error: Exception | None = None
        self.done_at = 0.0

    def is_useful(self) -> bool:
        """Whether another caller can use it."""
        if not self.done.is_set():
            return True
        return bool(self.addresses) and time.monotonic() - self.done_at < LATE


class Resolver:
    """Looks names up in daemon threads. May be shared by any number of threads."""

    def __init__(self, resolve: Resolve = socket.getaddrinfo) -> None:
        self._resolve = resolve
        self._lock = threading.Lock()
        self._lookups: dict[tuple[str, int], _Lookup] = {}
        self._good: dict[tuple[str, int], SocketAddress] = {}
        self._doubted: dict[tuple[str, int], SocketAddress] = {}

    def addresses(self, host: str, port: int, left: Callable[[], float]) -> list[SocketAddress]:
        """The addresses to try, best first; never empty.

        `left()` is the time the call has, in seconds, and raises when the call is over; what it raises goes
        through. Raises `OSError` when there is no address.
        """
        fixed = _fixed(host, port)
        if fixed:
            return self._best_first(host, port, fixed)
        good = self._good.get((host, port))
        lookup = self._lookup(host, port)
        patience = left()
        if good is not None:
            patience = min(FAIR_SHARE, patience / 3)
        waited = 0.0
        while not lookup.done.wait(step := min(SLICE, left())):
            waited += step
            if waited >= patience:
                break
        if not lookup.done.is_set():
            if good is None:
                raise TimeoutError
            return [good]
        with self._lock:
            if self._lookups.get((host, port)) is lookup:
                del self._lookups[host, port]
        if lookup.addresses:
            return self._best_first(host, port, lookup.addresses)
        if good is not None:
            return [good]
        raise lookup.error or OSError("the resolver knows no address")

    def remember(self, host: str, port: int, address: SocketAddress) -> None:
        """Remember a working address."""
        self._good[host, port] = address
        if self._doubted.get((host, port)) == address:
            del self._doubted[host, port]

    def doubt(self, host: str, port: int, address: SocketAddress) -> None:
        """This address took the connection and nothing more, as where large packets are lost: the others go first."""
        self._doubted[host, port] = address

    def _best_first(self, host: str, port: int, addresses: list[SocketAddress]) -> list[SocketAddress]:
        """The last working address first, so that a broken IPv6 address costs time only once."""
        good, doubted = self._good.get((host, port)), self._doubted.get((host, port))
        return sorted(addresses, key=lambda address: (address == doubted, address != good))

    def _lookup(self, host: str, port: int) -> _Lookup:
        with self._lock:
            lookup = self._lookups.get((host, port))
            if lookup is not None and lookup.is_useful():
                return lookup
            lookup = _Lookup()
            # A daemon: getaddrinfo cannot be ended, and must not keep the process alive.
            thread = threading.Thread(target=self._run, args=(lookup, host, port), name="kraken-resolver", daemon=True)
            thread.start()
            self._lookups[host, port] = lookup
            return lookup

    def _run(self, lookup: _Lookup, host: str, port: int) -> None:
        try:
            found = self._resolve(host, port, type=socket.SOCK_STREAM)
            addresses = [
                SocketAddress(family, sockaddr)
                for family, _, _, _, sockaddr in found
                if family in (socket.AF_INET, socket.AF_INET6)
            ]
            lookup.addresses = list(dict.fromkeys(addresses))
        except Exception as error:  # noqa: BLE001 - it is raised in the waiting caller
            lookup.error = error
        finally:
            lookup.done_at = time.monotonic()
            lookup.done.set()


def _fixed(host: str, port: int) -> list[SocketAddress]:
    """The addresses of a host that needs no resolver."""
    if host == "localhost":
        return _fixed("127.0.0.1", port) + _fixed("::1", port)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    if address.version == 4:
        return [SocketAddress(socket.AF_INET, (host, port))]
    return [SocketAddress(socket.AF_INET6, (host, port, 0, 0))]
