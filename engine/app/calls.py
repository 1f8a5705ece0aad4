"""The service for calls: one private call with its repeats, and public calls beside the lane."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pykka

from engine.actors.events import EngineWarning
from engine.actors.lane.messages import CallDone, PrivateCall
from engine.actors.lane.queued_call import Answer, FutureReply
from engine.actors.order.pair_cache import ASSET_PAIRS, PairCache
from engine.actors.system import PRIVATE_LANE
from engine.app.state import AppState
from engine.errors import CallError, CallNotSent, CallUnknown, DeadlinePassed, EngineStopped
from engine.kraken.endpoints import Endpoint, public_endpoint
from engine.kraken.pair_names import with_names
from engine.kraken.replies import read_reply
from engine.kraken.shapes import compare
from engine.kraken.signing import encode_form
from engine.kraken.unlisted import endpoint_of, public_endpoint_of
from engine.rules.lane.retry import cancels_by_name, pause_before_retry
from engine.transport import TransportPool

AtSend = Callable[[float | None], Mapping[str, Any]]

ANSWER_GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)
SAY_AGAIN = 600.0  # seconds

_PARTIAL = (
    "Kraken answered {endpoint} with '{codes}' beside a result: the rows that came count, and some that were asked for "
    "are missing. Check the names that are asked for."
)


class CallService:
    """Makes calls for `Engine`, which says what they guarantee. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._public: TransportPool | None = None
        self.pairs = PairCache(self._ask_pairs, state.clock.monotonic, note=state.drift.noter(ASSET_PAIRS))
        self._missing: dict[str, tuple[str, float]] = {}

    def open(self, url: str) -> None:
        """Public calls may be made from now on."""
        self._public = TransportPool(url, self._state.settings, clock=self._state.clock)

    def close(self) -> None:
        """End the public calls under way."""
        if self._public is not None:
            self._public.close()

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None, timeout: float | None,
        endpoint_class: str | None = None, *, at_send: AtSend | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.call`. `at_send` gives more parameters when the call's turn has come, by Kraken's time."""
        now = self._state.clock.monotonic
        deadline = now() + self._state.seconds(timeout)
        for attempt in itertools.count():
            try:
                named = self._named(endpoint, params)
                left = deadline - now()
                return self._one_attempt(
                    PrivateCall(account, endpoint, named, left, at_send=at_send, endpoint_class=endpoint_class)
                )
            except CallError as error:
                pause = _pause(error, endpoint, params, endpoint_class, attempt)
                if pause is None or now() + pause >= deadline or self._state.stopped.wait(pause):
                    raise
        raise AssertionError("unreachable")

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None, timeout: float | None,
        endpoint_class: str | None = None,
    ) -> Future[Any]:  # fmt: skip
        """`Engine.submit`."""
        reply = FutureReply()
        try:
            named = self._named(endpoint, params)
            self._send(PrivateCall(account, endpoint, named, timeout, reply, endpoint_class=endpoint_class))
        except CallError as error:
            reply.future.set_exception(error)
        return reply.future

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None, timeout: float | None,
        endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """`Engine.public`."""
        found = public_endpoint_of(endpoint, endpoint_class)
        if not self._state.is_running:
            raise EngineStopped("The engine is not running.", endpoint=endpoint)
        if params is not None and not isinstance(params, Mapping):
            raise CallNotSent("The parameters of a call are a mapping of names to values.", endpoint=endpoint)
        return self._get(found, self._named(endpoint, params), self._state.seconds(timeout))

    def fetch(self, endpoint: str, seconds: float, params: Mapping[str, Any] | None = None) -> Any:
        """A public call for an actor of ours, which may make one before the engine as a whole runs."""
        return self._get(public_endpoint(endpoint), params or {}, seconds)

    def _ask_pairs(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        return self._get(public_endpoint(endpoint), params, seconds)

    def _named(self, endpoint: str, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """A copy of the parameters, with markets named as Kraken takes them; what is no mapping the lane refuses."""
        kept = _kept(params)
        is_call = isinstance(kept, Mapping) and isinstance(endpoint, str)
        return with_names(endpoint, kept, self.pairs.known) if is_call else kept

    def _get(self, found: Endpoint, params: Mapping[str, Any], seconds: float) -> Any:
        clock, pool = self._state.clock, self._public
        if pool is None:
            raise EngineStopped("The engine is not running.", endpoint=found.name)
        try:
            answer = pool.get(found.path, encode_form(params).decode(), deadline=clock.monotonic() + seconds)
            reply = read_reply(
                answer.status, answer.body, found, now=clock.wall_ns() / 1e9, retry_after=answer.retry_after,
                note=self._state.drift.noter(found.name),
            )  # fmt: skip
        except CallError as error:
            raise error.about(None, found.name) from None
        if reply.missing:
            self._say_missing(found.name, ", ".join(reply.missing))
        compare(found.name, reply.result, self._state.drift.noter(found.name))
        return reply.result

    def _say_missing(self, endpoint: str, codes: str) -> None:
        """Warn that a result lacks rows; of the same ones again after a while only."""
        now = self._state.clock.monotonic()
        before, since = self._missing.get(endpoint, ("", 0.0))
        if codes != before or now - since >= SAY_AGAIN:
            self._missing[endpoint] = (codes, now)
            self._state.publish(EngineWarning("partial-answer", _PARTIAL.format(endpoint=endpoint, codes=codes[:200])))

    def _one_attempt(self, call: PrivateCall) -> Any:
        answer = Answer()
        self._send(replace(call, reply_to=answer))
        told = answer.wait(max(0.0, call.timeout or 0.0) + ANSWER_GRACE)
        if isinstance(told, CallDone):
            return told.result
        try:
            raise self._no_answer(answer, call.account, call.endpoint) if told is None else told.error
        finally:
            del answer, told  # they hold the error, and its traceback this frame

    def _no_answer(self, answer: Answer, account: str, endpoint: str) -> CallError:
        """The time is over: withdrawn from the mailbox if it can be, and else nobody knows."""
        if not answer.withdraw():
            sentence = "No answer in time: look up what became of the call."
            return CallUnknown(sentence, account=account, endpoint=endpoint)
        kind = DeadlinePassed if self._state.is_running else EngineStopped
        return kind("The call was not sent in time.", account=account, endpoint=endpoint)

    def _send(self, call: PrivateCall) -> None:
        """Put the call into the lane's mailbox. Raises `UnknownName` or `EngineStopped`."""
        try:
            self._state.check_account(call.account)
            self._state.ref(PRIVATE_LANE).tell(call)
        except (pykka.ActorDeadError, EngineStopped):
            stopped = EngineStopped("The engine is not running.", account=call.account, endpoint=call.endpoint)
            raise stopped from None
        except CallError as error:
            raise error.about(call.account, call.endpoint) from None


def _kept(params: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return dict(params) if isinstance(params, Mapping) else {} if params is None else params


def _pause(
    error: CallError, endpoint: str, params: Mapping[str, Any] | None, endpoint_class: str | None, attempt: int
) -> float | None:
    try:
        found = endpoint_of(endpoint, params if isinstance(params, Mapping) else {}, endpoint_class)
    except CallError:
        return None
    return pause_before_retry(
        error, attempt, writes=found.writes, places=found.places, cancels_by_name=cancels_by_name(found.name, params)
    )
