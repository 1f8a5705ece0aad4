"""Asks for Kraken's time, so that the nonces follow a clock that is right."""

from __future__ import annotations

from engine.actors.drift_log import DriftLog
from engine.actors.lane.queued_call import QueuedCall
from engine.actors.lane.trusted_clock import TrustedClock
from engine.errors import CallError, CallNotSent, ConnectFailed
from engine.kraken.endpoints import public_endpoint
from engine.kraken.replies import read_reply
from engine.kraken.shapes import compare
from engine.transport import Transport

_TIME = public_endpoint("Time")
HTTP_OK = 200
PATIENCE = 2.0  # seconds that Kraken's time may take, and a third of the call's time at most
ASK_AGAIN = 30.0
ANSWERS = 2  # that have to agree where our own clock does not

CUT = "The call was cut before it was sent."


class TimeCheck:
    """Teaches the lane's clock Kraken's time, in the time of a call. Belongs to the lane's thread."""

    def __init__(self, transport: Transport, clock: TrustedClock, drift: DriftLog) -> None:
        self._transport, self._clock, self._drift = transport, clock, drift
        self._not_before = float("-inf")

    def run(self, queued_call: QueuedCall) -> None:
        """Learn Kraken's time before the first nonce, so that a wrong clock cannot drive the key ahead for ever.

        It is asked for twice when the first answer does not agree with this machine's clock, since one of them is
        wrong; and again when the clock has come to differ, as after a sleep of the machine.

        Raises `ConnectFailed` when there is no connection: the call itself would fail as well. Any other failure does
        not hold the call back; Kraken's time is asked for again after a while.
        """
        now = self._clock.monotonic()
        if now < self._not_before:
            return
        patience = min(PATIENCE, (queued_call.deadline - now) / 3)
        try:
            for _ in range(ANSWERS):
                self._ask_once(now + patience, queued_call)
                if not self._clock.wants_time:
                    return
        except ConnectFailed:
            raise
        except (CallError, KeyError, TypeError, ValueError, OverflowError):
            if queued_call.was_cut:
                raise CallNotSent(CUT) from None
        self._not_before = now + ASK_AGAIN

    def _ask_once(self, deadline: float, queued_call: QueuedCall) -> None:
        answer = self._transport.bare_get(_TIME.path, deadline=deadline, token=queued_call)
        try:
            told = read_reply(answer.status, answer.body, _TIME).result
            compare(_TIME.name, told, self._drift.noter(_TIME.name))
            self._clock.learn(told["unixtime"], answer.date)
        except (CallError, KeyError, TypeError, ValueError, OverflowError):
            if answer.status == HTTP_OK:  # a refusal has a date as well
                self._clock.learn_date(answer.date)
            raise
