"""What the methods of an engine share: its accounts, what is known of them, and the way to its actors."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pykka

from engine.actors.drift_log import DriftLog
from engine.actors.events import KeyChanged
from engine.actors.system import ActorSystem
from engine.errors import ConfigError, EngineStopped, UnknownName
from engine.kraken.assets import AssetTable
from engine.kraken.cash_names import plain_names
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.report import GateReport
from engine.rules.lane.key_state import SENTENCES, KeyState
from engine.store.backing import Backing
from engine.values import Account, Clock, Settings

LONGEST = 1_000_000  # seconds: the longest timeout


class AppState:
    """One engine's accounts and actors. Any thread may read it; only `Engine` starts and stops the actors.

    board: the newest snapshot of each account. kept: the accounts whose balances are refreshed. keys: the state of each
    account's key at Kraken. passes: each account's last pass through its gates.
    drift: what is new, missing or odd in Kraken's replies.
    stopped: set while the engine does not run; it ends every pause.
    """

    def __init__(
        self,
        accounts: Iterable[Account],
        kept: Iterable[str] | None,
        settings: Settings,
        clock: Clock,
        notice: Callable[[Any], None],
        backing: Backing,
        *,
        live: bool,
    ) -> None:
        self.accounts = {account.name: account for account in accounts}
        self.settings = settings
        self.clock = clock
        self.backing = backing
        self.live = live
        self.board = {name: self.blank(name) for name in self.accounts}
        self.kept = list(self.accounts if kept is None else kept)
        for name in self.kept:
            self.check_account(name)
        self.keys = {name: _open(name) for name in self.accounts}
        self.passes: dict[str, GateReport] = {}
        self._notice = notice
        self.drift = DriftLog(clock, self.publish)
        self.stopped = threading.Event()
        self._system: ActorSystem | None = None
        self._refs: Mapping[str, pykka.ActorRef[Any]] = {}
        self._heard_until: Mapping[str, float] = {}
        self._pid = 0

    @property
    def directory(self) -> Path:
        """The private directory of this machine."""
        return self.backing.local

    @property
    def running(self) -> ActorSystem | None:
        """The actors while the engine runs; `None` in a forked child, which has none of the threads."""
        return self._system if os.getpid() == self._pid else None

    @property
    def system(self) -> ActorSystem:
        """The actors. Raises `EngineStopped`."""
        system = self.running
        if system is None:
            raise EngineStopped(self.why_stopped)
        return system

    @property
    def is_running(self) -> bool:
        """Whether the engine runs in this process."""
        return self.running is not None

    @property
    def why_stopped(self) -> str:
        """What to say to who asks an engine that does not run in this process."""
        if self._system is None:
            return "The engine is not running."
        return (
            f"The engine runs in process {self._pid}, of which this one is a fork without its threads: start one with "
            "other keys here, or reach that one with Engine.connect."
        )

    def publish(self, event: Any) -> None:
        """Give an event to the engine, and to its subscribers while it runs."""
        system = self.running
        (self._notice if system is None else system.publish)(event)

    def opened(self, system: ActorSystem) -> None:
        """The actors have started."""
        self.stopped.clear()
        self._system, self._refs, self._pid = system, system.refs, os.getpid()
        self._heard_until = system.listener.heard_until

    def closed(self) -> None:
        """Nobody may reach the actors any more."""
        self._system, self._refs, self._heard_until = None, {}, {}

    def enter(self, account: Account) -> None:
        """Take in an account; its balance is kept up to date."""
        self.keys[account.name] = _open(account.name)
        self.board[account.name] = self.blank(account.name)
        self.accounts[account.name] = account
        self.kept.append(account.name)

    def leave(self, name: str) -> None:
        """Forget an account."""
        if name in self.kept:
            self.kept.remove(name)
        self.accounts.pop(name, None)
        self.board.pop(name, None)
        self.keys.pop(name, None)
        self.passes.pop(name, None)

    def blank(self, name: str) -> BalanceSnapshot:
        """What is known of an account before its first reply."""
        counted = plain_names(self.settings.cash, AssetTable.shipped())
        return BalanceSnapshot(name, max_age=self.settings.max_age, cash_assets=counted, _clock=self.clock)

    def ref(self, name: str) -> pykka.ActorRef[Any]:
        """The actor of that name. Raises `EngineStopped` when there is none, as in a forked child."""
        ref = self._refs.get(name)
        if ref is None or os.getpid() != self._pid:
            raise EngineStopped(self.why_stopped)
        return ref

    def known(self, account: str) -> BalanceSnapshot:
        """The newest snapshot of an account. Raises `UnknownName` for an account that this engine does not have."""
        try:
            snapshot = self.board[account]
            if self.clock.monotonic() < self._heard_until[account]:  # not silent: all that most readers have to know
                return snapshot
        except (KeyError, TypeError):
            self.check_account(account)
        return self.judged(self.board.get(account) or self.blank(account))

    def judged(self, snapshot: BalanceSnapshot) -> BalanceSnapshot:
        """A snapshot as it is to be read now: not available while Kraken is silent."""
        system = self.running
        return snapshot if system is None else system.listener.judged(snapshot)

    def all_judged(self) -> tuple[BalanceSnapshot, ...]:
        """The newest snapshot of every account, as it is to be read now."""
        system, snapshots = self.running, tuple(self.board.values())
        return snapshots if system is None else system.listener.all_judged(snapshots)

    def check_account(self, account: str) -> None:
        """Raise `UnknownName` for an account that this engine does not have."""
        if not isinstance(account, str) or account not in self.accounts:
            known = ", ".join(self.accounts) or "none"
            raise UnknownName(f"There is no account {account!r}; this engine has: {known}.", account=account)

    def seconds(self, timeout: float | None) -> float:
        """A caller's timeout; `Settings.call_timeout` for `None`. Raises `ConfigError` for an invalid one."""
        return self.settings.call_timeout if timeout is None else seconds_of(timeout, 0.0)


def seconds_of(timeout: float | None, default: float) -> float:
    """A caller's timeout, or the default for `None`. Raises `ConfigError` for an invalid one."""
    if timeout is None:
        return default
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not -LONGEST <= timeout <= LONGEST:
        raise ConfigError(f"Invalid timeout: {timeout!r}. Give seconds as a number up to {LONGEST:,}.")
    return timeout


def _open(name: str) -> KeyChanged:
    return KeyChanged(name, KeyState.ACCEPTED.value, SENTENCES[KeyState.ACCEPTED])
