"""The history of balances, from the store: for the charts, and what was held a day ago."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.app.served import ServedEngine
from engine.errors import EngineError
from engine.rules.balance.history import BalanceMark, BalancePoint

DAY_AGO_EVERY = 300.0  # seconds between two looks at the store
CHART_FOR = 60.0  # seconds that a chart is shown to others as well
SPANS = (1.0, 7.0, 31.0)
"""The days of a chart."""


class DayAgo:
    """What each account held 24 hours ago, or at the beginning of its history. Any thread may read it."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._looked = float("-inf")
        self.points: Mapping[str, BalancePoint] = {}

    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return self._monotonic() - self._looked >= DAY_AGO_EVERY

    def look(self, engine: ServedEngine, accounts: Iterable[str]) -> None:
        """Read the store. Raises nothing: what cannot be read is not known."""
        self._looked = self._monotonic()
        found: dict[str, BalancePoint] = {}
        for account in accounts:
            try:
                points = engine.history(account, days=1)
            except EngineError:
                continue
            if points:
                found[account] = points[0]
        self.points = found
        if not found:
            self._looked = float("-inf")  # the first points come with the first replies


class BalanceCharts:
    """The charts of all accounts, read from the store once a minute however many look. Waits for the disk."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: dict[float, tuple[float, dict[str, Any]]] = {}

    def get(self, engine: ServedEngine, days: float) -> dict[str, Any]:
        """The chart of so many days."""
        with self._lock:
            since, chart = self._kept.get(days, (float("-inf"), {}))
            if self._monotonic() - since >= CHART_FOR:
                chart = chart_of(engine, [each.account for each in engine.status().accounts], days)
                self._kept[days] = (self._monotonic(), chart)
            return chart


def chart_of(engine: ServedEngine, accounts: Iterable[str], days: float) -> dict[str, Any]:
    """The points and marks of these accounts, JSON-ready: times in Unix seconds, amounts as texts."""
    lines: dict[str, Any] = {}
    for account in accounts:
        try:
            points, marks = engine.history(account, days), engine.history_marks(account)
        except EngineError:
            continue  # it was removed meanwhile, or the store cannot be read
        lines[account] = {
            "t": [round(each.as_of.timestamp(), 3) for each in points],
            "cash": [format(each.cash, "f") for each in points],
            "marks": [_mark(each) for each in marks],
        }
    return lines


def _mark(mark: BalanceMark) -> dict[str, Any]:
    return {"t": round(mark.at.timestamp(), 3), "kind": mark.kind, "text": mark.text}
