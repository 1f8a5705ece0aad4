"""A placement on its way through the lane: what is done when its turn comes, and when the answer is there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from engine.actors.lane.messages import CallDone, CallFailed
from engine.actors.lane.queued_call import QuickReply
from engine.actors.order.journal import Journal
from engine.errors import CallError, CallNotSent, CallRefused, CallUnknown, DeadlinePassed, WrongParameter
from engine.rules.order.placement import Placement
from engine.rules.order.states import IllegalTransition, OrderEvent, OrderState

TAKE_AGAIN = 1.0  # seconds
SOONEST, LATEST = 2.0, 60.0  # seconds to a deadline (Kraken's reference of AddOrder)

# News, and what it changes of the placement.
_Told = tuple[OrderEvent, dict[str, Any]]


class Submission(QuickReply):
    """Runs in the lane's thread. What it learns is in the journal's memory before the lane's next call goes out.

    `then` is called with how it ended, `None` when Kraken took the order; `shared` when it took it under the name of
    another placement's order; `later` runs something after some seconds. They must not wait. `accept_in`: seconds that
    Kraken is given to accept an order without a deadline of its own (`Settings.order_deadline`).
    """

    __slots__ = ("_accept_in", "_later", "_shared", "_then", "journal", "name")

    def __init__(
        self,
        journal: Journal,
        cl_ord_id: str,
        then: Callable[[CallError | None], None],
        shared: Callable[[Placement, Placement, str], None],
        later: Callable[[float, Callable[[], object]], None],
        accept_in: float,
    ) -> None:
        self._shared, self._later, self._accept_in = shared, later, accept_in
        self.journal = journal
        self.name = cl_ord_id
        self._then = then

    def sending(self, deadline: float | None) -> float | None:
        """Its turn has come: durably *sent* from here on. Raises `CallNotSent`."""
        return self.journal.send(self.name, self.due(deadline)).deadline

    def due(self, deadline: float | None) -> float:
        """Its deadline, given that of the engine. Raises `CallNotSent`."""
        if deadline is None:
            raise CallNotSent("Kraken's time is not known, so the order has no deadline; it was not sent.")
        row = self.journal.row(self.name)
        asked = None if row is None else row.order.deadline
        return deadline if asked is None else min(deadline, _checked(asked.timestamp(), deadline - self._accept_in))

    def tell(self, message: CallDone | CallFailed) -> None:
        """The answer is there. What fails here for a reason of ours, such as no memory, is done again in a while."""
        try:
            self._take(message)
        except Exception:
            self._later(TAKE_AGAIN, partial(self.tell, message))
            raise

    def _take(self, message: CallDone | CallFailed) -> None:
        error = message.error if isinstance(message, CallFailed) else None
        row = self.journal.row(self.name)
        if row is None or row.state.is_settled:
            return
        if row.state is OrderState.PLANNED:  # whatever it is, nothing went out
            event, changes = _not_sent(error)
        elif isinstance(message, CallDone):
            event, changes = _accepted(message.result)
        else:
            event, changes = _failed(message.error)
        self._tell_shared(row, changes.get("txids", ()))
        try:
            self.journal.note(self.name, event, **changes)
        except IllegalTransition:  # Kraken's stream has told of the order at this moment
            return
        if event is OrderEvent.NO_ANSWER and error is None:
            error = CallUnknown("Kraken's answer names no order: it is looked up.")
        self._then(error)

    def _tell_shared(self, row: Placement, txids: Sequence[str]) -> None:
        for txid in txids:
            other = self.journal.other_of(row, txid)
            if other is not None:
                self._shared(row, other, txid)


def holder(journal: Journal, account: str, txid: str) -> Placement | None:
    """The placement that has an order; `None` also where the journal cannot be read: what is known is taken in then."""
    with contextlib.suppress(CallNotSent):
        return journal.find(account, txid)
    return None


def _checked(deadline: float, now: float) -> float:
    """A deadline of the caller's, in Unix seconds. Raises `CallNotSent` for one that Kraken does not take."""
    if deadline > now + LATEST:
        told = f"Kraken takes a deadline that is at most {LATEST:.0f} seconds away; the order was not sent."
        raise WrongParameter(told, name="deadline")
    if deadline < now + SOONEST:
        told = f"The deadline of the order is less than {SOONEST:.0f} seconds away, or over; it was not sent."
        raise DeadlinePassed(told).in_krakens_words("EService:Deadline elapsed")
    return deadline


def _accepted(result: Any) -> _Told:
    """Only a txid proves that there is an order."""
    txids = result.get("txid")
    named = [txids] if isinstance(txids, str) else txids
    if not isinstance(named, list) or not named or not all(isinstance(each, str) and each for each in named):
        return OrderEvent.NO_ANSWER, {"reason": "Kraken's answer names no order."}
    described = result.get("descr")
    texts = [described.get(name) if isinstance(described, dict) else None for name in ("order", "close")]
    order, close = (text if isinstance(text, str) and text else None for text in texts)
    return OrderEvent.ACCEPTED, {"txids": tuple(named), "description": order, "close_description": close}


def _failed(error: CallError) -> _Told:
    if isinstance(error, CallNotSent):
        return _not_sent(error)
    known = {"reason": str(error), "code": error.kraken_code}
    return (OrderEvent.REFUSED if isinstance(error, CallRefused) else OrderEvent.NO_ANSWER), known


def _not_sent(error: CallError | None) -> _Told:
    """A plain `CallNotSent` may be a cancel that covered it; the others say that it may be tried again, or when."""
    is_another = type(error) is not CallNotSent
    may_repeat = isinstance(error, CallNotSent) and (is_another or error.retry_after is not None)
    return OrderEvent.NOT_SENT, {"reason": str(error), "may_repeat": may_repeat}
