"""The WebSockets of one simulator: accepted on its HTTP port, served each in the thread of its connection."""

from __future__ import annotations

import threading
from typing import Any

from engine.simulator.exchange import Exchange
from engine.simulator.market import ListedPair
from engine.simulator.prices import Quote
from engine.simulator.server import Link
from engine.simulator.stream_faults import StreamState
from engine.simulator.stream_rows import shown_symbol
from engine.simulator.streams import BEAT, Conversation
from engine.simulator.websocket import WebSocket, accepted
from engine.simulator.wire import Ending, HttpResponse, Piece, Plan, Request

PATHS = ("/v2", "/v2/private")


class ExchangeMarket:
    """An exchange as its WebSockets see it."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def owner_of_token(self, token: str) -> str | None:
        """The account whose token it is."""
        return self._exchange.owner_of_token(token)

    def customer(self, name: str) -> Any:
        """The account, locked."""
        return self._exchange.customer(name)

    def quotes(self, pair: ListedPair) -> Quote:
        """What a pair costs now."""
        return self._exchange.market.prices.quote(pair)

    def status(self) -> str:
        """The exchange's mode."""
        return self._exchange.market.status

    def now(self) -> float:
        """The exchange's time."""
        return self._exchange.market.now()


class StreamServer:
    """Serves upgrades. `state` has the faults. Thread-safe."""

    def __init__(self, exchange: Exchange) -> None:
        self.state = StreamState()
        self._market = ExchangeMarket(exchange)
        self._open: list[Conversation] = []
        self._lock = threading.Lock()

    @property
    def open(self) -> list[Conversation]:
        """The connections that are open."""
        with self._lock:
            return list(self._open)

    def serve(self, request: Request, link: Link, date: str) -> Ending:
        """Answer an upgrade, and serve the connection until it is over."""
        refused = self.state.note_upgrade()
        accept = accepted(request)
        if refused or accept is None or request.target.partition("?")[0] not in PATHS:
            status = refused or (400 if accept is None else 404)
            link.play(HttpResponse(status, b"", date, content_type="text/plain", keep_alive=False).plan())
            return Ending.CLOSE
        link.play(Plan((Piece(0, accept),)))
        socket = WebSocket(link.socket)
        conversation = Conversation(socket, self._market, self.state)
        with self._lock:
            self._open.append(conversation)
        try:
            conversation.begin()
            socket.converse(conversation.take, conversation.tick, BEAT)
        finally:
            with self._lock:
                self._open.remove(conversation)
            conversation.end()
        return Ending.CLOSE

    def price_moved(self, pair: ListedPair, *, traded: bool) -> None:
        """Tell those who have subscribed to the pair."""
        for each in self.open:
            each.price_moved(shown_symbol(pair), pair, traded=traded)

    def close(self, code: int | None, account: str | None = None) -> int:
        """End connections, those of an account (or `PUBLIC`) or all: by a closing code or cut (`None`); how many."""
        found = [each for each in self.open if account is None or account in (each.owner, *each.accounts)]
        for each in found:
            if code is None:
                each.socket.abort()
            else:
                each.socket.close(code, "CloudFlare WebSocket proxy restarting" if code == 1001 else "")
        return len(found)
