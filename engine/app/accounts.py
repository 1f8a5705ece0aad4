"""The desk for accounts: their balances, and what may be changed about them while the engine runs."""

from __future__ import annotations

import contextlib
import math
import threading

import pykka

from engine.actors.crew import PRIVATE_LANE, balance_of
from engine.actors.lane import distinct
from engine.actors.messages import (
    AccountChange,
    AddAccount,
    ForgetBalance,
    ReadBalance,
    RemoveAccount,
    ReplaceKey,
    Resume,
)
from engine.app.calls import ANSWER_GRACE
from engine.app.house import House
from engine.errors import ConfigError, DeadlinePassed, EngineStopped
from engine.rules.balances import BalanceSnapshot
from engine.values import Account, Secret


class AccountDesk:
    """Answers for accounts on behalf of `Engine`, which says what is guaranteed. Thread-safe."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._changing = threading.Lock()  # one change at a time

    def balance(self, account: str, max_age: float | None, timeout: float | None) -> BalanceSnapshot:
        """`Engine.balance`."""
        self._house.check_account(account)
        if max_age is not None and (not isinstance(max_age, int | float) or math.isnan(max_age)):
            raise ConfigError(f"{max_age!r} is no max_age: give seconds as a number.")
        if max_age is not None and self._house.is_running:
            wait = self._house.seconds(timeout)
            began = self._house.clock.monotonic()
            self._house.crew.names.check_cash(max(0.0, wait))
            wait -= self._house.clock.monotonic() - began
            with contextlib.suppress(pykka.Timeout, pykka.ActorDeadError, EngineStopped):  # the board has what is known
                self._house.ref(balance_of(account)).ask(ReadBalance(max_age, wait), timeout=wait + ANSWER_GRACE)
        return self._house.known(account)

    def resume(self, account: str) -> None:
        """`Engine.resume`."""
        self._house.check_account(account)
        self._house.ref(PRIVATE_LANE).tell(Resume(account))
        self._house.crew.tell(balance_of(account), ReadBalance(max_age=0.0))

    def replace_key(self, account: str, key: str | Secret, secret: str | Secret, otp: str | None) -> None:
        """`Engine.replace_key`."""
        house = self._house
        with self._changing:
            house.check_account(account)
            before = house.accounts[account]
            new = Account(account, key, secret, tier=before.tier, otp=otp)
            self._ask_lane(ReplaceKey(new))
            house.accounts[account] = new
        if new.key_id != before.key_id and account in house.kept:
            house.ref(balance_of(account)).ask(ForgetBalance(), timeout=ANSWER_GRACE)
        house.crew.tell(balance_of(account), ReadBalance(max_age=0.0))

    def add(self, account: Account) -> None:
        """`Engine.add_account`."""
        house = self._house
        with self._changing:
            distinct([*house.accounts.values(), account])
            if house.is_running:
                self._ask_lane(AddAccount(account))
            house.enter(account)
            if house.is_running:
                house.crew.add_balance(account.name)

    def remove(self, account: str) -> None:
        """`Engine.remove_account`."""
        house = self._house
        with self._changing:
            house.check_account(account)
            if house.is_running:
                self._ask_lane(RemoveAccount(house.accounts[account]))
                house.crew.remove_balance(account)
            house.leave(account)

    def _ask_lane(self, request: AccountChange) -> None:
        """Let the lane do it, or withdraw it: what was not begun in time is not done later."""
        account = request.account.name
        answer = self._house.ref(PRIVATE_LANE).ask(request, block=False)
        try:
            answer.get(timeout=self._house.settings.call_timeout)
        except pykka.Timeout:
            if request.claim():  # withdrawn: the lane has not begun, and will not
                raise DeadlinePassed("The lane is busy; nothing was changed.", account=account) from None
            answer.get(timeout=ANSWER_GRACE)
        except pykka.ActorDeadError:
            raise EngineStopped("The engine is not running.", account=account) from None
