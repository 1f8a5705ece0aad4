"""The desk for calls: one private call with its repeats, and public calls beside the lane."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pykka

from engine.actors.crew import PRIVATE_LANE
from engine.actors.events import EngineWarning
from engine.actors.messages import CallDone, PrivateCall
from engine.actors.pairs import ASSET_PAIRS, PairBook
from engine.actors.ticket import Answer, FutureReply
from engine.app.house import House
from engine.errors import CallError, CallNotSent, CallUnknown, DeadlinePassed, EngineStopped
from engine.kraken.endpoints import PRIVATE, Endpoint, public_endpoint
from engine.kraken.pair_names import with_names
from engine.kraken.replies import read_reply
from engine.kraken.signing import encode_form
from engine.rules.repeat import pause_before_repeat
from engine.transport import TransportPool

ANSWER_GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)
SAY_AGAIN = 600.0  # seconds

_PARTIAL = (
    "Kraken answered {endpoint} with '{codes}' beside a result: the rows that came count, and some that were asked for "
    "are missing. Check the names that are asked for."
)


class CallDesk:
    """Makes calls for `Engine`, which says what they guarantee. Thread-safe."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._public: TransportPool | None = None
        self.pairs = PairBook(self._ask_pairs, house.clock.monotonic, note=house.drift.noter(ASSET_PAIRS))
        self._missing: dict[str, tuple[str, float]] = {}

    def open(self, url: str) -> None:
        """Public calls may be made from now on."""
        self._public = TransportPool(url, self._house.settings, clock=self._house.clock)

    def close(self) -> None:
        """End the public calls under way."""
        if self._public is not None:
            self._public.close()

    def call(self, account: str, endpoint: str, params: Mapping[str, Any] | None, timeout: float | None) -> Any:
        """`Engine.call`."""
        now = self._house.clock.monotonic
        deadline = now() + self._house.seconds(timeout)
        for attempt in itertools.count():
            try:
                return self._one_attempt(account, endpoint, params, deadline - now())
            except CallError as error:
                pause = _pause(error, endpoint, attempt)
                if pause is None or now() + pause >= deadline or self._house.stopped.wait(pause):
                    raise
        raise AssertionError("unreachable")

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None, timeout: float | None
    ) -> Future[Any]:
        """`Engine.submit`."""
        reply = FutureReply()
        try:
            self._send(PrivateCall(account, endpoint, self._named(endpoint, params), timeout, reply_to=reply))
        except CallError as error:
            reply.future.set_exception(error)
        return reply.future

    def public(self, endpoint: str, params: Mapping[str, Any] | None, timeout: float | None) -> Any:
        """`Engine.public`."""
        found = public_endpoint(endpoint)
        if not self._house.is_running:
            raise EngineStopped("The engine is not running.", endpoint=endpoint)
        if params is not None and not isinstance(params, Mapping):
            raise CallNotSent("The parameters of a call are a mapping of names to values.", endpoint=endpoint)
        return self._get(found, self._named(endpoint, params), self._house.seconds(timeout))

    def fetch(self, endpoint: str, seconds: float, params: Mapping[str, Any] | None = None) -> Any:
        """A public call for an actor of ours, which may make one before the engine as a whole runs."""
        return self._get(public_endpoint(endpoint), params or {}, seconds)

    def _ask_pairs(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        return self._get(public_endpoint(endpoint), params, seconds)

    def _named(self, endpoint: str, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """A copy of the parameters, with markets named as Kraken takes them; what is no mapping the lane refuses."""
        kept = _kept(params)
        return with_names(endpoint, kept, self.pairs.known) if isinstance(kept, Mapping) else kept

    def _get(self, found: Endpoint, params: Mapping[str, Any], seconds: float) -> Any:
        clock, pool = self._house.clock, self._public
        if pool is None:
            raise EngineStopped("The engine is not running.", endpoint=found.name)
        try:
            answer = pool.get(found.path, encode_form(params).decode(), deadline=clock.monotonic() + seconds)
            reply = read_reply(answer.status, answer.body, found, now=clock.wall_ns() / 1e9)
        except CallError as error:
            raise error.about(None, found.name) from None
        if reply.missing:
            self._say_missing(found.name, ", ".join(reply.missing))
        return reply.result

    def _say_missing(self, endpoint: str, codes: str) -> None:
        """Warn that a result lacks rows; of the same ones again after a while only."""
        now = self._house.clock.monotonic()
        before, since = self._missing.get(endpoint, ("", 0.0))
        if codes != before or now - since >= SAY_AGAIN:
            self._missing[endpoint] = (codes, now)
            self._house.publish(EngineWarning("partial-answer", _PARTIAL.format(endpoint=endpoint, codes=codes[:200])))

    def _one_attempt(self, account: str, endpoint: str, params: Mapping[str, Any] | None, seconds: float) -> Any:
        answer = Answer()
        self._send(PrivateCall(account, endpoint, self._named(endpoint, params), seconds, reply_to=answer))
        told = answer.wait(max(0.0, seconds) + ANSWER_GRACE)
        if isinstance(told, CallDone):
            return told.result
        try:
            raise self._no_answer(answer, account, endpoint) if told is None else told.error
        finally:
            del answer, told  # they hold the error, and its traceback this frame

    def _no_answer(self, answer: Answer, account: str, endpoint: str) -> CallError:
        """The time is over: withdrawn from the mailbox if it can be, and else nobody knows."""
        if not answer.withdraw():
            sentence = "No answer in time: look up what became of the call."
            return CallUnknown(sentence, account=account, endpoint=endpoint)
        kind = DeadlinePassed if self._house.is_running else EngineStopped
        return kind("The call was not sent in time.", account=account, endpoint=endpoint)

    def _send(self, call: PrivateCall) -> None:
        """Put the call into the lane's mailbox. Raises `UnknownName` or `EngineStopped`."""
        try:
            self._house.check_account(call.account)
            self._house.ref(PRIVATE_LANE).tell(call)
        except (pykka.ActorDeadError, EngineStopped):
            stopped = EngineStopped("The engine is not running.", account=call.account, endpoint=call.endpoint)
            raise stopped from None
        except CallError as error:
            raise error.about(call.account, call.endpoint) from None


def _kept(params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return dict(params) if isinstance(params, Mapping) else {} if params is None else params


def _pause(error: CallError, endpoint: str, attempt: int) -> float | None:
    known = PRIVATE.get(endpoint) if isinstance(endpoint, str) else None
    if known is None:
        return None
    return pause_before_repeat(error, attempt, writes=known.writes, places=known.places)
