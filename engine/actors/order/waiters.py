"""Who waits for a placement, and for what of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import field
from enum import Enum
from functools import partial

from engine.errors import CallError
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState
from engine.values.dataclass import dataclass

ANSWER_GRACE = 1.0  # seconds after its deadline by which a call is answered (promise G5)


class Until(Enum):
    """For what somebody waits."""

    SETTLED = "settled"
    """It is known whether Kraken has the order."""
    OVER = "over"
    """It is over."""
    FINAL = "final"
    """It is over, and its amounts are known."""

    def is_reached(self, row: Placement) -> bool:
        """Whether that is so."""
        return {Until.SETTLED: row.state.is_settled, Until.OVER: row.state.is_over, Until.FINAL: row.is_final}[self]


@dataclass(eq=False, slots=True)
class _Waiter:
    until: Until
    has_waited_longer: bool = False
    future: Future[Placement] = field(default_factory=Future)


class PlacementWaiters:
    """Everybody who waits for placements. Lives in the thread of the actor that has the journal.

    `still_open` gives the error for whoever waits for the end of an order that may still be open.
    """

    def __init__(
        self,
        row_of: Callable[[str], Placement | None],
        later: Callable[[float, Callable[[], object]], None],
        still_open: Callable[[Placement], CallError],
    ) -> None:
        self._row_of, self._later, self._still_open = row_of, later, still_open
        self._waiters: dict[str, list[_Waiter]] = {}

    def wait(self, row: Placement, until: Until, timeout: float) -> Placement | Future[Placement]:
        """The placement when it is so far, or what is known of it when the time is over."""
        if until.is_reached(row):
            return row
        waiter = _Waiter(until)
        self._waiters.setdefault(row.cl_ord_id, []).append(waiter)
        self._later(max(0.0, timeout), partial(self._give_up, row.cl_ord_id, waiter))
        return waiter.future

    def wait_over(self, rows: Sequence[Placement], timeout: float) -> Future[list[Placement]]:
        """Wait until all are over, or the time is; answered with those that are not over then."""
        answers = [self.wait(row, Until.OVER, timeout) for row in rows]
        known = [each for each in answers if isinstance(each, Placement)]
        done: Future[list[Placement]] = Future()

        def finish() -> None:
            if len(known) == len(answers):
                done.set_result([row for row in known if not row.state.is_over])

        def answered(each: Future[Placement]) -> None:
            known.append(each.result())
            finish()

        waiting = [each for each in answers if not isinstance(each, Placement)]
        for each in waiting:
            each.add_done_callback(answered)
        if not waiting:
            finish()
        return done

    def changed(self, row: Placement, error: CallError | None = None) -> None:
        """Something happened to a placement; `error` is how the attempt to place it ended."""
        waiters = self._waiters.pop(row.cl_ord_id, [])
        left = [waiter for waiter in waiters if not waiter.until.is_reached(row)]
        if left:
            self._waiters[row.cl_ord_id] = left
        for waiter in (each for each in waiters if each not in left):
            if error is None or waiter.until is not Until.SETTLED:
                waiter.future.set_result(row)
            else:
                waiter.future.set_exception(error)

    def refused(self, name: str, error: CallError) -> None:
        """Kraken does not let it be canceled: whoever waits for that is told; the others wait on."""
        waiters = self._waiters.pop(name, [])
        self._waiters[name] = [waiter for waiter in waiters if waiter.until is not Until.FINAL]
        for waiter in (each for each in waiters if each.until is Until.FINAL):
            waiter.future.set_exception(error)

    def dropped(self, name: str, error: CallError) -> None:
        """Nothing is known of a placement any more, since it was not sent: `error` says why."""
        for waiter in self._waiters.pop(name, []):
            waiter.future.set_exception(error)

    def forget(self, name: str) -> None:
        """Nobody waits for that placement any more: its caller was answered otherwise."""
        self._waiters.pop(name, None)

    def end(self) -> None:
        """Answer everybody with what is known."""
        for name, waiters in self._waiters.items():
            row = self._row_of(name)
            for waiter in waiters:
                if row is not None:
                    self._answer(waiter, row)
        self._waiters.clear()

    def _give_up(self, name: str, waiter: _Waiter) -> None:
        row = self._row_of(name)
        if row is None or waiter not in self._waiters.get(name, ()):
            return
        if row.state in (OrderState.PLANNED, OrderState.SENT) and not waiter.has_waited_longer:
            waiter.has_waited_longer = True  # the lane's answer is due at the same time
            self._later(ANSWER_GRACE, partial(self._give_up, name, waiter))
            return
        self._waiters[name].remove(waiter)
        self._answer(waiter, row)

    def _answer(self, waiter: _Waiter, row: Placement) -> None:
        """Answer one whose time is over."""
        if waiter.until is Until.FINAL and not row.state.is_over:
            waiter.future.set_exception(self._still_open(row))
        else:
            waiter.future.set_result(row)
