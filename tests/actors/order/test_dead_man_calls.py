"""The calls of the dead man's switch, one at a time, with a clock that the test has in its hands."""

from __future__ import annotations

import pytest

from engine.actors.order.dead_man_switch import FEEDS
from engine.actors.order.messages import ArmSwitch
from engine.errors import CallUnknown, ConnectFailed
from tests.actors.order.lone_actor import LoneActor, crashed, lone
from tests.stopwatch import PATIENCE

__all__ = ["lone"]  # a fixture

CONFIRMED = {"currentTime": "2027-01-15T08:00:00Z", "triggerTime": "2027-01-15T08:01:00Z"}
EVERY = 64.0 / FEEDS


def test_the_next_feed_goes_out_in_its_time_after_the_last_was_confirmed(lone: LoneActor) -> None:
    armed = lone.ref.ask(ArmSwitch("MASTER", 64), block=False)
    lone.wait()
    for _ in range(3):
        (call,) = lone.calls
        assert (call.endpoint, call.params) == ("CancelAllOrdersAfter", {"timeout": 64})
        lone.time.turn_to(lone.time.now + 100.0)
        lone.wait()
        assert lone.calls == [call], "no second one while the first is under way"
        lone.answer(lone.take(), CONFIRMED)
        armed.get(timeout=PATIENCE)
        lone.time.turn_to(lone.time.now + EVERY - 0.01)
        lone.wait()
        assert not lone.calls
        lone.time.turn_to(lone.time.now + 0.01)
        lone.wait()


def test_a_first_feed_that_fails_is_told_to_who_asked_and_made_again(lone: LoneActor) -> None:
    armed = lone.ref.ask(ArmSwitch("MASTER", 64), block=False)
    lone.wait()
    lone.answer(lone.take(), ConnectFailed("There is no connection."))
    with pytest.raises(ConnectFailed):
        armed.get(timeout=PATIENCE)
    assert lone.warned == ["dead-man-not-fed"]
    lone.time.turn_to(EVERY)
    lone.wait()
    lone.answer(lone.take(), CallUnknown("The connection broke."))
    assert lone.warned == ["dead-man-not-fed"], "said once"
    lone.time.turn_to(2 * EVERY)
    lone.wait()
    lone.answer(lone.take(), CONFIRMED)
    assert lone.warned == ["dead-man-not-fed", "dead-man-fed"]


def test_an_answer_that_comes_after_another_wish_is_not_about_that(lone: LoneActor) -> None:
    """The feed under way is overtaken by a disarm: its confirmation does not count for it."""
    lone.ref.ask(ArmSwitch("MASTER", 64), block=False)
    lone.wait()
    fed = lone.take()
    disarmed = lone.ref.ask(ArmSwitch("MASTER", 0), block=False)
    lone.wait()
    disarm = lone.take()
    assert disarm.params == {"timeout": 0}
    lone.answer(fed, CONFIRMED)
    with crashed(lone) as again:
        assert [call.params for call in again.calls] == [{"timeout": 0}], "it is not confirmed yet"
    lone.answer(disarm, CONFIRMED)
    disarmed.get(timeout=PATIENCE)
    with crashed(lone) as again:
        assert not again.calls
    lone.time.turn_to(1000.0)
    lone.wait()
    assert not lone.calls, "and it is not fed any more"


def test_an_armed_switch_is_fed_again_after_a_crash(lone: LoneActor) -> None:
    lone.ref.ask(ArmSwitch("MASTER", 64), block=False)
    with crashed(lone) as again:
        assert again.warned == ["dead-man-armed"]
        assert [call.params for call in again.calls] == [{"timeout": 64}]
