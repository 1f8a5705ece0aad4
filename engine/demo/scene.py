"""What all parts of the demo share: the simulator, the state directory, the report."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.app import Engine
from engine.demo.report import Audience, Check, Report
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.rules.gates.report import GateReport
from engine.simulator import Simulator
from engine.values import Settings

ROWS: Mapping[str, Mapping[str, str | Mapping[str, str]]] = {
    "MASTER": {
        "ZUSD": {"balance": "12500.0000", "hold_trade": "500.0000"},
        "USD.F": "2500.0000",  # Auto Earn: part of the cash, under another name
        "USDT": "3000.00000000",
        "XXBT": "0.7500000000",
    },
    "ALICE": {"ZUSD": "0.0000", "USD.F": "4200.5000"},
    "BOB": {"ZUSD": "250.0000", "USDT": "80.00000000"},
}
CASH = {"MASTER": Decimal(18000), "ALICE": Decimal("4200.5"), "BOB": Decimal(330)}

# The simulator counts no calls here, and this asks twenty times as often as an engine does by default.
QUICK = Settings(refresh_every=0.25, max_age=1.0, call_timeout=2.0, local_limits=False)

PATIENCE = 8.0  # seconds to wait for an effect
TICK = 0.005
AT_ONCE = 0.1  # seconds; a read takes microseconds


class Scene:
    """The shared state of one demo."""

    def __init__(self, simulator: Simulator, directory: Path, audience: Audience) -> None:
        self.simulator = simulator
        self.state_dir = directory / "state"
        self.report = Report()
        self._audience = audience
        self._act = ""

    def engine(self) -> Engine:
        """An engine for the simulator's accounts; not started."""
        return Engine(
            self.simulator.accounts, url=self.simulator.url, state_dir=self.state_dir, settings=QUICK
        )

    def act(self, title: str) -> None:
        """Begin a part."""
        self._act = title
        self._audience.act(title)

    def step(self, text: str) -> None:
        """Say what is happening."""
        self._audience.step(text)

    def balances(self, title: str, snapshots: Iterable[BalanceSnapshot]) -> None:
        """Show the balances and keep them for the report."""
        rows = [snapshot.to_dict() for snapshot in snapshots]
        self.report.balances[title] = rows
        self._audience.balances(title, rows)

    def gates(self, report: GateReport) -> None:
        """Show a pass through the gates and keep it for the report."""
        self.report.passes.append(report)
        self._audience.gates(report)

    def check(self, promise: str, kept: bool, seen: str) -> None:
        """Report whether a promise was kept."""
        check = Check(self._act, promise, seen, bool(kept))
        self.report.checks.append(check)
        self._audience.check(check)


class Watch:
    """Reads every snapshot of an engine, repeatedly, and remembers what it saw.

    Subscribed to the engine, so that it looks as soon as something happens.
    """

    def __init__(self, engine: Engine, cash: dict[str, Decimal]) -> None:
        self._engine = engine
        self._cash = cash
        self._changed = threading.Condition()
        self.reads = self.slow = 0
        self.slowest = 0.0
        self.wrong: list[str] = []
        self.youngest: dict[str, float] = {}
        self.counts: dict[str, set[int]] = {name: set() for name in cash}
        self.early_or_late: list[str] = []
        engine.subscribe(self._wake)

    def look(self) -> list[BalanceSnapshot]:
        """Every account's snapshot now."""
        found = []
        for name in self._cash:
            started = time.perf_counter()
            snapshot = self._engine.balance(name)
            seconds = time.perf_counter() - started
            self.slowest = max(self.slowest, seconds)
            self.slow += seconds > AT_ONCE
            self._note(snapshot)
            found.append(snapshot)
        return found

    def until(self, wanted: Callable[[list[BalanceSnapshot]], bool], patience: float = PATIENCE) -> bool:
        """Look until the snapshots are as wanted; whether that came in time."""
        end = time.monotonic() + patience
        while not wanted(self.look()):
            if time.monotonic() > end:
                return False
            with self._changed:
                self._changed.wait(TICK)
        return True

    def _note(self, snapshot: BalanceSnapshot) -> None:
        name = snapshot.account
        self.reads += 1
        self.counts[name].add(snapshot.error_count)
        self.youngest.setdefault(name, snapshot.age or 0.0)
        if snapshot.cash != self._cash[name]:
            self.wrong.append(f"{name} {snapshot.cash}")
        if snapshot.is_available != (snapshot.error_count < QUICK.errors_to_unavailable):
            self.early_or_late.append(f"{name} after {snapshot.error_count} failures")

    def _wake(self, _: Any) -> None:
        with self._changed:
            self._changed.notify_all()


def is_well(snapshot: BalanceSnapshot) -> bool:
    """Fresh, available, and no failure counted."""
    return snapshot.state is BalanceState.FRESH and snapshot.is_available and snapshot.error_count == 0
