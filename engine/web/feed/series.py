"""The numbers behind the charts: one sample a second, for a quarter of an hour."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from engine.actors.events import CallFinished
from engine.app.status import EngineStatus
from engine.errors import Outcome

KEPT = 900  # samples


class Series:
    """The samples of the last 15 minutes, oldest first. Not thread-safe."""

    def __init__(self) -> None:
        self._points: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(self, status: EngineStatus, calls: Sequence[CallFinished], now: float) -> dict[str, Any]:
        """Take one sample of the second that ends now (Unix seconds), and return it."""
        sent = [call.seconds for call in calls if call.outcome is not Outcome.NOT_SENT]
        point = {
            "t": round(now, 3),
            "mean": round(1000 * sum(sent) / len(sent), 3) if sent else None,
            "worst": round(1000 * max(sent), 3) if sent else None,
            "queue": sum(status.waiting.values()),
            "errors": sum(call.outcome is not Outcome.DONE for call in calls),
        }
        self._points.append(point)
        return point

    def points(self) -> list[dict[str, Any]]:
        """All samples. Call times in milliseconds; `None` in a second without calls."""
        return list(self._points)
