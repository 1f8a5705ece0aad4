"""A snapshot's age and state, whatever the clocks do (G6: no value passes for younger than it is)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import BalanceSnapshot, BalanceState, Settings
from engine.actors.balance.archive import restore
from engine.actors.balance.invalidation import Invalidation
from engine.kraken.assets import AssetTable
from engine.rules.balance.snapshot import moment

START = 1_800_000_000.0
DAY = 86_400.0


class Clocks:
    """Time that passes, and a wall clock that is also set."""

    def __init__(self) -> None:
        self.passed, self.set_by = 0.0, 0.0

    def wall_ns(self) -> int:
        return round((START + self.passed + self.set_by) * 1e9)

    def monotonic(self) -> float:
        return 50.0 + self.passed


def fetched(clocks: Clocks, invalidation: Invalidation | None = None) -> BalanceSnapshot:
    """A snapshot that was asked for now."""
    return BalanceSnapshot(
        "MASTER", as_of=moment(clocks.wall_ns()), cash=Decimal(1), _as_of_monotonic=clocks.monotonic(), _clock=clocks,
        _invalidated_at=(invalidation or Invalidation()).at,
    )  # fmt: skip


def kept(clocks: Clocks) -> BalanceSnapshot:
    """The snapshot of an earlier run, read now; it was fetched an hour ago."""
    record = {"endpoint": "Balance", "result": {}, "as_of": moment(clocks.wall_ns() - 3600 * 10**9).isoformat()}
    return restore(record, "MASTER", Settings(), clocks, AssetTable.shipped())


STEPS = st.lists(st.tuples(st.floats(0, DAY), st.floats(-DAY, DAY)), max_size=8)


@given(STEPS)
def test_no_step_of_the_wall_clock_makes_a_value_younger(steps: list[tuple[float, float]]) -> None:
    clocks = Clocks()
    new, old = fetched(clocks), kept(clocks)
    for passed, step in steps:
        clocks.passed += passed
        clocks.set_by += step
        assert new.age is not None
        assert new.age >= clocks.passed - 1e-3
        assert old.age is not None
        assert old.age >= 3600 + clocks.passed - 1e-3
        assert new.at(moment(clocks.wall_ns())).age == pytest.approx(new.age, abs=1e-3)
        assert (new.state is BalanceState.FRESH) == (new.age <= new.max_age)
        assert old.state is BalanceState.STALE


def test_a_value_of_an_earlier_run_ages_though_the_wall_clock_is_behind_it() -> None:
    clocks = Clocks()
    clocks.set_by = -2 * 3600.0
    record = {"endpoint": "Balance", "result": {}, "as_of": moment(round(START * 1e9)).isoformat()}
    old = restore(record, "MASTER", Settings(), clocks, AssetTable.shipped())
    assert old.age == 0
    clocks.passed = 600.0
    assert old.age == 600
    assert old.state is BalanceState.STALE


def test_a_fixed_view_no_longer_moves() -> None:
    clocks, invalidation = Clocks(), Invalidation()
    live = fetched(clocks, invalidation)
    clocks.passed = 3.0
    seen = live.at(moment(clocks.wall_ns()))
    later = live.at(moment(clocks.wall_ns()) + timedelta(seconds=20))
    invalidation.note(clocks.monotonic())
    clocks.passed = 100.0
    assert (seen.age, seen.state) == (3.0, BalanceState.FRESH)
    assert (later.age, later.state) == (23.0, BalanceState.STALE)
    assert live.state is BalanceState.STALE
    assert live.invalidated
    assert not seen.invalidated


def test_what_was_never_known_has_no_age() -> None:
    nothing = BalanceSnapshot("MASTER", _clock=Clocks())
    assert nothing.at(moment(round(START * 1e9))) is nothing
    assert (nothing.age, nothing.state) == (None, BalanceState.UNKNOWN)


@given(st.lists(st.floats(-1e6, 1e6), max_size=5))
def test_the_latest_invalidation_counts(times: list[float]) -> None:
    invalidation = Invalidation()
    for each in times:
        invalidation.note(each)
    assert invalidation.at() == max(times, default=float("-inf"))


def test_which_callers_a_balance_answers() -> None:
    clocks, invalidation = Clocks(), Invalidation()
    live = fetched(clocks, invalidation)
    clocks.passed = 3.0
    assert live.answers(None)
    assert live.answers(3.0)
    assert not live.answers(2.9)
    assert not kept(clocks).answers(DAY), "of an earlier run, however young"
    assert BalanceSnapshot("MASTER", _clock=clocks).answers(None)
    assert not BalanceSnapshot("MASTER", _clock=clocks).answers(DAY)
    invalidation.note(clocks.monotonic())
    assert not live.answers(DAY)


def test_a_balance_of_another_key_is_forgotten_and_its_successor_is_still_invalidated() -> None:
    clocks, invalidation = Clocks(), Invalidation()
    nothing = fetched(clocks, invalidation).forgotten()
    assert (nothing.state, nothing.cash, nothing.is_available) == (BalanceState.UNKNOWN, None, False)
    again = replace(nothing, as_of=moment(clocks.wall_ns()), _as_of_monotonic=clocks.monotonic())
    assert again.state is BalanceState.FRESH
    invalidation.note(clocks.monotonic())
    assert again.state is BalanceState.STALE
