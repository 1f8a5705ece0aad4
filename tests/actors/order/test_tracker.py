"""When open orders are looked at, by a lane and a clock that the test has in its hands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from engine.actors.lane.messages import CallDone, CallFailed, PrivateCall
from engine.actors.order.lookup import Lookups
from engine.actors.order.tracker import SOON, Tracker
from engine.errors import CallError, CallNotSent, CallUnknown, CounterFull
from engine.rules.order.following import Look, follow

EVERY = 4.0
OPEN: dict[str, Any] = {"OpenOrders": {"open": {}}, "QueryOrders": {"O1": {"status": "open"}}}


class Bench:
    """A tracker of the order O1, with its lane and its timers."""

    def __init__(self, *, doubles: bool = False) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self.calls: list[PrivateCall] = []
        self.looks: list[Look] = []
        self.txids = ["O1"]
        self.lookups = Lookups(self, None, self._later, lambda account: "k")
        self.tracker = Tracker(
            self.lookups, EVERY, lambda: self.now, self._later, lambda account: self.txids,
            lambda account, txids: follow(txids), lambda account, look: self.looks.append(look), doubles=doubles,
        )  # fmt: skip

    def _later(self, seconds: float, action: Callable[[], object]) -> None:
        self.timers.append((self.now + seconds, action))

    def tell(self, call: PrivateCall) -> None:
        self.calls.append(call)

    def turn_to(self, now: float) -> None:
        while due := [each for each in self.timers if each[0] <= now]:
            self.timers.remove(due[0])
            self.now = max(self.now, due[0][0])
            due[0][1]()
        self.now = now

    def answer(self, error: CallError | None = None) -> str:
        call = self.calls.pop(0)
        self.lookups.take(CallDone(call, OPEN[call.endpoint]) if error is None else CallFailed(call, error))
        return call.endpoint

    def answer_all(self) -> None:
        while self.calls:
            self.answer()


def test_an_order_is_looked_at_soon_and_then_at_the_pace() -> None:
    bench = Bench()
    bench.tracker.soon("A")
    bench.turn_to(SOON - 0.01)
    assert not bench.calls
    bench.turn_to(SOON)
    bench.answer_all()
    assert len(bench.looks) == 1
    bench.turn_to(SOON + EVERY - 0.01)
    assert not bench.calls
    bench.turn_to(SOON + EVERY)
    assert bench.calls


def test_a_look_that_meets_our_own_counter_goes_on_where_it_was() -> None:
    """Else a key whose counter has room for a part of the look at a time would never see the end of one."""
    bench = Bench()
    bench.tracker.hurry("A")
    bench.turn_to(0.0)
    assert bench.answer() == "OpenOrders"
    for _ in range(3):
        assert bench.answer(CounterFull("Full.", retry_after=6.0)) == "QueryOrders"
        bench.turn_to(bench.now + 6.0)
    bench.answer_all()
    (look,) = bench.looks
    assert set(look.found) == {"O1"}
    assert look.error is None


def test_who_hurries_during_a_look_has_one_more_at_once() -> None:
    bench = Bench()
    bench.tracker.hurry("A")
    bench.turn_to(0.0)
    bench.tracker.hurry("A")
    bench.turn_to(0.0)
    assert len(bench.calls) == 1, "one at a time"
    bench.answer_all()
    bench.turn_to(0.0)
    assert bench.calls
    bench.answer_all()
    bench.turn_to(0.0)
    assert not bench.calls, "and no third"
    assert len(bench.looks) == 2


def test_after_a_failure_it_is_not_hurried_and_waits_as_long_as_it_is_told() -> None:
    bench = Bench()
    bench.tracker.hurry("A")
    bench.turn_to(0.0)
    bench.tracker.hurry("A")
    error = CallNotSent("Held back.")
    error.retry_after = 9.0
    bench.answer(error)
    bench.turn_to(8.99)
    assert not bench.calls
    bench.turn_to(9.0)
    assert bench.calls


def test_pauses_double_and_begin_anew_when_somebody_hurries() -> None:
    bench, begun = Bench(doubles=True), []
    bench.tracker.hurry("A")
    while bench.now < 20.0:
        if bench.calls:
            begun.append(bench.now)
            bench.answer_all()
        bench.turn_to(min((due for due, _ in bench.timers if due > bench.now), default=bench.now))
    assert begun == [0.0, SOON, 3 * SOON, 7 * SOON, 15 * SOON]
    bench.tracker.hurry("A")
    bench.turn_to(bench.now)
    bench.answer_all()
    at = bench.now
    bench.turn_to(at + SOON)
    assert bench.calls


def test_whoever_waits_is_answered_with_the_look_or_its_error() -> None:
    bench = Bench()
    first = bench.tracker.now("A")
    assert not first.done()
    bench.answer_all()
    assert first.result(0) is None
    second = bench.tracker.now("A")
    bench.answer(CallUnknown("No answer came."))
    bench.answer_all()
    with pytest.raises(CallUnknown):
        second.result(0)
    bench.txids = []
    assert bench.tracker.now("A").result(0) is None, "there is nothing to look at"
    assert not bench.calls


def test_a_failure_of_ours_does_not_end_the_looking() -> None:
    bench = Bench()
    bench.looks = None  # type: ignore[assignment]
    bench.tracker.hurry("A")
    bench.turn_to(0.0)
    bench.answer()
    with pytest.raises(AttributeError):
        bench.answer()
    bench.turn_to(EVERY)
    assert bench.calls
