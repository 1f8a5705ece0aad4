"""Every error the engine raises.

::

    EngineError
    ├─ ConfigError
    ├─ StoreError ── StoreInUse (pid) · StoreDamaged
    ├─ CallError (account, endpoint, kraken_code, retry_after)
    │   ├─ CallNotSent ── DeadlinePassed · MailboxFull · CounterFull · LockedOut ── KeyRefused ·
    │   │                 ConnectFailed · NotLive · PairUnsettled · EngineStopped · UnknownName¹ ·
    │   │                 IdInUse¹ · OtherKey · NonceNotDurable² ── NoncesUsedUp
    │   ├─ CallRefused ── InvalidNonce · InvalidKey · InvalidSignature · PermissionDenied ·
    │   │                 RateLimited · TemporaryLockout · InsufficientFunds · OrderRejected ·
    │   │                 InvalidArguments · MarketUnavailable · UnknownMethod · AccountLocked ·
    │   │                 OtpNeeded
    │   └─ CallUnknown ── OrderUnknown (receipt) · CallCut · NoResult
    └─ BalanceUnknown · AccountUnavailable · GateDenied

    ¹ also a ConfigError    ² also a StoreError

What the caller may do is in the class of a `CallError`: after `CallNotSent` nothing reached Kraken, after
`CallRefused` Kraken said no and did nothing, after `CallUnknown` it may have been done and must be looked up,
never sent again blindly; only a cancel that names its order, or all, may be sent again at once.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar


class Outcome(Enum):
    """How a private call ended. Exactly one of these, always (promise G5)."""

    DONE = "done"
    REFUSED = "refused"
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"


class EngineError(Exception):
    """Base of everything the engine raises on purpose. `str()` is one sentence for a person."""


class ConfigError(EngineError):
    """The engine was set up wrongly: the sentence says what and how to mend it. Nothing was sent."""


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
    """A call that was not done. One of `CallNotSent`, `CallRefused` and `CallUnknown`.

    `account`, `endpoint`: which call (`None` only where no call is known yet).
    `kraken_code`: Kraken's own error string, e.g. ``EAPI:Invalid nonce``, or `None`.
    `retry_after`: seconds after which another try makes sense, or `None` when nobody said so.
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
        self.account = account
        self.endpoint = endpoint
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
    """Nothing reached Kraken: the same call may be made again."""

    outcome = Outcome.NOT_SENT


class DeadlinePassed(CallNotSent):
    """The call's time was over before its turn came."""


class MailboxFull(CallNotSent):
    """Too many calls wait in the lane already."""


class CounterFull(CallNotSent):
    """Our own count says that Kraken would refuse this call for its rate limit."""


class LockedOut(CallNotSent):
    """Kraken has locked this key out for a while; calls are kept back until that is over."""


class KeyRefused(LockedOut):
    """Kraken refused the key, its nonces, this endpoint or this market; calls are kept back until that is fixed.

    Waiting alone does not end it: one call is let through now and then, and all of them after `Engine.resume`.
    """


class ConnectFailed(CallNotSent):
    """No connection: the name did not resolve, the port refused, or TLS did not verify."""


class NotLive(CallNotSent):
    """The engine was started without `live=True` and this call would trade."""


class PairUnsettled(CallNotSent):
    """An earlier order on this pair is not settled yet."""


class EngineStopped(CallNotSent):
    """The engine is stopped or stopping."""


class UnknownName(ConfigError, CallNotSent):
    """There is no account or no endpoint of that name."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class IdInUse(ConfigError, CallNotSent):
    """The id of a placement names another order already."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class NonceNotDurable(StoreError, CallNotSent):
    """The store could not promise a nonce that survives a crash, so none was used."""

    def __init__(self, message: str, **about: Any) -> None:
        CallError.__init__(self, message, **about)


class NoncesUsedUp(NonceNotDurable):
    """The key has no nonce left; only a new key helps."""


class OtherKey(CallNotSent):
    """The account has another API key than the one that the call is for."""


class CallRefused(CallError):
    """Kraken said no, and did nothing."""

    outcome = Outcome.REFUSED


class InvalidNonce(CallRefused):
    """Kraken has seen a higher nonce of this key: something else uses the key."""


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
    """Kraken has shut this key out; every further try prolongs it. Plan for 15 quiet minutes."""


class InsufficientFunds(CallRefused):
    """The available balance does not cover it."""


class OrderRejected(CallRefused):
    """The order, or what was to be done to it, is not acceptable."""


class InvalidArguments(CallRefused):
    """A parameter is wrong or missing."""


class UnknownMethod(CallRefused):
    """This server has no such endpoint."""


class MarketUnavailable(CallRefused):
    """Kraken, or this market, does not take the call now."""


class CallUnknown(CallError):
    """It was sent and no readable answer came: it may have been done."""

    outcome = Outcome.UNKNOWN


class CallCut(CallUnknown):
    """It hung and was cut, to let something more urgent pass: that says nothing about the account."""


class NoResult(CallUnknown):
    """Kraken answered with neither an error nor a result, as it does for an account that was never funded."""


class OrderUnknown(CallUnknown):
    """An order whose fate was still open when the caller's time was over; `receipt` names it."""

    def __init__(self, message: str, receipt: Any = None, **about: Any) -> None:
        super().__init__(message, **about)
        self.receipt = receipt


class BalanceUnknown(EngineError):
    """There never was a good reply, so there is no balance to give (promise G6)."""


class AccountUnavailable(EngineError):
    """The account is not available now; the sentence says why."""


class GateDenied(EngineError):
    """A gate did not let the trade pass; the sentence gives every reason."""
