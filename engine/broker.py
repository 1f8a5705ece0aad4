"""`KrakenBroker`: a drop-in for bots that only need a balance."""

from __future__ import annotations

import os
import threading
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from engine import config
from engine.app import Engine
from engine.errors import BalanceUnknown, ConfigError, UnknownName
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.values import MASTER

_guard = threading.Lock()
_shared: dict[Path, tuple[Engine, int]] = {}


class AccountType(Enum):
    """Whose account a broker trades on."""

    MASTER = "master"
    USER = "user"


class KrakenBroker:
    """One account, for a bot. Thread-safe.

    Without `engine` the brokers of a process share one engine for each state directory, built from the environment: the
    first `connect()` starts it, the last `disconnect()` stops it. An `engine` that is passed in is never stopped.

    Raises `ConfigError` when a USER broker names no account, and for an unknown type.
    """

    def __init__(
        self,
        account_type: AccountType = AccountType.MASTER,
        account: str | None = None,
        engine: Engine | None = None,
    ) -> None:
        try:
            account_type = AccountType(account_type)
        except ValueError:
            raise ConfigError(f"Unknown account type: {account_type!r}. Use AccountType.MASTER or .USER.") from None
        if account is None and account_type is AccountType.USER:
            raise ConfigError("A broker for a user has to name the account: KrakenBroker(AccountType.USER, 'ALICE').")
        self.account_type = account_type
        self.account = account or MASTER
        self._given = engine
        self._engine = engine
        self._directory: Path | None = None
        self._turn = threading.Lock()

    def connect(self) -> bool:
        """Start the engine when needed and fetch the balance; `True` after one good balance.

        Never raises for the network. Raises `ConfigError`, `StoreInUse` or `StoreError` when the engine cannot start,
        `UnknownName` when it does not have the account.
        """
        with self._turn:
            is_new = self._engine is None
            if self._engine is None:
                self._engine, self._directory = _acquire()
            self._engine.start()  # does nothing while it runs
        try:
            self._refreshed()
            return self.is_available()
        except UnknownName:
            if is_new:
                self.disconnect()  # a broker that cannot be used must not keep the engine running
            raise

    def disconnect(self) -> None:
        """Release the shared engine; a second call does nothing."""
        with self._turn:
            if self._engine is not None and self._directory is not None:
                _release(self._directory)
                self._engine = self._directory = None

    def get_account_balance(self) -> Decimal:
        """The cash balance: tries once to fetch it, and returns the last known on failure.

        Raises `BalanceUnknown` when there never was a good reply: no failure becomes 0.
        """
        snapshot = self._refreshed()
        if snapshot.cash is None:
            raise BalanceUnknown(
                f"The balance of account {self.account} is not known: there never was a good reply"
                + (f" ({snapshot.last_error})." if snapshot.last_error else ".")
            )
        return snapshot.cash

    def get_account_balance_detailed(self) -> dict[str, Any]:
        """Like `get_account_balance`, with its age and errors; never raises for the network.

        Keys: `cash`, `available_cash` (`Decimal` or `None`), `as_of` (aware datetime or `None`), `stale`,
        `is_available`, `error` (whether the last try failed), `error_message`, `error_count`.
        """
        snapshot = self._refreshed()
        return {
            "cash": snapshot.cash,
            "available_cash": snapshot.available_cash,
            "as_of": snapshot.as_of,
            "stale": snapshot.state is not BalanceState.FRESH,
            "is_available": snapshot.is_available,
            "error": snapshot.last_error is not None,
            "error_message": snapshot.last_error,
            "error_count": snapshot.error_count,
        }

    def is_available(self) -> bool:
        """Whether the account may be used; `False` before `connect()`."""
        return self._engine is not None and self._engine.is_available(self.account)

    def get_error_count(self) -> int:
        """Failures in a row; 0 before `connect()`."""
        return 0 if self._engine is None else self._engine.error_count(self.account)

    def _refreshed(self) -> BalanceSnapshot:
        if self._engine is None:
            raise BalanceUnknown(f"The balance of account {self.account} is not known: call connect() first.")
        return self._engine.balance(self.account, max_age=0.0)


def _acquire() -> tuple[Engine, Path]:
    """The shared engine of this environment's state directory, with one more user."""
    directory = config.state_directory()
    with _guard:
        engine, users = _shared.get(directory, (None, 0))
        if engine is None:
            engine = Engine.from_env().start()
        _shared[directory] = (engine, users + 1)
        return engine, directory


def _release(directory: Path) -> None:
    with _guard:
        engine, users = _shared.pop(directory, (None, 0))
        if engine is None:
            return  # a forked child has the broker, but not the engine
        if users > 1:
            _shared[directory] = (engine, users - 1)
        else:
            engine.stop()


def _forget_after_fork() -> None:
    """A forked child does not share its parent's engine, and must not wait for its parent's lock."""
    global _guard  # noqa: PLW0603
    _guard = threading.Lock()
    _shared.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
