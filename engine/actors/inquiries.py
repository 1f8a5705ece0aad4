"""Makes the calls of an inquiry, one after the other, through the lane; its actor goes on with other things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pykka

from engine.actors.messages import CallDone, CallFailed, PrivateCall
from engine.errors import CallError, CallUnknown, EngineStopped
from engine.rules.settlement import Found, Inquiry

Orders = Mapping[str, Found]


@dataclass(eq=False, slots=True)
class Errand:
    """An inquiry under way: for whom, since when, and who takes what it found or why it found nothing."""

    account: str
    inquiry: Inquiry
    began: float
    done: Callable[[Errand, Orders], None]
    failed: Callable[[Errand, CallError], None]


class Inquiries:
    """Runs inquiries for one actor, in its thread. `private` is the lane, `me` whom it tells its answers."""

    def __init__(self, private: Any, me: Any, monotonic: Callable[[], float]) -> None:
        self._private = private
        self._me = me
        self._monotonic = monotonic

    def begin(
        self,
        account: str,
        inquiry: Inquiry,
        done: Callable[[Errand, Orders], None],
        failed: Callable[[Errand, CallError], None],
    ) -> None:
        """Start one; exactly one of `done` and `failed` is called, perhaps before this returns."""
        self._go_on(Errand(account, inquiry, self._monotonic(), done, failed), None)

    def take(self, message: CallDone | CallFailed) -> None:
        """The lane's answer to one of the calls."""
        errand = message.call.tag
        if isinstance(message, CallDone):
            self._go_on(errand, message.result)
        else:
            errand.failed(errand, message.error)

    def _go_on(self, errand: Errand, result: Any) -> None:
        error: CallError
        try:
            endpoint, params = errand.inquiry.send(result)
            self._private.tell(PrivateCall(errand.account, endpoint, params, reply_to=self._me, tag=errand))
            return
        except StopIteration as end:
            errand.done(errand, end.value)
            return
        except CallError as failure:
            error = failure
        except (pykka.ActorDeadError, KeyError):
            error = EngineStopped("The lane is not running.")
        except Exception:  # noqa: BLE001 - an odd reply must not end the looking
            error = CallUnknown("Kraken's list of orders cannot be read.")
        errand.failed(errand, error)
