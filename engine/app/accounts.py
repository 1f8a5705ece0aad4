"""The service for accounts: their balances, and what may be changed about them while the engine runs."""

from __future__ import annotations

import contextlib
import math
import threading

import pykka

from engine.actors.lane.attempt import distinct
from engine.actors.lane.messages import (
    AccountChange,
    AddAccount,
    ForgetBalance,
    ReadBalance,
    RemoveAccount,
    ReplaceKey,
    Resume,
)
from engine.actors.order.messages import KeyReplaced
from engine.actors.system import ORDERS, PRIVATE_LANE, balance_of
from engine.app.calls import ANSWER_GRACE
from engine.app.state import AppState
from engine.errors import ConfigError, DeadlinePassed, EngineStopped
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values import Account, Secret


class AccountService:
    """Answers for accounts on behalf of `Engine`, which says what is guaranteed. Thread-safe."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._changing = threading.Lock()  # one change at a time

    def balance(self, account: str, max_age: float | None, timeout: float | None) -> BalanceSnapshot:
        """`Engine.balance`."""
        self._state.check_account(account)
        if max_age is not None and (not isinstance(max_age, int | float) or math.isnan(max_age)):
            raise ConfigError(f"{max_age!r} is no max_age: give seconds as a number.")
        if max_age is not None and self._state.is_running:
            wait = self._state.seconds(timeout)
            began = self._state.clock.monotonic()
            self._state.system.names.check_cash(max(0.0, wait))
            wait -= self._state.clock.monotonic() - began
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError, EngineStopped):  # the board has what is known
                self._state.ref(balance_of(account)).ask(ReadBalance(max_age, wait), timeout=wait + ANSWER_GRACE)
        return self._state.known(account)

    def resume(self, account: str) -> None:
        """`Engine.resume`."""
        self._state.check_account(account)
        self._state.ref(PRIVATE_LANE).tell(Resume(account))
        self._state.system.tell(balance_of(account), ReadBalance(max_age=0.0))

    def replace_key(self, account: str, key: str | Secret, secret: str | Secret, otp: str | None) -> None:
        """`Engine.replace_key`."""
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

    def add(self, account: Account) -> None:
        """`Engine.add_account`."""
        state = self._state
        with self._changing:
            distinct([*state.accounts.values(), account])
            if state.is_running:
                self._ask_lane(AddAccount(account))
            state.enter(account)
            if state.is_running:
                state.system.add_balance(account.name)

    def remove(self, account: str) -> None:
        """`Engine.remove_account`."""
        state = self._state
        with self._changing:
            state.check_account(account)
            if state.is_running:
                self._ask_lane(RemoveAccount(state.accounts[account]))
                state.system.remove_balance(account)
            state.leave(account)

    def _ask_lane(self, request: AccountChange) -> None:
        """Let the lane do it, or withdraw it: what was not begun in time is not done later."""
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
