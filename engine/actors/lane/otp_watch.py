"""Which keys need their two-factor password, as far as the answers to their calls have shown."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import CallError, OtpNeeded
from engine.rules.lane.otp import KEY_INFO, may_want_otp, otp_needed
from engine.values import Account


class OtpWatch:
    """Tells apart two reasons for a denied call: the key needs its password, or it lacks a permission.

    A key that had a good reply has its password. For any other key, `GetApiKeyInfo` is called once when a call is
    denied. Belongs to the lane's thread. `good`: the keys that had a good reply.
    """

    def __init__(self) -> None:
        self.good: set[str] = set()
        self._wants_it: set[str] = set()

    def passed(self, key_id: str) -> None:
        """A call of that key had a good reply."""
        self.good.add(key_id)
        self._wants_it.discard(key_id)

    def forget(self, key_id: str) -> None:
        """The key or its password was replaced."""
        self.good.discard(key_id)
        self._wants_it.discard(key_id)

    def explained(self, error: CallError, account: Account, endpoint: str, ask: Callable[[], object]) -> CallError:
        """The error, or the `OtpNeeded` that says what it means; `ask` makes the call of `GetApiKeyInfo`."""
        key_id = account.key_id
        if not may_want_otp(error) or key_id in self.good:
            return error
        if endpoint != KEY_INFO and key_id not in self._wants_it:
            try:
                ask()
            except OtpNeeded:
                pass
            except CallError:
                return error
            else:
                return error
        self._wants_it.add(key_id)
        return otp_needed(account.name, endpoint, error.kraken_code, has_otp=account.otp is not None)
