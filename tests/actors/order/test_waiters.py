"""Who waits for a placement: each is answered once, and with what it waits for."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

import pytest

from engine.actors.order.waiters import PlacementWaiters, Until
from engine.errors import OrderUnknown, PermissionDenied
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent
from tests.actors.order.test_journal import ORDERS, placement

ROW = placement(1, "a", ORDERS[0])
OPEN = ROW.after(OrderEvent.SENT, 1.0).after(OrderEvent.ACCEPTED, 2.0, txids=("T1",))
OVER = OPEN.after(OrderEvent.FOUND_CANCELED, 3.0)


class Waiting:
    """Waiters whose timers the test lets go off."""

    def __init__(self, row: Placement) -> None:
        self.row = row
        self.timers: list[Callable[[], object]] = []
        self.waiters = PlacementWaiters(
            lambda name: self.row, lambda seconds, action: self.timers.append(action),
            lambda row: OrderUnknown("still open", row.receipt),
        )  # fmt: skip

    def wait(self, until: Until) -> Future[Placement]:
        future = self.waiters.wait(self.row, until, 1.0)
        assert isinstance(future, Future)
        return future


def test_a_refused_cancel_ends_only_the_waiting_for_it() -> None:
    waiting = Waiting(OPEN)
    final, over = waiting.wait(Until.FINAL), waiting.wait(Until.OVER)
    waiting.waiters.refused(OPEN.cl_ord_id, PermissionDenied("no"))
    assert isinstance(final.exception(0), PermissionDenied)
    assert not over.done()
    waiting.waiters.changed(OVER)
    assert over.result(0) == OVER


def test_when_the_time_is_over_each_gets_what_is_known() -> None:
    waiting = Waiting(OPEN)
    final, over = waiting.wait(Until.FINAL), waiting.wait(Until.OVER)
    for timer in waiting.timers:
        timer()
    with pytest.raises(OrderUnknown, match="still open"):
        final.result(0)
    assert over.result(0) == OPEN


def test_several_are_answered_together_with_those_that_are_not_over() -> None:
    waiting = Waiting(OPEN)
    done = waiting.waiters.wait_over([OPEN, OVER], 1.0)
    assert not done.done()
    waiting.timers[0]()
    assert done.result(0) == [OPEN]
    assert waiting.waiters.wait_over([], 1.0).result(0) == []
