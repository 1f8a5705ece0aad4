"""What an engine is doing, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.actors.events import EngineWarning, KeyChanged
from engine.actors.lane.report import LaneReport
from engine.kraken.drift import Drift
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.report import GateReport
from engine.stream.price_board import PricesReport
from engine.stream.pulse import PushReport
from engine.values.dataclass import dataclass


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
    """Seconds between two refreshes of each balance: as set, or more, so that polling takes no more than its share."""
    keys: Mapping[str, KeyChanged]
    """The state of each account's key at Kraken."""
    warnings: tuple[EngineWarning, ...]
    """The newest warnings, oldest first."""
    under_way_seconds: float | None = None
    """How long the call under way has taken until now."""
    under_way_left: float | None = None
    """Seconds until its deadline; negative when that is past."""
    cuts: int = 0
    """How often a hung call was cut since the start."""
    lane: LaneReport | None = None
    """The lane's counters, nonces and clock; `None` while it does not run."""
    dead: tuple[str, ...] = ()
    """Actors and threads that should run and do not; a dead actor is replaced within a second."""
    passes: Mapping[str, GateReport] = field(default_factory=dict)
    """The last pass of each account through its gates."""

    silent_since: datetime | None = None
    """Since when no account has had a good reply; `None` without silence."""
    push: tuple[PushReport, ...] = ()
    """The state of each account's stream, with push."""
    push_prices: PricesReport | None = None
    """The state of the public stream, which tells the gates prices; `None` without push."""
    drift: tuple[Drift, ...] = ()
    """What was new, missing or odd in Kraken's replies, the oldest kind first."""
    heard: Mapping[str, float] = field(default_factory=dict)
    """Seconds since the last good reply to each account; without those that had none in this run."""
    refusing: bool = False
    """Whether Kraken has answered since the last good reply of all, and only refused."""
    paused: Mapping[str, datetime] = field(default_factory=dict)
    """Since when the trading of each paused account is paused (`Engine.pause_trading`)."""
    switches: Mapping[str, int] = field(default_factory=dict)
    """With how many seconds each account's dead man's switch is armed; 0 while it is being disarmed."""

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
            "under_way_seconds": None if self.under_way_seconds is None else round(self.under_way_seconds, 3),
            "under_way_left": None if self.under_way_left is None else round(self.under_way_left, 3),
            "cuts": self.cuts,
            "lane": None if self.lane is None else self.lane.to_dict(),
            "dead": list(self.dead),
            "passes": {name: each.to_dict() for name, each in self.passes.items()},
            "silent_since": None if self.silent_since is None else self.silent_since.isoformat(),
            "push": [each.to_dict() for each in self.push],
            "push_prices": None if self.push_prices is None else self.push_prices.to_dict(),
            "drift": [each.to_dict() for each in self.drift],
            "heard": {name: round(each, 3) for name, each in self.heard.items()},
            "refusing": self.refusing,
            "paused": {name: since.isoformat() for name, since in self.paused.items()},
            "switches": dict(self.switches),
        }


def _account(snapshot: BalanceSnapshot) -> dict[str, Any]:
    due = snapshot.next_attempt
    return {
        **snapshot.to_dict(),
        "standing": snapshot.standing.value,
        "next_attempt": None if due is None else due.isoformat(),
    }
