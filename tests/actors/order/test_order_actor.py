"""The `OrderActor` alone, with a lane and a clock that the test has in its hands (promise G9)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.errors import CallError, CallNotSent, CallUnknown, ConnectFailed, OrderRejected, PairUnsettled
from engine.rules.order.states import OrderState
from tests.actors.order.lone_actor import KRAKEN, SETTINGS, LoneActor, crashed, lone
from tests.stopwatch import PATIENCE

__all__ = ["lone"]  # a fixture

SETTLED_AT = SETTINGS.order_deadline + SETTINGS.settle_margin


def test_a_look_that_begins_at_the_end_of_the_margin_tells_absence(lone: LoneActor) -> None:
    """Nothing can appear from that moment on, so it takes no second look; the looks before do not count."""
    lone.lose("x")
    while lone.time.next() < SETTLED_AT:
        lone.time.turn_to(lone.time.next())
        lone.answer_looks()
        assert lone.state("x") is OrderState.UNKNOWN
    assert lone.asked, "it was looked for before"
    lone.asked.clear()
    lone.time.turn_to(SETTLED_AT)
    lone.answer_looks()
    assert "TradesHistory" in lone.asked, "this look is a thorough one"
    assert lone.state("x") is OrderState.NOT_PLACED


def test_a_look_that_began_before_the_end_of_the_margin_never_tells_absence(lone: LoneActor) -> None:
    """However late its answers come: they may have been made before."""
    lone.lose("x")
    lone.time.turn_to(lone.time.next())
    lone.wait()
    assert lone.calls, "it is looked for"
    lone.time.turn_to(SETTLED_AT + 1.0)
    lone.answer_looks()
    assert lone.state("x") is OrderState.UNKNOWN
    while lone.state("x") is OrderState.UNKNOWN and lone.time.now < 100.0:
        lone.time.turn_to(lone.time.next())
        lone.answer_looks()
    assert lone.state("x") is OrderState.NOT_PLACED, "the look is made again, and that one counts"


def test_a_second_placement_on_the_pair_does_not_go_out_once_the_first_is_unknown(lone: LoneActor) -> None:
    """It was planned while the first was under way, and waits in the lane: its own turn is when that counts."""
    lone.place("x")
    lone.place("y", pair="BTC/USD")
    lone.place("z", pair="ETH/USD")
    first, second, third = lone.take(), lone.take(), lone.take()
    lone.send(first)
    lone.answer(first, CallUnknown("The connection broke."))
    lone.send(third)
    with pytest.raises(PairUnsettled) as unsettled:
        lone.send(second)
    lone.answer(second, unsettled.value)
    assert lone.state("x") is OrderState.UNKNOWN
    assert lone.state("y") is OrderState.NOT_PLACED


@pytest.mark.parametrize(
    ("error", "may_go_again"),
    [
        (CallNotSent("A cancel that covers this placement came before its turn."), False),
        (ConnectFailed("There is no connection."), True),
    ],
)
def test_only_a_placement_that_no_cancel_covered_may_be_tried_again_with_its_id(
    lone: LoneActor, error: CallError, may_go_again: bool
) -> None:
    lone.place("x")
    lone.answer(lone.take(), error)
    assert lone.state("x") is OrderState.NOT_PLACED
    again = lone.place("x")
    assert [call.endpoint for call in lone.calls] == (["AddOrder"] if may_go_again else [])
    if not may_go_again:
        assert again.get(timeout=PATIENCE).state is OrderState.NOT_PLACED


def test_whatever_is_said_of_a_placement_whose_turn_never_came_it_was_not_sent(lone: LoneActor) -> None:
    """A defect in the lane before the call goes out is told as unknown; here it is known that nothing went out."""
    for name, how in (("x", CallUnknown("The engine failed during the call.")), ("y", {"txid": ["OABC"]})):
        lone.place(name)
        lone.answer(lone.take(), how)
        assert lone.state(name) is OrderState.NOT_PLACED
    assert not lone.calls, "and it is not looked for"


def test_a_placement_that_is_settled_never_goes_out(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    lone.answer(call, CallNotSent("A cancel that covers this placement came before its turn."))
    with pytest.raises(CallNotSent, match="not sent again"):
        lone.send(call)
    lone.place("y")
    call = lone.take()
    lone.send(call)
    lone.answer(call, CallUnknown("The connection broke."))
    with pytest.raises(CallNotSent, match="not sent again"):
        lone.send(call)


def test_a_placement_that_is_signed_again_keeps_its_first_deadline(lone: LoneActor) -> None:
    lone.place("x")
    call = lone.take()
    assert call.deadline_in == SETTINGS.order_deadline
    first = call.reply_to.sending(KRAKEN)
    assert call.reply_to.sending(KRAKEN + 3.0) == first
    assert replace(call).params["cl_ord_id"] == f"{1:032x}"


@pytest.mark.parametrize(
    ("how", "state"),
    [
        ({"txid": ["OABCDE-FGHIJ-KLMNOP"]}, OrderState.PLACED),
        (OrderRejected("Kraken said no.", kraken_code="EOrder:Insufficient funds"), OrderState.REFUSED),
        (CallUnknown("The connection broke."), OrderState.UNKNOWN),
    ],
)
def test_the_answer_is_durable_when_it_is_told(lone: LoneActor, how: CallError | Any, state: OrderState) -> None:
    lone.place("x")
    call = lone.take()
    lone.send(call)
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.UNKNOWN, "what was sent and not answered is not known"
    lone.answer(call, how)
    assert lone.state("x") is state
    with crashed(lone) as again:
        assert again.kept("x") is state


def test_what_was_never_sent_is_not_placed_after_a_crash_and_may_be_tried_again(lone: LoneActor) -> None:
    lone.place("x")
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.NOT_PLACED
        again.place("x", number=2)
        assert again.take().endpoint == "AddOrder"


def test_what_was_sent_is_looked_for_after_a_crash_and_never_sent_again(lone: LoneActor) -> None:
    lone.place("x")
    lone.send(lone.take())
    with crashed(lone) as again:
        assert "order-unknown" in again.warned
        answer = again.place("x", number=2)
        again.time.turn_to(SETTLED_AT)
        again.answer_looks()
        assert "AddOrder" not in again.asked
        assert answer.get(timeout=PATIENCE).state is OrderState.NOT_PLACED


def test_what_a_look_has_found_is_durable_when_it_is_told(lone: LoneActor) -> None:
    lone.lose("x")
    lone.time.turn_to(SETTLED_AT)
    lone.answer_looks()
    assert lone.state("x") is OrderState.NOT_PLACED
    with crashed(lone) as again:
        assert again.kept("x") is OrderState.NOT_PLACED
