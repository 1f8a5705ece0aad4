"""`Engine`'s methods for accounts: balances, and what may be changed about them while the engine runs."""

from __future__ import annotations

import contextlib
import math
import threading

import pykka

from engine.actors.balance.history_file import read_history, read_marks
from engine.actors.balance.messages import ForgetBalance, ReadBalance
from engine.actors.lane.attempt import distinct
from engine.actors.lane.messages import AccountChange, AddAccount, RemoveAccount, ReplaceKey, Resume
from engine.actors.order.messages import KeyReplaced
from engine.actors.system import ORDERS, PRIVATE_LANE, balance_of
from engine.app.calls import ANSWER_GRACE, CallMethods
from engine.app.state import LONGEST, AppState
from engine.errors import ConfigError, DeadlinePassed, EngineError, EngineStopped
from engine.rules.balance.history import YEAR, BalanceMark, BalancePoint
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values import Account, Secret


class AccountMethods(CallMethods):
    """The accounts of an `Engine` and their balances. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        super().__init__(state)
        self._changing = threading.Lock()  # one change of the accounts at a time

    def balance(
        self, account: str, max_age: float | None = None, timeout: float | None = None
    ) -> BalanceSnapshot:
        """The last known balance, at once; with `max_age` (seconds) refreshed first when it is older.

        Never raises for the network and waits at most `timeout` seconds: what is known then is returned with its
        state. Concurrent callers share one refresh; with `max_age=0` it was asked for after the call began. Raises
        `UnknownName` for an account that this engine does not have, and `ConfigError` for an invalid number of seconds
        or, with `max_age`, for a name in `Settings.cash` that Kraken does not list.
        """
        if max_age is not None:
            self._refresh(account, max_age, timeout)
        return self._state.known(account)

    def _refresh(self, account: str, max_age: float, timeout: float | None) -> None:
        """Wait until the balance is at most `max_age` seconds old, or the time is over."""
        state = self._state
        state.check_account(account)
        if not isinstance(max_age, int | float) or math.isnan(max_age):
            raise ConfigError(f"Invalid max_age: {max_age!r}. Give seconds as a number.")
        if state.is_running:
            wait, began = state.seconds(timeout), state.clock.monotonic()
            state.system.names.check_cash(max(0.0, wait))
            wait -= state.clock.monotonic() - began
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError, EngineStopped):  # the board has what is known
                state.ref(balance_of(account)).ask(ReadBalance(max_age, wait), timeout=wait + ANSWER_GRACE)

    def known_balance(self, account: str) -> BalanceSnapshot | None:
        """The last known balance; `None` where none is kept. Never waits."""
        with contextlib.suppress(EngineError):
            return self.balance(account)
        return None

    def history(self, account: str, days: float = YEAR) -> tuple[BalancePoint, ...]:
        """The balances of an account, the newest last: of the last so many days, counted from the newest.

        A point for every change and one every five minutes, of which the newest 1,000 are kept; before these one for
        each hour, kept for a year, over restarts. They are read from the store in the caller's thread, where the newest
        one may arrive a moment late. Raises `UnknownName`, `ConfigError`, or `StoreError` when the store cannot be
        read.
        """
        self._state.check_account(account)
        if isinstance(days, bool) or not isinstance(days, int | float) or not 0 <= days <= LONGEST:
            raise ConfigError(f"Invalid days: {days!r}. Give a number.")
        key_id = self._state.accounts[account].key_id
        return read_history(self._state.directory, account, key_id, days=min(days, YEAR))

    def history_marks(self, account: str) -> tuple[BalanceMark, ...]:
        """What explains an account's history: outages, orders of ours and their fills; the newest last.

        The newest 500 are kept, over restarts, and read as `history` reads. Raises `UnknownName` or `StoreError`.
        """
        self._state.check_account(account)
        return read_marks(self._state.directory, account)

    def is_available(self, account: str) -> bool:
        """Whether the account may be used: after a good reply, unless too many failures or silence followed."""
        return self._state.known(account).is_available and self._state.is_running

    def error_count(self, account: str) -> int:
        """How many refreshes of the account have failed in a row."""
        return self._state.known(account).error_count

    def add_account(self, account: Account | tuple[str, str, str]) -> None:
        """Add an account while the others go on; its balance is kept up to date from now on.

        Raises `ConfigError` when its name or its key is here already, `StoreInUse` when another engine uses the key,
        `DeadlinePassed` when the lane was busy for `Settings.call_timeout`; nothing has changed then.
        """
        state, new = self._state, Account.of(account)
        with self._changing:
            distinct([*state.accounts.values(), new])
            if state.is_running:
                self._ask_lane(AddAccount(new))
            state.enter(new)
            if state.is_running:
                state.system.add_balance(new.name)

    def remove_account(self, account: str) -> None:
        """Let an account go while the others go on: its key is free, its calls that still wait end as *not sent*.

        Its nonce marks and its last known balance stay in the store, its orders at Kraken. It trades no longer, also
        when this raises: `UnknownName`, or `DeadlinePassed` as `add_account`.
        """
        state = self._state
        with self._changing:
            state.check_account(account)
            if state.is_running:
                self._ask_lane(RemoveAccount(state.accounts[account]))
                state.system.remove_balance(account)
            state.leave(account)

    def resume(self, account: str) -> None:
        """Say that an account's key was fixed: its calls go out again at once, except during a lockout.

        Returns at once; a balance is fetched in the background. Raises `UnknownName` or `EngineStopped`.
        """
        self._state.check_account(account)
        self._state.ref(PRIVATE_LANE).tell(Resume(account))
        self._state.system.push.resume(account)
        self._state.system.tell(balance_of(account), ReadBalance(max_age=0.0))

    def replace_key(self, account: str, key: str | Secret, secret: str | Secret, *, otp: str | None = None) -> None:
        """Give an account another API key while everything else goes on; waiting calls are signed with the new one.

        What is known of the account is forgotten, since it came from the old key. Raises `ConfigError` when the key is
        invalid or belongs to another account here, `StoreInUse` when another engine uses it, `DeadlinePassed` when the
        lane was busy for `Settings.call_timeout`; the old key stays then.
        """
        state = self._state
        with self._changing:
            state.check_account(account)
            before = state.accounts[account]
            new = Account(account, key, secret, tier=before.tier, otp=otp)
            self._ask_lane(ReplaceKey(new))
            state.accounts[account] = new
        if new.key_id != before.key_id and account in state.kept:
            state.ref(balance_of(account)).ask(ForgetBalance(), timeout=ANSWER_GRACE)
        state.system.tell(balance_of(account), ReadBalance(max_age=0.0))
        state.system.tell(ORDERS, KeyReplaced(account))
        if account in state.kept:
            state.system.push.keep(account)

    def _ask_lane(self, request: AccountChange) -> None:
        """Let the lane make a change, or withdraw it: a change that was not begun in time is not made later."""
        account = request.account.name
        answer = self._state.ref(PRIVATE_LANE).ask(request, block=False)
        try:
            answer.get(timeout=self._state.settings.call_timeout)
        except pykka.Timeout:
            if request.claim():  # withdrawn: the lane has not begun, and will not
                raise DeadlinePassed("The lane is busy; nothing was changed.", account=account) from None
            answer.get(timeout=ANSWER_GRACE)
        except pykka.ActorDeadError:
            raise EngineStopped("The engine is not running.", account=account) from None
