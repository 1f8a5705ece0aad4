"""The status of several engines as one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from engine import BalanceSnapshot
from engine.actors.lane.report import KeyReport, LaneReport
from engine.app.joint_status import joint
from engine.app.status import EngineStatus
from engine.kraken.drift import Drift
from tests.web.page.status import status_of

NOW = datetime(2026, 5, 12, 10, 0, tzinfo=UTC)


def lane(skew: float | None, **keys: int) -> LaneReport:
    reports = {name: KeyReport(0.0, 15.0, nonces, 0.0, nonces) for name, nonces in keys.items()}
    return LaneReport(reports, skew, 2, 0.5)


def engine(name: str, **facts: Any) -> EngineStatus:
    return replace(status_of(), accounts=(BalanceSnapshot(name),), **facts)


def test_accounts_stand_side_by_side_and_counts_are_added() -> None:
    one = engine("MASTER", waiting={"read": 1, "order": 2}, cuts=1, lane=lane(0.1, MASTER=3), heard={"MASTER": 1.0})
    two = engine("ALICE", waiting={"read": 4}, cuts=2, lane=lane(-0.4, ALICE=5), heard={"ALICE": 2.0}, dead=("x",))
    both = joint(one, two)
    assert [each.account for each in both.accounts] == ["MASTER", "ALICE"]
    assert both.waiting == {"read": 5, "order": 2}
    assert (both.cuts, both.dead, both.heard) == (3, ("x",), {"MASTER": 1.0, "ALICE": 2.0})
    assert both.lane is not None
    assert {name: key.nonces for name, key in both.lane.keys.items()} == {"MASTER": 3, "ALICE": 5}
    assert (both.lane.skew, both.lane.reservations, both.lane.write_seconds) == (-0.4, 4, 1.0)


def test_of_the_calls_under_way_the_one_with_the_least_time_left_is_told() -> None:
    one = engine("MASTER", under_way=("MASTER", "Balance"), under_way_seconds=1.0, under_way_left=9.0)
    two = engine("ALICE", under_way=("ALICE", "AddOrder"), under_way_seconds=12.0, under_way_left=-2.0)
    both = joint(engine("BOB", under_way=None), one, two)
    assert (both.under_way, both.under_way_seconds, both.under_way_left) == (("ALICE", "AddOrder"), 12.0, -2.0)


def test_silence_counts_where_all_are_silent() -> None:
    since = NOW - timedelta(minutes=1)
    silent = engine("MASTER", silent_since=since, refusing=True)
    assert joint(silent, engine("ALICE", silent_since=None)).silent_since is None
    both = joint(silent, engine("ALICE", silent_since=NOW, refusing=True))
    assert (both.silent_since, both.refusing) == (NOW, True), "the last of them fell silent then"


def test_the_same_drift_of_several_engines_is_told_once() -> None:
    early, late = NOW - timedelta(hours=1), NOW
    one = engine("MASTER", drift=(Drift("Balance", "x", "new", 2, late),))
    two = engine("ALICE", drift=(Drift("Balance", "x", "new", 3, early), Drift("Time", "y", "odd", 1, late)))
    assert joint(one, two).drift == (Drift("Balance", "x", "new", 5, early), Drift("Time", "y", "odd", 1, late))


def test_a_node_without_lanes_has_no_lane_report() -> None:
    assert joint(replace(status_of(), accounts=(), lane=None)).lane is None
