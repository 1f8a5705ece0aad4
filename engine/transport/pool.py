"""Several connections to one server, for calls in parallel."""

from __future__ import annotations

import threading

from engine.errors import EngineStopped
from engine.transport.framing import HttpReply
from engine.transport.resolver import Resolver
from engine.transport.session import LIMIT, Transport
from engine.values import KRAKEN_URL, SYSTEM_CLOCK, Clock, Settings


class TransportPool:
    """Transports to one server for parallel calls from any number of threads.

    One connection for each call under way; up to `keep` of them stay open for later calls. Arguments and errors
    are those of `Transport`.
    """

    def __init__(
        self,
        url: str = KRAKEN_URL,
        settings: Settings = Settings(),  # noqa: B008 - frozen
        *,
        clock: Clock = SYSTEM_CLOCK,
        limit: int = LIMIT,
        resolver: Resolver | None = None,
        keep: int = 4,
    ) -> None:
        self._first = Transport(url, settings, clock=clock, limit=limit, resolver=resolver)
        self._keep = keep
        self._lock = threading.Lock()
        self._idle = [self._first]
        self._lent: set[Transport] = set()
        self._is_closed = False

    def get(self, path: str, query: str = "", *, deadline: float) -> HttpReply:
        """Get `path?query` over a connection of its own."""
        transport = self._borrow()
        try:
            return transport.get(path, query, deadline=deadline)
        finally:
            self._put_back(transport)

    def close(self) -> None:
        """Close for good, from any thread. Exchanges under way are cut; later ones raise `EngineStopped`."""
        with self._lock:
            self._is_closed = True
            transports = [*self._idle, *self._lent]
            self._idle.clear()
        for transport in transports:
            transport.close()

    def _borrow(self) -> Transport:
        with self._lock:
            if self._is_closed:
                raise EngineStopped("The connections to Kraken are closed: the engine is stopping.")
            transport = self._idle.pop() if self._idle else self._first.sibling()
            self._lent.add(transport)
            return transport

    def _put_back(self, transport: Transport) -> None:
        with self._lock:
            self._lent.discard(transport)
            is_kept = not self._is_closed and len(self._idle) < self._keep
            if is_kept:
                self._idle.append(transport)
        if not is_kept:
            transport.close()
