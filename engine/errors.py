"""Every error the engine raises.

::

    EngineError
    ├─ ConfigError
    ├─ StoreError ── StoreInUse (pid) · StoreDamaged
    ├─ CallError (account, endpoint, kraken_code, retry_after)
    │   ├─ CallNotSent ── DeadlinePassed · MailboxFull · CounterFull · LockedOut ── KeyRefused ·
    │   │                 ConnectFailed · NotLive · TradingPaused · PairUnsettled · EngineStopped ·
    │   │                 UnknownName¹ · IdInUse¹ · WrongParameter¹ · OtherKey · OwnershipLost² ·
    │   │                 NonceNotDurable² ── NoncesUsedUp
    │   ├─ CallRefused ── InvalidNonce · InvalidKey · InvalidSignature · PermissionDenied ·
    │   │                 RateLimited · TemporaryLockout · InsufficientFunds · OrderRejected ·
    │   │                 InvalidArguments · MarketUnavailable · UnknownMethod · AccountLocked ·
    │   │                 OtpNeeded
    │   └─ CallUnknown ── OrderUnknown (receipt) · CallCut · NoResult
    ├─ LaneElsewhere (lane, owner, url)
    └─ BalanceUnknown · AccountUnavailable · GateDenied

    ¹ also a ConfigError    ² also a StoreError

The class of a `CallError` says what the caller may do: after `CallNotSent` nothing reached Kraken, after
`CallRefused` Kraken said no and did nothing, after `CallUnknown` it may have been done and must be looked up,
never sent again blindly; only a cancel that names its order, or all, may be sent again at once.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, ClassVar, Self

_SECRET_FROM = 40  # characters; Kraken's keys have 56 and its secrets 88, all of them of base64
_RUN = re.compile(rf"[A-Za-z0-9+/=_-]{{{_SECRET_FROM},}}")
_PART = re.compile(r"[A-Za-z0-9]{12,}")  # between two names of directories, or two signs of base64


def without_secrets(text: str) -> str:
    """A text without what could be a key or a secret in the wrong place. The names of files and directories stay."""
    return _RUN.sub(_length_of_secret, text)


def _length_of_secret(run: re.Match[str]) -> str:
    is_secret = any(map(_is_random, _PART.findall(run[0])))
    return f"(a text of {len(run[0])} characters)" if is_secret else run[0]


def _is_random(part: str) -> bool:
    """Long, or of capitals, small letters and digits."""
    return len(part) >= _SECRET_FROM or not (part.isalpha() or part.islower() or part.isupper() or part.isdigit())


def _repeated(value: Any) -> Any:
    """What an error may keep of a value that was given, whatever its kind is."""
    return without_secrets(value) if isinstance(value, str) else value


class Outcome(Enum):
    """How a private call ended. Exactly one of these, always (promise G5)."""

    DONE = "done"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"


class EngineError(Exception):
    """Base of everything the engine raises on purpose. `str()` is one sentence for a person.

    It repeats no text that could be a key or a secret in the wrong place (promise G11).
    """

    def __init__(self, *sentence: str) -> None:
        super().__init__(*map(_repeated, sentence))


class ConfigError(EngineError):
    """A wrong configuration or argument: the sentence says what is wrong and how to fix it. Nothing was sent."""


class StoreError(EngineError):
    """The state directory or a file in it cannot be used; the sentence names it and the remedy."""


class StoreInUse(StoreError):
    """Another live engine owns this state directory or this API key (promise G2).

    `pid` is the owner's process id, or `None` where the system cannot tell.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.pid)


class StoreDamaged(StoreError):
    """A file of the store does not hold what was written to it."""


class CallError(EngineError):
    """A call that was not done, or may not have been: `CallNotSent`, `CallRefused` or `CallUnknown`.

    `account`, `endpoint`: which call (`None` only where no call is known yet).
    `kraken_code`: Kraken's own error string, e.g. ``EAPI:Invalid nonce``, or `None`.
    `retry_after`: seconds after which another try makes sense, or `None` when that is unknown.
    """

    outcome: ClassVar[Outcome] = Outcome.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        account: str | None = None,
        endpoint: str | None = None,
        kraken_code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.account: str | None = _repeated(account)
        self.endpoint: str | None = _repeated(endpoint)
        self.kraken_code = kraken_code
        self.retry_after = retry_after

    def about(self, account: str | None, endpoint: str) -> CallError:
        """Name the call this error is about, unless it is named already; returns itself."""
        self.account = account if self.account is None else self.account
        self.endpoint = endpoint if self.endpoint is None else self.endpoint
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),), self.__dict__


class CallNotSent(CallError):
    """Nothing reached Kraken: the same call may be made again.

    `kraken_word`: the error string that Kraken uses for the same, where it has one: for clients that know no other.
    """

    outcome = Outcome.NOT_SENT
    kraken_word: str | None = None

    def in_krakens_words(self, word: str | None) -> Self:
        """Say which error string Kraken uses for the same; returns itself."""
        self.kraken_word = word
        return self


class DeadlinePassed(CallNotSent):
    """The call's time was over before its turn came."""


class MailboxFull(CallNotSent):
    """Too many calls are waiting in the lane already."""


class CounterFull(CallNotSent):
    """By the engine's own count Kraken would refuse this call for its rate limit."""


class LockedOut(CallNotSent):
    """Calls of this key are kept back, because Kraken refuses it or has locked it out for a while."""


class KeyRefused(LockedOut):
    """Kraken refused the key, its nonces, this endpoint or this market; calls are kept back until that is fixed.

    Waiting alone does not end it: one call is let through now and then, and all of them after `Engine.resume`.
    """


class ConnectFailed(CallNotSent):
    """No connection: the name did not resolve, the port refused, or TLS did not verify."""


class NotLive(CallNotSent):
    """The engine was started without `live=True` and this call would trade."""


class TradingPaused(CallNotSent):
    """A person has paused the trading of this account: nothing is placed until `Engine.resume_trading`."""


class PairUnsettled(CallNotSent):
    """An earlier order on this pair is not settled yet."""


class EngineStopped(CallNotSent):
    """The engine is not running, or is stopping."""


class UnknownName(ConfigError, CallNotSent):
    """There is no account, endpoint or order of that name."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class IdInUse(ConfigError, CallNotSent):
    """The id of a placement names another order already."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class WrongParameter(ConfigError, CallNotSent):
    """A parameter of a call is not known, or its value cannot be understood; `name` is that of the parameter."""

    def __init__(self, message: str, *, name: str = "", **about: Any) -> None:
        CallError.__init__(self, message, **about)
        self.name = name


class NonceNotDurable(StoreError, CallNotSent):
    """No nonce could be made durable, so none was used."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class NoncesUsedUp(NonceNotDurable):
    """The key has no nonce left; only a new key helps."""


class OwnershipLost(StoreError, CallNotSent):
    """The state directory or a key is not this engine's any more, so nothing is sent or written (promise G2)."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class OtherKey(CallNotSent):
    """The account has another API key than the one that the call is for."""


class CallRefused(CallError):
    """Kraken said no, and did nothing."""

    outcome = Outcome.REFUSED


class InvalidNonce(CallRefused):
    """Kraken has seen a higher nonce of this key: another program uses it."""


class InvalidKey(CallRefused):
    """Kraken does not know the API key, or it is disabled or expired."""


class InvalidSignature(CallRefused):
    """The signature does not fit: usually the secret belongs to another key."""


class PermissionDenied(CallRefused):
    """The key, or the account behind it, may not do this."""


class AccountLocked(PermissionDenied):
    """Kraken has locked or not yet confirmed the account."""


class OtpNeeded(PermissionDenied):
    """Kraken denies every call to the key: it has a two-factor password, and none or a wrong one came with the call."""


class RateLimited(CallRefused):
    """Kraken's rate limit was exceeded."""


class TemporaryLockout(CallRefused):
    """Kraken has locked this key out, and every further try prolongs it. Wait 15 minutes."""


class InsufficientFunds(CallRefused):
    """The available balance does not cover it."""


class OrderRejected(CallRefused):
    """Kraken, or the check before sending, rejects the order or the change to it."""


class InvalidArguments(CallRefused):
    """A parameter is wrong or missing."""


class UnknownMethod(CallRefused):
    """This server has no such endpoint."""


class MarketUnavailable(CallRefused):
    """Kraken, or this market, does not accept the call now."""


class CallUnknown(CallError):
    """The call was sent and no readable answer came: it may have been done."""

    outcome = Outcome.UNKNOWN


class CallCut(CallUnknown):
    """The call hung and was cut to let a more urgent one pass, which says nothing about the account."""


class NoResult(CallUnknown):
    """Kraken answered with neither an error nor a result, as it does for an account that was never funded."""


class OrderUnknown(CallUnknown):
    """An order whose outcome was still unknown when the caller's time was over; `receipt` names it."""

    def __init__(self, message: str, receipt: Any = None, **about: Any) -> None:
        super().__init__(message, **about)
        self.receipt = receipt


class LaneElsewhere(EngineError):
    """The lane of an account is not served by this node of the cluster, or not yet.

    `lane`: its name. `owner`: the node that has it, `None` while nobody has; this node's own name while it takes the
    lane over. `url`: where the owner's gateway is, `None` when it has none. `kraken_word`: the error string of Kraken's
    that keeps the owner from serving the account, where it has locked the key out or refuses it.
    """

    def __init__(
        self, message: str, lane: str = "", owner: str | None = None, url: str | None = None,
        kraken_word: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.lane, self.owner, self.url, self.kraken_word = lane, owner, url, kraken_word

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.lane, self.owner, self.url, self.kraken_word)


class BalanceUnknown(EngineError):
    """There was no good reply yet, so no balance is known (promise G6)."""


class AccountUnavailable(EngineError):
    """The account is not available now; the sentence says why."""


class GateDenied(EngineError):
    """A gate denied the trade; the sentence gives every reason."""
