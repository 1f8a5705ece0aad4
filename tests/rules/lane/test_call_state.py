"""G5: the life of a private call, over every sequence of what can happen to it."""

from __future__ import annotations

from itertools import product

import pytest

from engine.rules.lane import call_state
from engine.rules.lane.call_state import TABLE, CallEvent, CallState


@pytest.mark.parametrize("length", range(7))
def test_every_sequence_is_made_and_answered_at_most_once(length: int) -> None:
    """And an answer follows only a refusal while it waits, or the end of a call that was made."""
    for events in product(CallEvent, repeat=length):
        state, made, answered, given_up = CallState.WAITING, 0, 0, 0
        for event in events:
            before, state = state, TABLE[state][event]
            made += before is not state is CallState.RUNNING
            answered += before is not state is CallState.ANSWERED
            given_up += before is not state is CallState.WITHDRAWN
        assert made + given_up <= 1
        assert answered + given_up <= 1
        assert (state is CallState.ANSWERED) == _is_answered(events)


def _is_answered(events: tuple[CallEvent, ...]) -> bool:
    """Read off the history: no state, no table."""
    leaving = (CallEvent.TAKEN, CallEvent.WITHDRAWN, CallEvent.REFUSED)
    first = next((event for event in events if event in leaving), None)
    if first is not CallEvent.TAKEN:
        return first is CallEvent.REFUSED
    return CallEvent.ENDED in events[events.index(first) :]


def test_the_drawing_is_the_table() -> None:
    """What a person reads at the top of the file is what the program does."""
    lines = [line.split() for line in (call_state.__doc__ or "").splitlines()]
    names = {state.value for state in CallState}
    drawn = {line[0]: line[1:] for line in lines if line and line[0] in names}
    assert drawn == {state.value: [row[event].value for event in CallEvent] for state, row in TABLE.items()}
