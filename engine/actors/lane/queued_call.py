"""A private call on its way through the mailbox, and the ways in which its sender is answered."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import pykka

from engine.actors.lane.messages import MAPPING, CallDone, CallFailed, PrivateCall
from engine.actors.runtime.callbacks import CallFuture, run_callback
from engine.errors import CallError, CallNotSent, UnknownName
from engine.kraken.dry_run import settled
from engine.kraken.endpoints import PRIVATE, call_class, is_dry_run
from engine.kraken.unlisted import endpoint_of
from engine.rules.lane.call_state import TABLE, CallEvent, CallState

logger = logging.getLogger(__name__)

SLICE = 0.25  # seconds
_NUMBER = (int, float)


class CallAnswer:
    """Carries the answer to a `PrivateCall` to the one thread that waits for it, in a third of a future's time."""

    __slots__ = ("_bell", "_message", "_token", "is_withdrawn")

    def __init__(self) -> None:
        self._token = threading.Lock()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._message: CallDone | CallFailed | None = None
        self.is_withdrawn = False

    def claim(self) -> bool:
        """Called once, when the call is about to run or to be answered; `False` when it was withdrawn."""
        return self._token.acquire(blocking=False)

    def withdraw(self) -> bool:
        """Give the call up; `False` when it is under way or answered."""
        self.is_withdrawn = self._token.acquire(blocking=False)
        return self.is_withdrawn

    def tell(self, message: CallDone | CallFailed) -> None:
        """Take in the answer."""
        self._message = message
        self._bell.release()

    def wait(self, seconds: float) -> CallDone | CallFailed | None:
        """The answer, or `None` when there is none within `seconds`. Called once.

        Waits a `SLICE` at a time: a Ctrl-C in the moment before a wait begins is seen only when that wait is over.
        """
        until = time.monotonic() + seconds
        while not self._bell.acquire(timeout=min(SLICE, seconds)):
            seconds = until - time.monotonic()
            if seconds <= 0:
                break
        message, self._message = self._message, None  # it refers to the call, and the call to this: a cycle
        return message


class FutureReply:
    """Carries the answer to a `PrivateCall` into a `concurrent.futures.Future`.

    `future`: one whose callbacks never wait, as they run in the lane's thread; without it they run in one of their own.
    """

    __slots__ = ("_with_warnings", "future")

    def __init__(self, future: Future[Any] | None = None, *, with_warnings: bool = False) -> None:
        self.future: Future[Any] = CallFuture() if future is None else future
        self._with_warnings = with_warnings

    @property
    def is_withdrawn(self) -> bool:
        """Whether the future was cancelled."""
        return self.future.cancelled()

    def claim(self) -> bool:
        """Called once, when the call is about to run or to be answered; `False` when the future was cancelled."""
        return self.future.set_running_or_notify_cancel()

    def tell(self, message: CallDone | CallFailed) -> None:
        """Complete the future."""
        if isinstance(message, CallDone):
            self.future.set_result(message if self._with_warnings else message.result)
        else:
            self.future.set_exception(message.error)


class QuickReply(ABC):
    """Base of receivers that never wait, so that they may be called in the lane's thread."""

    __slots__ = ()

    def sending(self, deadline: float | None) -> float | None:
        """The call is about to go out, or to go out again after a refused nonce; only for calls with `deadline_in`.

        `deadline` is that of the order in Unix seconds by Kraken's clock (`None`: not known); returns the one to send.
        Raises `CallNotSent` for a call that must not go out.
        """
        return deadline

    @abstractmethod
    def tell(self, message: CallDone | CallFailed) -> None:
        """Take in the answer."""


class QueuedCall:
    """A call's place in the order of service, its deadline, its state, and who is to be answered.

    It is made at most once and answered at most once, whichever threads try (see `CallState`). The constructor raises
    `CallNotSent` or `UnknownName` for a malformed call.
    """

    __slots__ = ("_asker", "_changing", "arrived", "call", "call_class", "deadline", "endpoint", "may_change", "state")

    def __init__(self, call: PrivateCall, asker: Any, arrived: float, timeout: float) -> None:
        _check(call, timeout)
        known = PRIVATE.get(call.endpoint)
        if known is None or call.endpoint_class is not None:
            known = endpoint_of(call.endpoint, call.params, call.endpoint_class)
        self.endpoint = endpoint = known.with_params(call.params) if known.writes_with else known
        params = settled(endpoint, call.params) if endpoint.writes else call.params
        self.call = call if params is call.params else replace(call, params=params)
        self.call_class = call_class(endpoint, params) if endpoint.finds_orders else endpoint.call_class
        self.may_change = endpoint.changes_now and not is_dry_run(endpoint, params)
        self.arrived = arrived
        self.deadline = arrived + timeout
        self.state = CallState.WAITING
        self._asker = asker
        self._changing = threading.Lock()

    def take(self) -> bool:
        """Whether it is to be made now: true for the first who asks, unless it was answered or withdrawn."""
        return self._leave_queue(CallEvent.TAKEN)

    def cut(self) -> None:
        """Its exchange is ended early. Does nothing for a call that is not under way."""
        self._change(CallEvent.CUT)

    @property
    def was_cut(self) -> bool:
        """Whether it is under way and was cut."""
        return self.state is CallState.CUT

    @property
    def has_left(self) -> bool:
        """Whether it waits no longer: it is under way, answered or withdrawn."""
        return self.state is not CallState.WAITING

    @property
    def is_wanted(self) -> bool:
        """Whether it waits for its turn and its caller has not withdrawn it."""
        receiver = self.call.reply_to
        return not self.has_left and not (isinstance(receiver, _WITHDRAWABLE) and receiver.is_withdrawn)

    def sending(self, deadline: float | None) -> float | None:
        """It is about to go out: see `QuickReply.sending`."""
        receiver = self.call.reply_to
        return receiver.sending(deadline) if isinstance(receiver, QuickReply) else deadline

    def done(self, result: Any, warnings: tuple[str, ...], key_id: str) -> None:
        """Answer: it was done, with that key."""
        if self._change(CallEvent.ENDED):
            if self._asker is not None:
                self._asker.set(result)
            _tell(self.call.reply_to, CallDone(self.call, result, warnings, key_id))

    def fail(self, error: CallError) -> None:
        """Answer: it was made and not done, or its outcome is unknown."""
        if self._change(CallEvent.ENDED):
            answer_failure(self.call, self._asker, error)

    def refuse(self, error: CallError) -> None:
        """Answer with `error`, unless it has left the queue already."""
        if self._leave_queue(CallEvent.REFUSED):
            answer_failure(self.call, self._asker, error)

    def _leave_queue(self, event: CallEvent) -> bool:
        """Whether the event took it out of the queue; the caller's withdrawal comes first."""
        receiver = self.call.reply_to
        with self._changing:
            if self.state is not CallState.WAITING:
                return False
            is_withdrawn = isinstance(receiver, _WITHDRAWABLE) and not receiver.claim()
            self.state = TABLE[self.state][CallEvent.WITHDRAWN if is_withdrawn else event]
        return not is_withdrawn

    def _change(self, event: CallEvent) -> bool:
        """Whether the event changed the state."""
        with self._changing:
            before, self.state = self.state, TABLE[self.state][event]
            return self.state is not before


def answer_failure(call: PrivateCall, asker: Any, error: CallError) -> None:
    """Report a failure to the caller."""
    error.about(call.account, call.endpoint)
    # The frames below hold the key, the otp and the signed body, and error reports show the locals of frames.
    error.__traceback__ = error.__context__ = error.__cause__ = None
    if asker is not None:
        asker.set_exception((type(error), error, None))
    _tell(call.reply_to, CallFailed(call, error))


def _check(call: PrivateCall, timeout: float) -> None:
    if not isinstance(call.account, str):
        raise UnknownName(f"Invalid name of an account: {call.account!r}. It must be a string.")
    if not isinstance(call.endpoint, str):
        raise UnknownName(f"Invalid name of an endpoint: {call.endpoint!r}. It must be a string.")
    if not isinstance(call.params, MAPPING):
        raise CallNotSent("The parameters of a call must be a mapping of names to values.")
    if isinstance(timeout, bool) or not isinstance(timeout, _NUMBER) or not timeout < math.inf:
        raise CallNotSent(f"Invalid timeout: {timeout!r}. Give seconds as a number.")


_WITHDRAWABLE = (CallAnswer, FutureReply)  # other receivers with such methods are the host's: they are only told
_QUICK = (*_WITHDRAWABLE, QuickReply, pykka.ActorRef)


def _tell(receiver: Any, message: CallDone | CallFailed) -> None:
    if receiver is None:
        return
    if isinstance(receiver, _QUICK):
        _deliver(receiver, message)
    else:  # the host's own `tell` may take its time
        run_callback(partial(_deliver, receiver, message))


def _deliver(receiver: Any, message: CallDone | CallFailed) -> None:
    try:
        receiver.tell(message)
    except BaseException:  # noqa: BLE001 - a dead or faulty receiver must not disturb the lane
        logger.info("Nobody could be told how %s ended.", message.call.endpoint)
