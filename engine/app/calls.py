"""`Engine`'s methods for calls: private ones through the lane, repeated where that is safe, and public ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pykka

from engine.actors.events import EngineWarning
from engine.actors.lane.messages import CallDone, PrivateCall
from engine.actors.lane.queued_call import CallAnswer, FutureReply
from engine.actors.order.pair_cache import ASSET_PAIRS, PairCache
from engine.actors.system import PRIVATE_LANE
from engine.app.state import AppState
from engine.errors import CallError, CallNotSent, CallUnknown, DeadlinePassed, EngineStopped
from engine.kraken.endpoints import Endpoint, private_endpoint, public_endpoint
from engine.kraken.pair_names import with_names
from engine.kraken.params import PARAMETERS, canonical
from engine.kraken.replies import read_reply
from engine.kraken.shapes import compare
from engine.kraken.signing import encode_form
from engine.kraken.unlisted import endpoint_of, public_endpoint_of
from engine.rules.lane.retry import cancels_by_name, pause_before_retry
from engine.transport import TransportPool

ANSWER_GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)
SAY_AGAIN = 600.0  # seconds

_PARTIAL = (
    "Kraken answered {endpoint} with '{codes}' beside a result: the rows that came are used, and some that were asked "
    "for are missing. Check the names in the call."
)


class CallMethods:
    """The calls of an `Engine`. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._pool: TransportPool | None = None
        self._pairs = PairCache(self._ask_pairs, state.clock.monotonic, note=state.drift.noter(ASSET_PAIRS))
        self._missing: dict[str, tuple[str, float]] = {}

    def call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """One private call: Kraken's `result` as it came (fractional JSON numbers are `Decimal`).

        Waits at most `timeout` seconds (`Settings.call_timeout`) and one more. Within that time a read is made again
        after a passing failure, a write only when it was provably not executed, a placement never; each time through
        the queue, with a fresh nonce. Raises `CallNotSent`, `CallRefused` or `CallUnknown`, the last failure: see
        `engine.errors` for what each allows the caller to do.

        `endpoint_class` is needed for an endpoint that this engine does not know: ``read``, ``settle``, ``order``,
        ``cancel`` or ``funds``. It decides what is allowed and what is repeated; such a call counts 4 points of the
        REST counter, the most that Kraken charges. Raises `UnknownName` for an invalid name, and `CallNotSent` when a
        known endpoint has another class.
        """
        return self._call(account, endpoint, params, self._state.seconds(timeout), endpoint_class)

    def submit(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Future[Any]:  # fmt: skip
        """One attempt, like one of `call`'s: a future at once, whose `cancel()` works while the call waits."""
        reply = FutureReply()
        self.submit_to(reply, account, endpoint, params, timeout, endpoint_class)
        return reply.future

    def submit_to(
        self, reply: FutureReply, account: str, endpoint: str, params: Mapping[str, Any] | None,
        timeout: float | None, endpoint_class: str | None = None,
    ) -> None:  # fmt: skip
        """`submit` for a face of the engine's that brings its own future."""
        try:
            named = self._named(endpoint, params)
            self._send(PrivateCall(account, endpoint, named, timeout, reply, endpoint_class=endpoint_class))
        except CallError as error:
            reply.future.set_exception(error.about(account, endpoint))

    def public(
        self, endpoint: str, params: Mapping[str, Any] | None = None, timeout: float | None = None,
        *, endpoint_class: str | None = None,
    ) -> Any:  # fmt: skip
        """One public call, in the caller's thread and not serialized: Kraken's `result`, or raises a `CallError`.

        When Kraken answers Ticker, Assets or AssetPairs with an error about one name beside the rows of others, the
        rows are returned, and an `EngineWarning` ``partial-answer`` names the error. An endpoint that this engine does
        not know is called with ``endpoint_class="read"``.
        """
        found = public_endpoint_of(endpoint, endpoint_class)
        if not self._state.is_running:
            raise EngineStopped(self._state.why_stopped, endpoint=endpoint)
        if params is not None and not isinstance(params, Mapping):
            raise CallNotSent("The parameters of a call must be a mapping of names to values.", endpoint=endpoint)
        return self._get(found, self._named(endpoint, params), self._state.seconds(timeout))

    def _open_pool(self, url: str) -> None:
        """Public calls may be made from now on."""
        self._pool = TransportPool(url, self._state.settings, clock=self._state.clock)

    def _close_pool(self) -> None:
        """End the public calls under way."""
        if self._pool is not None:
            self._pool.close()

    def _call(
        self, account: str, endpoint: str, params: Mapping[str, Any] | None, seconds: float,
        endpoint_class: str | None = None, *, deadline_in: float | None = None,
    ) -> Any:  # fmt: skip
        """A private call, repeated within `seconds` where that is safe. `deadline_in`: see `PrivateCall`."""
        now = self._state.clock.monotonic
        deadline = now() + seconds
        for attempt in itertools.count():
            try:
                named = {} if params is None else self._named(endpoint, params)
                left = deadline - now()
                return self._one_attempt(
                    PrivateCall(account, endpoint, named, left, CallAnswer(), None, endpoint_class, deadline_in)
                )
            except CallError as error:
                pause = _pause(error, endpoint, params, endpoint_class, attempt)
                if pause is None or now() + pause >= deadline or self._state.stopped.wait(pause):
                    error.about(account, endpoint)
                    raise
        raise AssertionError("unreachable")

    def _fetch(self, endpoint: str, seconds: float, params: Mapping[str, Any] | None = None) -> Any:
        """A public call for an actor, which may make one before the engine as a whole runs."""
        return self._get(public_endpoint(endpoint), params or {}, seconds)

    def _ask_pairs(self, endpoint: str, params: Mapping[str, Any], seconds: float) -> Any:
        return self._get(public_endpoint(endpoint), params, seconds)

    def _named(self, endpoint: str, params: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """The parameters as Kraken takes them, markets among them. The lane refuses what is not a mapping.

        Raises `WrongParameter` for a parameter of an order that is not known or cannot be understood.
        """
        if params is None:
            return {}
        if isinstance(params, Mapping) and isinstance(endpoint, str) and endpoint in PARAMETERS:
            params = canonical(private_endpoint(endpoint), params)
        has_pair = isinstance(params, Mapping) and "pair" in params and isinstance(endpoint, str)
        return with_names(endpoint, params, self._pairs.known) if has_pair else params

    def _get(self, found: Endpoint, params: Mapping[str, Any], seconds: float) -> Any:
        clock, pool = self._state.clock, self._pool
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
        """Warn that a result lacks rows; for the same errors once in a while."""
        now = self._state.clock.monotonic()
        before, since = self._missing.get(endpoint, ("", 0.0))
        if codes != before or now - since >= SAY_AGAIN:
            self._missing[endpoint] = (codes, now)
            self._state.publish(EngineWarning("partial-answer", _PARTIAL.format(endpoint=endpoint, codes=codes[:200])))

    def _one_attempt(self, call: PrivateCall) -> Any:
        answer: CallAnswer = call.reply_to
        self._send(call)
        told = answer.wait(max(0.0, call.timeout or 0.0) + ANSWER_GRACE)
        if isinstance(told, CallDone):
            return told.result
        try:
            raise self._no_answer(answer, call.account, call.endpoint) if told is None else told.error
        finally:
            del answer, call, told  # they hold the error, and its traceback holds this frame

    def _no_answer(self, answer: CallAnswer, account: str, endpoint: str) -> CallError:
        """The time is over: the call is withdrawn if it still waits in the mailbox, else its outcome is unknown."""
        if not answer.withdraw():
            sentence = "No answer came in time: look up what became of the call."
            return CallUnknown(sentence, account=account, endpoint=endpoint)
        kind = DeadlinePassed if self._state.is_running else EngineStopped
        return kind("The call was not sent in time.", account=account, endpoint=endpoint)

    def _send(self, call: PrivateCall) -> None:
        """Put the call into the lane's mailbox. Raises `UnknownName` or `EngineStopped`."""
        try:
            self._state.check_account(call.account)
            self._state.ref(PRIVATE_LANE).tell(call)
        except pykka.ActorDeadError:
            stopped = EngineStopped("The engine is not running.", account=call.account, endpoint=call.endpoint)
            raise stopped from None
        except CallError as error:
            raise error.about(call.account, call.endpoint) from None


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
