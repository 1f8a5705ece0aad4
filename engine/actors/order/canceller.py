"""Carries out the wish that an order be canceled: again and again until it is over (promise G5).

A cancel that names its order cannot be done twice, so that sending it again is harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from functools import partial
from typing import Any, NamedTuple

import pykka

from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.errors import (
    CallError,
    CallNotSent,
    CallRefused,
    CallUnknown,
    EngineStopped,
    OrderRejected,
    OtherKey,
    Outcome,
)
from engine.rules.backoff import Backoff
from engine.rules.lane.retry import is_passing
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.values.dataclass import dataclass

BACKOFF = Backoff(first=0.5, longest=2.0)
UNHURRIED, UNHURRIED_AFTER = 30.0, 20  # seconds between two tries after so many

UNKNOWN_ORDER = "Kraken knows no such order to cancel now."


class Wish(NamedTuple):
    """Marks a cancel: which placement, under which name of its order, and which try it is."""

    cl_ord_id: str
    txid: str | None
    turn: int


@dataclass(slots=True)
class _Case:
    """A placement to cancel: what was sent and not answered yet, and which of its orders Kraken says are canceled."""

    turn: int = 0
    failures: int = 0
    asking: set[str | None] = field(default_factory=set)
    done: set[str] = field(default_factory=set)
    error: CallError | None = None


class Canceller:
    """The wishes that are not carried out yet. Lives in the thread of the actor that has the journal.

    `row_of` gives a placement as it is now. `fits` says whether its account's key sees it. `said` is called when Kraken
    says that all its orders are canceled; `look` when only a look can tell what became of it; `refused` when Kraken
    does not let it be canceled with this key: it is tried again when there is news; `moved` when it may be carried out.
    """

    def __init__(
        self,
        private: Any,
        me: Any,
        key_of: Callable[[str], str | None],
        later: Callable[[float, Callable[[], object]], None],
        *,
        row_of: Callable[[str], Placement | None],
        fits: Callable[[Placement], bool],
        said: Callable[[str], None],
        look: Callable[[Placement], None],
        refused: Callable[[str, CallError], None],
        moved: Callable[[str], None],
    ) -> None:
        self._private, self._me, self._key_of, self._later = private, me, key_of, later
        self._row_of, self._fits, self._said, self._look, self._refused = row_of, fits, said, look, refused
        self._moved = moved
        self._cases: dict[str, _Case] = {}

    def want(self, name: str) -> None:
        """Try now. The wish itself is in the journal."""
        case = self._cases.setdefault(name, _Case())
        case.failures = 0
        if not case.asking:
            self._try(name, case.turn)

    def why(self, name: str) -> str:
        """How the last try failed, for a person; empty when none did."""
        case = self._cases.get(name)
        return "" if case is None or case.error is None else str(case.error)

    def take(self, message: CallDone | CallFailed) -> None:
        """The lane's answer to a cancel."""
        name, txid, turn = message.call.tag
        case = self._cases.get(name)
        if case is None or turn != case.turn:
            return
        case.asking.discard(txid)
        if isinstance(message, CallFailed):
            self._failed(name, case, message.error)
        else:
            self._answered(name, case, txid, message.result)

    def _try(self, name: str, turn: int) -> None:
        case, row = self._cases.get(name), self._row_of(name)
        if case is None or turn != case.turn or case.asking:
            return
        if row is None or row.state.is_over or not row.cancel_wanted:
            del self._cases[name]  # when it should be open after all, that is news
            return
        if not self._fits(row):
            del self._cases[name]  # another key is news
            return
        case.turn += 1
        left = [txid for txid in row.txids if txid not in case.done]
        case.asking = {*left} if row.txids else {None}
        for txid in tuple(case.asking):
            self._send(row, Wish(name, txid, case.turn))

    def _send(self, row: Placement, wish: Wish) -> None:
        params = row.kraken_name.to_cancel() if wish.txid is None else {"txid": wish.txid}
        call = PrivateCall(
            row.account, "CancelOrder", params, reply_to=self._me, tag=wish, key_id=self._key_of(row.account)
        )
        try:
            self._private.tell(call)
        except (pykka.ActorDeadError, KeyError):
            self.take(CallFailed(call, EngineStopped("The lane is not running.")))

    def _answered(self, name: str, case: _Case, txid: str | None, result: Any) -> None:
        count = result.get("count")
        if result.get("pending"):
            self._moved(name)
            self._again(name, case, look=True)
        elif isinstance(count, int) and not count:
            self._failed(name, case, OrderRejected(UNKNOWN_ORDER))
        elif txid is not None and set(getattr(self._row_of(name), "txids", ())) - case.done - {txid}:
            case.done.add(txid)
            if not case.asking:
                self._again(name, case)
        else:
            del self._cases[name]
            self._said(name)

    def _failed(self, name: str, case: _Case, error: CallError) -> None:
        case.error = error
        if isinstance(error, EngineStopped):
            return
        if error.outcome is Outcome.UNKNOWN:
            self._moved(name)
        if isinstance(error, OrderRejected):  # nothing to cancel under this name: over, not there yet, or edited
            self._again(name, case, look=True)
        elif isinstance(error, CallUnknown) or is_passing(error):
            self._again(name, case, error.retry_after or 0.0)
        elif isinstance(error, CallRefused):
            del self._cases[name]
            self._refused(name, error)
        elif isinstance(error, CallNotSent) and not isinstance(error, OtherKey):
            self._again(name, case, error.retry_after or 0.0)

    def _again(self, name: str, case: _Case, at_least: float = 0.0, *, look: bool = False) -> None:
        case.failures += 1
        pause = BACKOFF.pause(case.failures - 1, at_least)
        if case.failures > UNHURRIED_AFTER:
            pause = max(at_least, UNHURRIED)
        self._later(pause, partial(self._try, name, case.turn))
        row = self._row_of(name)
        if look and row is not None and row.state is not OrderState.UNKNOWN:
            self._look(row)
