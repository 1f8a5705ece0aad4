"""What calls of the lane do to placements, whoever makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pykka

from engine.actors.lane.messages import PrivateCall
from engine.actors.order.messages import (
    AllCanceled,
    EditComes,
    EditFailed,
    OrderReplaced,
    OrdersCanceled,
    OrdersTouched,
)
from engine.actors.runtime.actor import tell_if_alive
from engine.errors import CallError, CallNotSent, Outcome
from engine.rules.order.replacement import Replacement

WRITTEN_WITHIN = 1.0  # seconds that the journal may take to write an edit down


class CallEffects:
    """Tells the actor of that name in `refs` what becomes of its orders. Runs in the lane's thread."""

    def __init__(self, refs: Mapping[str, pykka.ActorRef[Any]], name: str, wall_ns: Callable[[], int]) -> None:
        self._refs, self._name, self._wall_ns = refs, name, wall_ns

    def going(self, call: PrivateCall) -> None:
        """A call is about to go out: an edit is written down first. Raises `CallNotSent`."""
        if call.endpoint == "EditOrder":
            try:
                self._refs[self._name].ask(EditComes(call.account, _txid(call)), timeout=WRITTEN_WITHIN)
            except (pykka.ActorDeadError, pykka.Timeout, KeyError):
                raise CallNotSent("The edit could not be written down in time, so it was not sent.") from None

    def ended(self, call: PrivateCall, result: Any, error: CallError | None) -> None:
        """A call has ended: what it did, or may have done, to orders concerns their placements."""
        message: Any = None
        is_possible = error is None or error.outcome is Outcome.UNKNOWN
        match call.endpoint:
            case "EditOrder" if (replacement := Replacement.of(call.params, result)) is not None:
                message = OrderReplaced(call.account, replacement)
            case "EditOrder" if not is_possible:
                message = EditFailed(call.account, _txid(call))
            case "EditOrder" | "AmendOrder" if is_possible:
                message = OrdersTouched(call.account)
            case "CancelOrder" | "CancelOrderBatch" if isinstance(result, Mapping) and result.get("count"):
                message = OrdersCanceled(call.account, _names(call))
            case "CancelAll" if result is not None:
                message = AllCanceled(call.account, self._wall_ns() / 1e9)
        if message is not None:
            tell_if_alive(self._refs.get(self._name), message)


def _txid(call: PrivateCall) -> str:
    return str(call.params.get("txid"))


def _names(call: PrivateCall) -> tuple[str, ...]:
    """What a cancel has named."""
    named = [call.params.get(part) for part in ("txid", "cl_ord_id", "orders", "cl_ord_ids")]
    return tuple(str(each) for part in named if part is not None for each in (part if _is_list(part) else [part]))


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)
