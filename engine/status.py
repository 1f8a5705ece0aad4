"""What an engine is doing, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.actors.events import EngineWarning, KeyChanged
from engine.rules.balances import BalanceSnapshot


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What an engine is doing, at one moment."""

    running: bool
    live: bool
    url: str
    state_dir: Path
    pid: int
    as_of: datetime
    accounts: tuple[BalanceSnapshot, ...]
    under_way: tuple[str, str] | None
    """Account and endpoint of the private call under way."""
    waiting: Mapping[str, int]
    """Private calls in the mailbox, by class."""
    refresh_intervals: Mapping[str, float]
    """Seconds between two refreshes of each balance: as set, or longer so that polling takes no more than its share."""
    keys: Mapping[str, KeyChanged]
    """How each account's key stands with Kraken."""
    warnings: tuple[EngineWarning, ...]
    """The newest warnings, oldest first."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "running": self.running,
            "live": self.live,
            "url": self.url,
            "state_dir": str(self.state_dir),
            "pid": self.pid,
            "as_of": self.as_of.isoformat(),
            "accounts": [_account(snapshot) for snapshot in self.accounts],
            "under_way": None if self.under_way is None else list(self.under_way),
            "waiting": dict(self.waiting),
            "refresh_intervals": {name: round(each, 3) for name, each in self.refresh_intervals.items()},
            "keys": {name: {"state": each.state, "sentence": each.sentence} for name, each in self.keys.items()},
            "warnings": [{"code": each.code, "message": each.message} for each in self.warnings],
        }


def _account(snapshot: BalanceSnapshot) -> dict[str, Any]:
    due = snapshot.next_attempt
    return {
        **snapshot.to_dict(),
        "standing": snapshot.standing.value,
        "next_attempt": None if due is None else due.isoformat(),
    }
