"""A balance that Kraken's stream confirms: its age counts from the last frame, here and in other processes."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from engine.app.remote import codec
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState, moment


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ns(self) -> int:
        return int(datetime.now(UTC).timestamp() * 1e9)


def snapshot(since: float | None) -> BalanceSnapshot:
    """Requested a minute ago, and confirmed so many seconds ago."""
    clock = Clock()
    return BalanceSnapshot(
        "MASTER", moment(clock.wall_ns()) - timedelta(seconds=60), Decimal(1), _as_of_monotonic=40.0, _clock=clock,
        _confirmed=lambda as_of: since,
    )  # fmt: skip


def test_it_is_as_old_as_its_confirmation() -> None:
    one = snapshot(0.5)
    assert one.age == 0.5
    assert one.state is BalanceState.FRESH
    assert snapshot(None).state is BalanceState.STALE


def test_only_what_is_requested_from_now_on_answers_zero() -> None:
    assert snapshot(0.0).answers(1.0)
    assert not snapshot(0.0).answers(0.0)


def test_at_another_moment_it_is_older() -> None:
    one = snapshot(0.5)
    later = one.at(datetime.now(UTC) + timedelta(seconds=60))
    assert later.state is BalanceState.STALE


def test_elsewhere_it_ages_from_its_last_confirmation() -> None:
    for there in (pickle.loads(pickle.dumps(snapshot(0.5))), codec.read(codec.write(snapshot(0.5)))):
        assert there.state is BalanceState.FRESH
        assert 0.4 < there.age < 15.0
        assert there.as_of is not None
    for there in (pickle.loads(pickle.dumps(snapshot(None))), codec.read(codec.write(snapshot(None)))):
        assert there.state is BalanceState.STALE
    assert copy.copy(snapshot(0.5)).age == 0.5
