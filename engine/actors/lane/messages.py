"""What actors tell and ask each other. Every message is frozen; every field is said here once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from engine.errors import CallError
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.values import Account, Secret

_DEEPEST = 12  # more than any of Kraken's bodies is nested; a list that holds itself needs an end


def frozen(value: Any, deepest: int = _DEEPEST) -> Any:
    """A copy of mappings and lists that shares nothing which somebody else could change."""
    if not deepest:
        return value
    if isinstance(value, Mapping):
        return {name: frozen(each, deepest - 1) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [frozen(each, deepest - 1) for each in value]
    return value


@dataclass(frozen=True, slots=True)
class PrivateCall:
    """Asks the `KrakenPrivateActor` for one attempt at one private call."""

    account: str
    """Whose key signs it."""
    endpoint: str
    """Kraken's name of the endpoint, such as ``Balance``."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The call's parameters, without the nonce."""
    timeout: float | None = None
    """Seconds from arrival to the answer, waiting included; `None`: `Settings.call_timeout`."""
    reply_to: Any = None
    """Who is told `CallDone` or `CallFailed`: an actor ref, or anything with a `tell` method."""
    tag: Any = None
    """Yours: it comes back with the answer."""
    endpoint_class: str | None = None
    """What the endpoint is, where the engine does not know it: ``read``, ``settle``, ``order``, ``cancel`` or ``funds``
    (see `engine.kraken.unlisted`)."""
    at_send: Callable[[float | None], Mapping[str, Any]] | None = None
    """Called in the lane's thread when the call is about to go out, with Kraken's time (Unix seconds; `None`: not
    known); returns the parameters that only then can be said. Raises `CallNotSent` for a call that must not go. Called
    again when the call is signed again."""
    key_id: str | None = None
    """The API key (`Account.key_id`) that the call is for: with another one it is not sent. `None`: any."""

    def __post_init__(self) -> None:
        """What it was given is what goes out, whatever the caller changes of it later."""
        if isinstance(self.params, Mapping):
            object.__setattr__(self, "params", frozen(self.params))

    def __repr__(self) -> str:
        """Without what is secret (promise G11): of the parameters that is the otp."""
        params = self.params
        if isinstance(params, Mapping) and "otp" in params:
            params = {**params, "otp": Secret("")}
        return (
            f"PrivateCall(account={self.account!r}, endpoint={self.endpoint!r}, params={params!r}, "
            f"timeout={self.timeout!r}, reply_to={self.reply_to!r}, tag={self.tag!r}, "
            f"endpoint_class={self.endpoint_class!r})"
        )


@dataclass(frozen=True, slots=True)
class CallDone:
    """A private call was done."""

    call: PrivateCall
    result: Any
    """Kraken's `result` as it came; fractional JSON numbers are `Decimal`."""
    warnings: tuple[str, ...] = ()
    """Kraken's ``W…`` entries beside the result."""
    key_id: str = ""
    """Which API key signed it (`Account.key_id`)."""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """A private call was not done; the class of `error` says whether it may have been."""

    call: PrivateCall
    error: CallError


@dataclass(frozen=True, slots=True)
class ReadBalance:
    """Asks a `BalanceActor` for its `BalanceSnapshot`.

    With `max_age` (seconds) an older value is refreshed first, for at most `timeout` seconds; the answer is then what
    is known by that time, never an error of the network. Askers of the same time share one refresh.
    """

    max_age: float | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Tells a `BalanceActor` that a call of ours has changed, or may have changed, what the account holds."""

    at: float
    """When the call ended, by the monotonic clock: replies that were asked for before do not count."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Tells the `KrakenPrivateActor` that an account's key is mended: its calls go again at once."""

    account: str


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Asks the `KrakenPrivateActor` to change what it has of an account; one of those below."""

    account: Account
    token: threading.Lock = field(default_factory=threading.Lock)
    """Taken once, either to do it or to withdraw it."""

    def claim(self) -> bool:
        """True for the first who asks."""
        return self.token.acquire(blocking=False)


class AddAccount(AccountChange):
    """One account more. Raises `ConfigError` when its name or key is here already, `StoreInUse` when it is owned."""

    __slots__ = ()


class RemoveAccount(AccountChange):
    """One account less: its key is given back, and its calls that still wait end as *not sent*."""

    __slots__ = ()


class ReplaceKey(AccountChange):
    """Another key for an account. Raises what `AddAccount` does; the old key stays then."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ForgetBalance:
    """Asks a `BalanceActor` to begin anew, as its account has another key: what it knew is not that key's balance."""


@dataclass(frozen=True, slots=True)
class BalanceRecord:
    """Tells the archive an account's last good reply, to be kept over restarts, and what was read from it."""

    account: str
    endpoint: str
    """Which endpoint answered: only ``BalanceEx`` knows holds."""
    result: Mapping[str, Any]
    as_of: datetime
    key_id: str = ""
    """Whose key fetched it: a balance of another key is never shown as this account's."""
    snapshot: BalanceSnapshot | None = None
    """The balance as it was shown, for the history."""
