"""A cancel is sent again until the order is over, and no oftener than it is told (promise G5)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from engine.actors.lane.messages import PrivateCall
from engine.actors.order.messages import CancelPlacement
from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    EngineStopped,
    OrderRejected,
    PermissionDenied,
)
from engine.rules.order.states import OrderState
from tests.actors.order.lone_actor import ABSENT, LoneActor, lone
from tests.stopwatch import PATIENCE

__all__ = ["lone"]  # a fixture


@pytest.fixture
def placed(lone: LoneActor) -> LoneActor:
    """Order x is open as O1, and the look that comes soon after is over."""
    lone.place("x")
    call = lone.take()
    lone.send(call)
    lone.answer(call, {"txid": ["O1"]})
    lone.wait()
    return lone


OPEN = {"OpenOrders": {"open": {"O1": {"status": "open", "vol_exec": "0", "cost": "0"}}}}


def cancels(lone: LoneActor, until: float) -> list[float]:
    """When a cancel goes out until then; looks say that the order is open, and cancels are left unanswered."""
    times: list[float] = []
    while True:
        lone.wait()
        while looks := [call for call in lone.calls if call.endpoint != "CancelOrder"]:
            lone.calls.remove(looks[0])
            lone.answer(looks[0], ({**ABSENT, **OPEN})[looks[0].endpoint])
        times += [lone.time.now] * len(lone.calls)
        if lone.calls or lone.time.next() > until:
            return times
        lone.time.turn_to(lone.time.next())


def begin(lone: LoneActor) -> PrivateCall:
    lone.ref.ask(CancelPlacement(f"{1:032x}", 1000.0), block=False)
    (now,) = cancels(lone, lone.time.now)
    assert now == lone.time.now
    return lone.take()


def again(lone: LoneActor, call: PrivateCall, how: CallError | Any, within: float = 100.0) -> float | None:
    """How many seconds after this answer the cancel goes out again; `None`: not within that time."""
    at = lone.time.now
    lone.answer(call, how)
    times = cancels(lone, at + within)
    return times[0] - at if times else None


def held_back(seconds: float) -> CallNotSent:
    error = CallNotSent("Held back.")
    error.retry_after = seconds
    return error


@pytest.mark.parametrize(
    ("how", "seconds"),
    [
        (CallUnknown("No answer came."), 0.5), (OrderRejected("EOrder:Unknown order"), 0.5), ({"count": 0}, 0.5),
        ({"count": 1, "pending": True}, 0.5), (held_back(0.0), 0.5), (held_back(7.0), 7.0),
        (PermissionDenied("No."), None), (EngineStopped("It stops."), None),
    ],
)  # fmt: skip
def test_a_cancel_that_is_not_known_to_be_done_goes_out_again(
    placed: LoneActor, how: CallError | Any, seconds: float | None
) -> None:
    assert again(placed, begin(placed), how) == seconds
    assert placed.state("x") is OrderState.PLACED


def test_pauses_between_cancels_double_to_two_seconds_and_after_twenty_are_half_a_minute(placed: LoneActor) -> None:
    call, pauses = begin(placed), []
    for _ in range(22):
        pauses.append(again(placed, call, CallUnknown("No answer came.")))
        call = placed.take()
    assert pauses == [0.5, 1.0, *itertools.repeat(2.0, 18), 30.0, 30.0]


def test_a_cancel_that_is_done_is_not_sent_again(placed: LoneActor) -> None:
    assert again(placed, begin(placed), {"count": 1}) is None
    assert placed.state("x") is OrderState.CANCELED


def test_whoever_waits_for_a_cancel_that_the_key_may_not_make_is_told_at_once(placed: LoneActor) -> None:
    answer = placed.ref.ask(CancelPlacement(f"{1:032x}", 1000.0), block=False)
    placed.wait()
    while placed.calls[0].endpoint != "CancelOrder":
        call = placed.take()
        placed.answer(call, ({**ABSENT, **OPEN})[call.endpoint])
    placed.answer(placed.take(), PermissionDenied("No."))
    with pytest.raises(PermissionDenied):
        answer.get(timeout=PATIENCE).result(timeout=PATIENCE)
