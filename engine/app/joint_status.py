"""The status of several engines as one, for those who look at all of them at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeVar

from engine.actors.lane.report import LaneReport
from engine.app.status import EngineStatus
from engine.kraken.drift import Drift

V = TypeVar("V")


def joint(first: EngineStatus, *others: EngineStatus) -> EngineStatus:
    """One status of engines that have different accounts.

    What is of the process is the first one's. Counts are added; of the calls under way the one with the least time left
    is told; silence counts where every engine with accounts is silent.
    """
    each = (first, *others)
    heard = [one for one in each if one.accounts]
    busy = min((one for one in each if one.under_way), key=_time_left, default=first)
    silent = [one.silent_since for one in heard if one.silent_since is not None]
    return replace(
        first,
        accounts=tuple(chain.from_iterable(one.accounts for one in each)),
        under_way=busy.under_way,
        under_way_seconds=busy.under_way_seconds,
        under_way_left=busy.under_way_left,
        waiting=dict(_sum(one.waiting for one in each)),
        refresh_intervals=_merged(one.refresh_intervals for one in each),
        keys=_merged(one.keys for one in each),
        warnings=tuple(chain.from_iterable(one.warnings for one in each)),
        cuts=sum(one.cuts for one in each),
        lane=_lane([one.lane for one in each if one.lane is not None]),
        dead=tuple(chain.from_iterable(one.dead for one in each)),
        passes=_merged(one.passes for one in each),
        silent_since=max(silent) if silent and len(silent) == len(heard) else None,
        push=tuple(chain.from_iterable(one.push for one in each)),
        push_prices=next((one.push_prices for one in each if one.push_prices is not None), None),
        drift=_drift(chain.from_iterable(one.drift for one in each)),
        heard=_merged(one.heard for one in each),
        refusing=bool(heard) and all(one.refusing for one in heard),
        paused=_merged(one.paused for one in each),
        switches=_merged(one.switches for one in each),
    )


def _time_left(status: EngineStatus) -> float:
    return float("inf") if status.under_way_left is None else status.under_way_left


def _merged(parts: Iterable[Mapping[str, V]]) -> Mapping[str, V]:
    return dict(chain.from_iterable(part.items() for part in parts))


def _sum(parts: Iterable[Mapping[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total


def _lane(reports: Sequence[LaneReport]) -> LaneReport | None:
    if not reports:
        return None
    return LaneReport(
        keys=_merged(each.keys for each in reports),
        skew=max((each.skew for each in reports if each.skew is not None), key=abs, default=None),
        reservations=sum(each.reservations for each in reports),
        write_seconds=sum(each.write_seconds for each in reports),
    )


def _drift(found: Iterable[Drift]) -> tuple[Drift, ...]:
    """The same finding of several engines is told once, from when the first of them has seen it."""
    known: dict[tuple[str, str, str], Drift] = {}
    for each in found:
        name = (each.endpoint, each.field, each.what)
        before = known.get(name)
        count = each.count if before is None else each.count + before.count
        known[name] = replace(each, count=count, since=each.since if before is None else min(each.since, before.since))
    return tuple(known.values())
