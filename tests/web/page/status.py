"""States of an engine to be looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.actors.lane.report import KeyReport, LaneReport
from engine.app.status import EngineStatus
from engine.rules.balance.availability import Standing
from engine.rules.balance.snapshot import BalanceSnapshot

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def account_of(name: str = "MASTER", **facts: Any) -> BalanceSnapshot:
    usual = {"as_of": NOW, "cash": Decimal("1.50"), "is_available": True, "standing": Standing.AVAILABLE}
    return BalanceSnapshot(name, **{**usual, **facts}).at(NOW)


def status_of(*accounts: BalanceSnapshot, **facts: Any) -> EngineStatus:
    """Of accounts whose last good reply came a second ago, each refreshed every 5 seconds."""
    accounts = accounts or (account_of(),)
    names = [each.account for each in accounts]
    keys = {name: KeyReport(1.0, 15.0, 3, 0.0, 5) for name in names}
    usual = {
        "running": True, "live": False, "url": "https://api.kraken.com", "state_dir": Path("/state"), "pid": 1,
        "as_of": NOW, "accounts": accounts, "under_way": None, "waiting": {},
        "refresh_intervals": dict.fromkeys(names, 5.0), "heard": dict.fromkeys(names, 1.0), "keys": {},
        "warnings": (), "lane": LaneReport(keys, None, 0, 0.0),
    }  # fmt: skip
    return EngineStatus(**{**usual, **facts})
