"""Makes the calls of an steps, one after the other, through the lane; its actor goes on with other things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pykka

from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.errors import CallError, CallUnknown, EngineStopped
from engine.rules.order.reconciliation import Found, LookupSteps

Orders = Mapping[str, Found]


@dataclass(eq=False, slots=True)
class Lookup:
    """An steps under way: for whom, since when, and who takes what it found or why it found nothing."""

    account: str
    steps: LookupSteps
    began: float
    done: Callable[[Lookup, Orders], None]
    failed: Callable[[Lookup, CallError], None]


class Lookups:
    """Runs lookups for one actor, in its thread. `private` is the lane, `me` whom it tells its answers."""

    def __init__(self, private: Any, me: Any, monotonic: Callable[[], float]) -> None:
        self._private = private
        self._me = me
        self._monotonic = monotonic

    def begin(
        self,
        account: str,
        steps: LookupSteps,
        done: Callable[[Lookup, Orders], None],
        failed: Callable[[Lookup, CallError], None],
    ) -> None:
        """Start one; exactly one of `done` and `failed` is called, perhaps before this returns."""
        self._go_on(Lookup(account, steps, self._monotonic(), done, failed), None)

    def take(self, message: CallDone | CallFailed) -> None:
        """The lane's answer to one of the calls."""
        callback = message.call.tag
        if isinstance(message, CallDone):
            self._go_on(callback, message.result)
        else:
            callback.failed(callback, message.error)

    def _go_on(self, callback: Lookup, result: Any) -> None:
        error: CallError
        try:
            endpoint, params = callback.steps.send(result)
            self._private.tell(PrivateCall(callback.account, endpoint, params, reply_to=self._me, tag=callback))
            return
        except StopIteration as end:
            callback.done(callback, end.value)
            return
        except CallError as failure:
            error = failure
        except (pykka.ActorDeadError, KeyError):
            error = EngineStopped("The lane is not running.")
        except Exception:  # noqa: BLE001 - an odd reply must not end the looking
            error = CallUnknown("Kraken's list of orders cannot be read.")
        callback.failed(callback, error)
