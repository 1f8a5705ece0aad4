"""The line for prices: one public connection, which subscribes the pairs that the gates ask for."""

from __future__ import annotations

import asyncio
import random

from engine.kraken.drift import Note
from engine.kraken.price_stream import SUBSCRIBE, UNSUBSCRIBE, price_request, read_price_frame
from engine.kraken.stream import Doubt
from engine.rules.backoff import Backoff
from engine.rules.stream.connections import STEADY
from engine.rules.stream.price_subscription import REFUSED_FOR, PriceSubscription, Requests, still_refused
from engine.rules.stream.subscription import SILENCE, Moment, Refusal, StreamState
from engine.stream.budget import ConnectionBudget
from engine.stream.connection import Connection, Lost, StreamEndpoint, connected
from engine.stream.connection_turns import PRICES, ConnectionTurns
from engine.stream.price_board import NOT_ASKED, PriceBoard

LOOK_EVERY = 0.5
"""Seconds at most until a pair that is asked for is subscribed."""
BACKOFF = Backoff(0.5, 120.0)
"""Of it, a part by chance is waited. It goes further than that of an account: prices can always be asked for by REST,
and the machine's connections are for the accounts first."""


class PriceLine:
    """Lives in the push thread's loop; `run` ends only when it is canceled. There is no connection while nobody asks.

    Its connections count as those of the accounts do: Kraken counts them by the address of the machine.
    """

    def __init__(
        self, board: PriceBoard, note: Note, turns: ConnectionTurns, budget: ConnectionBudget, endpoint: StreamEndpoint
    ) -> None:
        self._board, self._note = board, note
        self._turns, self._budget, self._endpoint = turns, budget, endpoint
        self._subscription = PriceSubscription()
        self._live_since = float("-inf")
        self._failures = 0
        self._req_id = 0

    async def run(self) -> None:
        """Keep the line while prices are asked for."""
        try:
            while True:
                await self._until_wanted()
                try:
                    await self._connect()
                except Refusal as refusal:
                    self._end(str(refusal))
                    await asyncio.sleep(REFUSED_FOR)
                    self._take_over(self._subscription.renewed(), "it may be tried again")
                except (Doubt, Lost) as doubt:
                    self._down(str(doubt))
                    await asyncio.sleep(self._pause())
                except Exception as error:  # noqa: BLE001 - a failure of ours, such as no memory, ends no line
                    self._down(f"the engine failed ({type(error).__name__})")
                    await asyncio.sleep(self._pause())
        finally:
            self._take_over(PriceSubscription(), "it was stopped")

    async def _until_wanted(self) -> None:
        loop, asked = asyncio.get_running_loop(), asyncio.Event()
        while not self._wanted():
            asked.clear()
            self._board.wake(lambda: _soon(loop, asked))
            if not self._wanted():  # nobody has asked before that
                await asked.wait()

    def _wanted(self) -> tuple[str, ...]:
        refused = still_refused(self._subscription.refused, self._board.now())
        return tuple(symbol for symbol in self._board.wanted() if symbol not in refused)

    async def _connect(self) -> None:
        async with self._turns.turn(PRICES):
            if not self._budget.take():
                raise Lost("this machine has used up its connections for now")
            self._board.counted(connects=1)
            connection = connected(self._endpoint)
            socket = await connection.__aenter__()
        try:
            await self._converse(socket)
        finally:
            await connection.__aexit__(None, None, None)

    async def _converse(self, socket: Connection) -> None:
        self._take_over(self._subscription.opened(self._board.now()))
        try:
            while await self._look(socket):
                await self._listen(socket, self._board.now().monotonic + LOOK_EVERY)
        except (Doubt, Lost, Refusal) as doubt:
            self._down(str(doubt))  # before the socket is closed, which takes a while
            raise
        self._take_over(self._subscription.doubted(), self._why_idle())

    async def _look(self, socket: Connection) -> bool:
        """Subscribe what is asked for; whether anything is subscribed then."""
        after, requests = self._subscription.looked(self._board.wanted(), self._board.now())
        self._take_over(after)
        for text in self._texts(requests):
            await socket.send(text)
        return bool(after.pairs)

    async def _listen(self, socket: Connection, until: float) -> None:
        """Take in what comes until then."""
        while (now := self._board.now()).monotonic < until:
            silent_in = max(0.0, SILENCE - now.since(self._subscription.heard_at)) + 0.01
            message = await socket.next(min(silent_in, until - now.monotonic))
            now = self._board.now()
            if message is not None:
                self._take(message, now)
            if self._subscription.is_silent(now):
                raise Doubt(f"nothing but pongs for {SILENCE:g} seconds")

    def _texts(self, requests: Requests) -> list[str]:
        asked = ((UNSUBSCRIBE, requests.unsubscribe), (SUBSCRIBE, requests.subscribe))
        return [price_request(method, symbols, self._next_id()) for method, symbols in asked if symbols]

    def _next_id(self) -> int:
        self._req_id += 1
        return self._req_id

    def _take(self, message: str | bytes, now: Moment) -> None:
        self._board.counted(frames=1)
        self._take_over(self._subscription.after(read_price_frame(message, self._note), now))

    def _take_over(self, after: PriceSubscription, reason: str | None = None, *, is_gap: bool = False) -> None:
        before, self._subscription = self._subscription.state, after
        if after.state is StreamState.LIVE and before is not StreamState.LIVE:
            self._live_since = after.heard_at.monotonic
        self._board.changed(after, reason, is_gap=is_gap)

    def _down(self, reason: str) -> None:
        """Believe nothing any more, from now on."""
        was_live = self._subscription.state is StreamState.LIVE
        if was_live and self._board.now().monotonic - self._live_since >= STEADY:
            self._failures = 0
        self._take_over(self._subscription.doubted(), reason, is_gap=was_live)

    def _end(self, why: str) -> None:
        self._down(why)
        self._take_over(self._subscription.ended(), f"Kraken refuses it ({why})")

    def _why_idle(self) -> str:
        return "Kraken tells no price of the pairs that are asked for" if self._board.wanted() else NOT_ASKED

    def _pause(self) -> float:
        self._failures += 1
        return random.uniform(0.0, BACKOFF.pause(self._failures - 1))  # noqa: S311 - spreads engines, no secret


def _soon(loop: asyncio.AbstractEventLoop, asked: asyncio.Event) -> None:
    """Set it in the loop, from any thread; nothing when the loop has ended."""
    try:
        loop.call_soon_threadsafe(asked.set)
    except RuntimeError:
        return
