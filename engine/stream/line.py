"""One account's line: connects, subscribes, reads what comes, and connects again when it is in doubt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from engine.errors import CallError, PermissionDenied
from engine.kraken.stream import BALANCES, CHANNELS, Doubt, Frame, Numbered, executions_of, read_frame, totals_of
from engine.kraken.stream import subscription as request
from engine.rules.stream.connections import BACKOFF, STEADY
from engine.rules.stream.subscription import (
    COMPLETE_WITHIN,
    SILENCE,
    Moment,
    Refusal,
    StreamState,
    Subscription,
)
from engine.stream.budget import ConnectionBudget
from engine.stream.connection import Connection, Lost, StreamEndpoint, connected
from engine.stream.connection_turns import ConnectionTurns
from engine.stream.ears import Ears
from engine.stream.pulse import Pulse
from engine.values import Secret

_REFUSED = (
    "Kraken refuses its stream to the key of account {account} ({why}): push is off for it, and its balance is fetched "
    "as without push. Give the key the permission 'WebSocket interface' on Kraken's API page (Settings, API), then "
    "resume the account."
)
TOKEN_GRACE = 2.0  # seconds beyond a call's own time; the lane answers by its deadline and one second


class Line:
    """Lives in the push thread's loop; `run` ends only when it is canceled. What comes is told to `ears` at once."""

    def __init__(
        self, account: str, pulse: Pulse, ears: Ears, turns: ConnectionTurns, budget: ConnectionBudget,
        endpoint: StreamEndpoint, token_within: float,
    ) -> None:  # fmt: skip
        self._account, self._pulse, self._ears = account, pulse, ears
        self._turns, self._budget, self._endpoint = turns, budget, endpoint
        self._token_within = token_within
        self._subscription = Subscription()
        self._live_since = float("-inf")
        self._failures = 0

    async def run(self) -> None:
        """Keep the line, until Kraken refuses it."""
        try:
            while True:
                try:
                    await self._connect()
                except Refusal as refusal:
                    self._end(str(refusal))
                    return
                except (Doubt, Lost) as doubt:
                    self._down(str(doubt))
                except CallError as error:
                    self._down(f"there is no token for it: {error}")
                except Exception as error:  # noqa: BLE001 - a failure of ours, such as no memory, ends no line
                    self._down(f"the engine failed ({type(error).__name__})")
                await asyncio.sleep(self._pause())
        except asyncio.CancelledError:
            self._pulse.forget_totals()
            self._pulse.changed(StreamState.DOWN, self._pulse.now(), "it was stopped")
            raise

    async def _connect(self) -> None:
        async with self._turns.turn(self._account):
            token = await self._token()
            if not self._budget.take():
                raise Lost("this machine has used up its connections for now")
            self._pulse.counted(connects=1)
            connection = connected(self._endpoint)
            socket = await connection.__aenter__()
        try:
            await self._converse(socket, token)
        finally:
            await connection.__aexit__(None, None, None)

    async def _token(self) -> Secret:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Secret | CallError] = loop.create_future()

        def told(what: Secret | CallError) -> None:
            if not answer.done():
                answer.set_result(what)

        self._ears.token(self._account, lambda what: _soon(loop, lambda: told(what)))
        try:
            found = await asyncio.wait_for(answer, self._token_within + TOKEN_GRACE)
        except TimeoutError:
            raise Lost("the lane gave no token in time") from None
        if isinstance(found, PermissionDenied):
            raise Refusal(str(found.kraken_code or found))
        if isinstance(found, CallError):
            raise found
        return found

    async def _converse(self, socket: Connection, token: Secret) -> None:
        self._take_over(self._subscription.opened(self._pulse.now()))
        for channel in CHANNELS:
            await socket.send(request(channel, token.reveal()))
        try:
            while True:
                message = await socket.next(self._patience())
                now = self._pulse.now()
                if message is not None:
                    self._take(read_frame(message, self._ears.note), now)
                if self._subscription.is_silent(now):
                    raise Doubt(f"nothing but pongs for {SILENCE:g} seconds")
                if self._subscription.is_late(now):
                    raise Doubt(f"no snapshot within {COMPLETE_WITHIN:g} seconds")
        except (Doubt, Lost, Refusal) as doubt:
            self._down(str(doubt))  # before the socket is closed, which takes a while
            raise

    def _patience(self) -> float:
        """Seconds until it is silent or late, and a little more."""
        now, one = self._pulse.now(), self._subscription
        left = SILENCE - now.since(one.heard_at)
        if one.state is StreamState.SUBSCRIBING:
            left = min(left, COMPLETE_WITHIN - now.since(one.opened_at))
        return max(0.0, left) + 0.01

    def _take(self, frame: Frame, now: Moment) -> None:
        self._pulse.counted(frames=1)
        after = self._subscription.after(frame, now)
        if isinstance(frame, Numbered):
            self._tell(frame, now)
        self._take_over(after)

    def _tell(self, frame: Numbered, now: Moment) -> None:
        note = self._ears.note
        if frame.channel == BALANCES:
            self._pulse.told(totals_of(frame.rows, note), now.monotonic, is_snapshot=frame.is_snapshot)
        if not frame.is_snapshot:
            self._ears.changed(self._account)
        if frame.channel != BALANCES:
            self._ears.executions(self._account, executions_of(frame.rows, note), frame.is_snapshot)

    def _take_over(self, after: Subscription) -> None:
        before, self._subscription = self._subscription.state, after
        if after.state is before:
            self._pulse.heard(after.heard_at)
            return
        self._pulse.changed(after.state, after.heard_at)
        if after.is_live:
            self._live_since = after.heard_at.monotonic
            self._ears.live(self._account)

    def _down(self, reason: str) -> None:
        """Believe nothing any more: what was FRESH by the stream alone is STALE when this returns."""
        was_live = self._subscription.is_live
        if was_live and self._pulse.now().monotonic - self._live_since >= STEADY:
            self._failures = 0
        self._subscription = self._subscription.doubted()
        self._pulse.forget_totals()
        self._pulse.changed(self._subscription.state, self._pulse.now(), reason)
        if was_live:
            self._ears.changed(self._account)

    def _end(self, why: str) -> None:
        self._down(why)
        self._subscription = self._subscription.refused()
        self._pulse.changed(self._subscription.state, self._pulse.now(), f"Kraken refuses it ({why})")
        self._ears.warn("push-refused", _REFUSED.format(account=self._account, why=why))

    def _pause(self) -> float:
        """Full jitter: any part of the pause, so that many accounts do not come back together."""
        self._failures += 1
        return random.uniform(0.0, BACKOFF.pause(self._failures - 1))  # noqa: S311 - spreads accounts, no secret


def _soon(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """Run something in the loop, from any thread; nothing when the loop has ended."""
    try:
        loop.call_soon_threadsafe(action)
    except RuntimeError:
        return
