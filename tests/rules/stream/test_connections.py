"""At most 120 attempts to connect in any 600 seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.rules.stream.connections import MOST, WINDOW, counted, room, wait


@given(st.lists(st.floats(0.0, 30.0), max_size=400))
def test_whoever_waits_as_told_never_exceeds_the_limit(pauses: list[float]) -> None:
    now, made = 0.0, [0.0] * MOST
    for pause in pauses:
        now += pause + wait(made, now + pause)
        assert room(made, now) >= 1
        made.append(now)
    for at in made:
        assert sum(at - 600.0 <= each <= at for each in made) <= MOST


def test_the_next_attempt_is_due_when_the_oldest_counts_no_longer() -> None:
    made = [10.0, *[50.0] * (MOST - 1)]
    assert (room(made, 60.0), wait(made, 60.0)) == (0, 10.0 + WINDOW - 60.0)
    assert (room(made, 10.0 + WINDOW), wait(made, 10.0 + WINDOW)) == (1, 0.0)


def test_what_lies_in_the_future_counts_as_made_now() -> None:
    assert counted([5.0, 1e6], 100.0) == [5.0, 100.0]
    assert counted([5.0], 5.0 + WINDOW) == []
