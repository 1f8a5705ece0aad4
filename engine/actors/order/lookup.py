"""Makes the calls of a look through the lane, one after the other, while its actor does other work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pykka

from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.errors import (
    CallCut,
    CallError,
    CallNotSent,
    CallUnknown,
    CounterFull,
    EngineStopped,
    MailboxFull,
    RateLimited,
)
from engine.rules.order.lists import Call, LookupSteps
from engine.values.dataclass import dataclass

GO_ON_AT_MOST = 30
"""How often one look waits for room before it is given up."""
PAUSE = 1.0  # seconds until it goes on, where nobody says how long

_WAITS = (CounterFull, MailboxFull, RateLimited, CallCut)
"""Errors that say nothing about the list: it is asked for again."""


@dataclass(eq=False, slots=True)
class Lookup:
    """A look under way: its account and key, and who takes what it found or why it found nothing.

    goes_on: wait when the call counter is full, and continue; else the look ends, as with any call that is not sent.
    """

    account: str
    key_id: str | None
    steps: LookupSteps
    done: Callable[[Any], None]
    failed: Callable[[CallError], None]
    goes_on: bool
    call: Call | None = None
    waits: int = 0


class Lookups:
    """Runs looks for one actor, in its thread. `private` is the lane, `me` whom it tells its answers.

    Every call of a look is made with the key that the account has when the look begins (`key_of`), or not at all.
    """

    def __init__(
        self,
        private: Any,
        me: Any,
        later: Callable[[float, Callable[[], object]], None],
        key_of: Callable[[str], str | None],
    ) -> None:
        self._private, self._me, self._later, self._key_of = private, me, later, key_of

    def begin(
        self,
        account: str,
        steps: LookupSteps,
        done: Callable[[Any], None],
        failed: Callable[[CallError], None],
        *,
        goes_on: bool = False,
    ) -> None:
        """Start one; exactly one of `done` and `failed` is called, perhaps before this returns."""
        look = Lookup(account, self._key_of(account), steps, done, failed, goes_on)
        self._advance(look, lambda: look.steps.send(None))

    def take(self, message: CallDone | CallFailed) -> None:
        """The lane's answer to one of the calls."""
        look: Lookup = message.call.tag
        if isinstance(message, CallDone):
            result = message.result
            self._advance(look, lambda: look.steps.send(result))
            return
        error = message.error
        if look.goes_on and isinstance(error, _WAITS) and look.waits < GO_ON_AT_MOST:
            look.waits += 1
            self._later(max(error.retry_after or 0.0, 0.0) or PAUSE, partial(self._ask, look))
        elif isinstance(error, CallNotSent):  # no other list could be asked for either
            look.failed(error)
        else:
            self._advance(look, lambda: look.steps.throw(error))

    def _advance(self, look: Lookup, step: Callable[[], Call]) -> None:
        try:
            look.call = step()
        except StopIteration as end:
            look.done(end.value)
        except CallError as error:
            look.failed(error)
        except Exception:  # noqa: BLE001 - a malformed reply ends this look alone
            look.failed(CallUnknown("Kraken's list of orders cannot be read."))
        else:
            self._ask(look)

    def _ask(self, look: Lookup) -> None:
        assert look.call is not None
        endpoint, params = look.call
        call = PrivateCall(look.account, endpoint, params, reply_to=self._me, tag=look, key_id=look.key_id)
        try:
            self._private.tell(call)
        except (pykka.ActorDeadError, KeyError):
            look.failed(EngineStopped("The lane is not running."))
