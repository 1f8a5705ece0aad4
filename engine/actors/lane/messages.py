"""What the `KrakenPrivateActor` is asked and told, and its answers. Each message is frozen."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from engine.errors import CallError
from engine.values import Account, Secret
from engine.values.dataclass import dataclass

_DEEPEST = 12  # more than any of Kraken's bodies is nested; a list that holds itself needs an end


MAPPING = (dict, Mapping)  # the first is asked for in no time


def frozen(value: Any, deepest: int = _DEEPEST) -> Any:
    """A copy of mappings and lists that shares nothing which somebody else could change."""
    if isinstance(value, str) or not deepest:
        return value
    if isinstance(value, MAPPING):
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
    """Who is told `CallDone` or `CallFailed`: an actor ref, or any object with a `tell` method."""
    tag: Any = None
    """Free for the sender's use: it comes back with the answer."""
    endpoint_class: str | None = None
    """The class of an endpoint that the engine does not know: ``read``, ``settle``, ``order``, ``cancel`` or ``funds``
    (see `engine.kraken.unlisted`)."""
    deadline_in: float | None = None
    """Of a placement: seconds after the call goes out, by Kraken's clock, by which Kraken must accept the order. They
    become its ``deadline``, unless Kraken's time is not known. A `QuickReply` in `reply_to` is asked first."""
    key_id: str | None = None
    """The API key (`Account.key_id`) that the call is for: with another one it is not sent. `None`: any."""
    disarms: bool = False
    """Whether it disarms a dead man's switch that the engine has armed: one that is not live may do that, too."""
    listens: bool = False
    """Whether it is for the engine's own push, which places nothing: one that is not live may ask for that token."""

    def __post_init__(self) -> None:
        """What it was given is what goes out, whatever the caller changes of it later."""
        if isinstance(self.params, MAPPING):
            object.__setattr__(self, "params", frozen(self.params) if self.params else {})

    def __repr__(self) -> str:
        """Without secrets (promise G11): of the parameters only the otp is one."""
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
    result: Any = field(repr=False)
    """Kraken's `result` as it came; fractional JSON numbers are `Decimal`. It may be a token, so no repr shows it."""
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
class Resume:
    """Tells the `KrakenPrivateActor` that an account's key was fixed: its calls go out again at once."""

    account: str


@dataclass(frozen=True, slots=True)
class AccountChange:
    """Asks the `KrakenPrivateActor` to change its accounts; base of the three below."""

    account: Account
    token: threading.Lock = field(default_factory=threading.Lock)
    """Taken once, either to make the change or to withdraw it."""

    def claim(self) -> bool:
        """True for the first who asks."""
        return self.token.acquire(blocking=False)


class AddAccount(AccountChange):
    """Adds an account. Raises `ConfigError` when its name or key is here already, `StoreInUse` for a key in use."""

    __slots__ = ()


class RemoveAccount(AccountChange):
    """Removes an account: its key is released, and its calls that still wait end as *not sent*."""

    __slots__ = ()


class ReplaceKey(AccountChange):
    """Gives an account another key. Raises what `AddAccount` raises; the old key stays then."""

    __slots__ = ()
