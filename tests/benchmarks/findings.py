"""What was measured, and how several rounds become one figure: the median, with the least and the most beside it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    value: the median over the rounds. low, high: the least and the most. goal: what it should be, as a text; met:
    whether it is, or `None` where nothing was asked for. is_ratio: how many times better than the peer named in `what`.
    """

    topic: str
    what: str
    value: float
    unit: str
    low: float
    high: float
    goal: str = ""
    met: bool | None = None
    is_ratio: bool = False
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sizes:
    """How much is measured. `SHORT` is for ratios that fall by a third; `TINY` only shows that the code runs."""

    rounds: int
    calls: int
    threads: int
    spell: float
    nonces: int
    orders: int
    polled: int
    accounts: tuple[int, ...]
    depth: int
    placements: int
    most_accounts: int


FULL = Sizes(9, 300, 16, 1.0, 300_000, 120, 200, (1, 10, 100, 1000), 90_000, 50_000, 10_000)
SHORT = Sizes(7, 150, 16, 0.5, 100_000, 30, 50, (1, 10), 10_000, 5_000, 1000)
TINY = Sizes(1, 5, 2, 0.02, 200, 3, 3, (1, 2), 50, 50, 4)


def finding(
    topic: str, what: str, unit: str, values: Sequence[float], *,
    at_least: float | None = None, at_most: float | None = None, is_ratio: bool = False, **more: Any,
) -> Finding:  # fmt: skip
    """The line for what several rounds gave."""
    value = statistics.median(values)
    goal, met = "", None
    if at_least is not None:
        goal, met = f"≥ {at_least:,.10g}", value >= at_least
    if at_most is not None:
        goal, met = f"≤ {at_most:,.10g}", value <= at_most
    return Finding(topic, what, value, unit, min(values), max(values), goal, met, is_ratio, more)


def alternate(rounds: int, contestants: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """One figure of each contestant in each round; every other round backwards, so that none is always first."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            found[name].append(contestants[name]())
    return found


def ratios(mine: Iterable[float], theirs: Iterable[float]) -> list[float]:
    """Round by round, how often `mine` fits into `theirs`."""
    return [their / my for my, their in zip(mine, theirs, strict=True)]


def quantile(values: Iterable[float], share: float) -> float:
    """The value that so large a part is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def all_cpus() -> set[int]:
    """The CPUs that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
