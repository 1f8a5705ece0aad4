"""uvicorn's HTTP protocol with a header timeout: a client that never finishes its headers is disconnected."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from engine.web.whole_responses import WholeResponses

HEADER_PATIENCE = 10.0  # seconds
CONNECTIONS_AT_MOST = 600  # the engine's own files and its connection to Kraken need descriptors too


class PatientProtocol(H11Protocol):
    """One client's connection."""

    header_patience = HEADER_PATIENCE
    connections_at_most = CONNECTIONS_AT_MOST
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client has connected; beyond the limit it is disconnected at once."""
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, WholeResponses(transport))
        if len(self.connections) > self.connections_at_most:
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Data arrived: perhaps the end of the headers."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._waiting is None and self.timeout_keep_alive_task is None:
            self._waiting = self.loop.call_later(self.header_patience, self._hang_up)

    def _stop_watching(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _hang_up(self) -> None:
        self._waiting = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()
