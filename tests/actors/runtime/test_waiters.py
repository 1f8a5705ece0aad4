"""Callers that wait for the same thing: each is answered once, by the first answer that serves it."""

from __future__ import annotations

import pytest

from engine.actors.runtime.waiters import Waiters


def test_only_those_whose_wish_is_served_are_answered() -> None:
    waiters: Waiters[int, str] = Waiters()
    first, second = waiters.add(1), waiters.add(2)
    waiters.answer("one", lambda number: number <= 1)
    assert first.result(0) == "one"
    assert not second.done()
    assert waiters
    waiters.answer("both")
    assert second.result(0) == "both"
    assert not waiters


def test_a_failure_goes_to_all() -> None:
    waiters: Waiters[bool, str] = Waiters()
    each = [waiters.add(True), waiters.add(False)]
    waiters.fail(ValueError("no"))
    for future in each:
        with pytest.raises(ValueError, match="no"):
            future.result(0)
    assert not waiters


def test_a_caller_that_gives_up_gets_what_is_known_and_the_others_wait_on() -> None:
    waiters: Waiters[None, str] = Waiters()
    patient, hasty = waiters.add(None), waiters.add(None)
    assert waiters.give_up(hasty, "so far")
    assert hasty.result(0) == "so far"
    waiters.answer("all")
    assert patient.result(0) == "all"
    assert not waiters.give_up(patient, "late"), "it was answered before"
    assert patient.result(0) == "all"


def test_a_caller_that_comes_while_others_are_answered_is_not_forgotten() -> None:
    waiters: Waiters[None, str] = Waiters()
    again = []
    waiters.add(None).add_done_callback(lambda done: again.append(waiters.add(None)))
    waiters.answer("first")
    assert not again[0].done()
    waiters.answer("second")
    assert again[0].result(0) == "second"
