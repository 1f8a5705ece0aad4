"""Pauses after failures: they double, stay bounded, and heed who asks for more."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first=0.5, longest=5.0)
    assert [backoff.pause(failures) for failures in range(6)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(("asked", "pause"), [(None, 1.0), (0.2, 1.0), (30.0, 30.0)])
def test_a_longer_pause_that_was_asked_for_counts(asked: float | None, pause: float) -> None:
    assert Backoff(first=1.0, longest=8.0).pause(0, asked) == pause


@given(st.floats(0.01, 100), st.floats(0.01, 1000), st.integers(0, 10**9))
def test_no_number_of_failures_makes_a_pause_longer_than_the_longest(first: float, more: float, failures: int) -> None:
    backoff = Backoff(first, first + more)
    assert first <= backoff.pause(failures) <= backoff.longest
    assert backoff.pause(failures) <= backoff.pause(failures + 1)
