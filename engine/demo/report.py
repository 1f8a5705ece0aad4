"""The demo's promises, its observations, and the audience it reports to while it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from engine.rules.gates.report import GateReport

Rows = Sequence[Mapping[str, Any]]
"""Balances as `BalanceSnapshot.to_dict()` gives them."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise and what was observed."""

    act: str
    promise: str
    seen: str
    kept: bool


class Audience(Protocol):
    """Receives the demo's progress. Called in the demo's thread."""

    def act(self, title: str) -> None:
        """A part of the demo begins."""
        ...

    def step(self, text: str) -> None:
        """What is happening now."""
        ...

    def balances(self, title: str, rows: Rows) -> None:
        """The balances at this point."""
        ...

    def gates(self, report: GateReport) -> None:
        """The result of a pass through the gates."""
        ...

    def check(self, check: Check) -> None:
        """A promise was checked."""
        ...


@dataclass
class Report:
    """All observations. `is_good` only if every promise was kept."""

    checks: list[Check] = field(default_factory=list)
    balances: dict[str, Rows] = field(default_factory=dict)
    passes: list[GateReport] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether everything was verified."""
        return bool(self.checks) and all(check.kept for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "ok": self.is_good,
            "seconds": round(self.seconds, 1),
            "promises": [asdict(check) for check in self.checks],
            "passes": [each.to_dict() for each in self.passes],
            "balances": {title: list(rows) for title, rows in self.balances.items()},
        }
