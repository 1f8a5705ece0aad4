"""The words that Kraken has for what the engine refuses by itself, for clients that speak Kraken's protocol.

A client reads from Kraken's words what it may do next: wait, give up, or fix the call.
"""

from __future__ import annotations

from engine.errors import (
    CallError,
    CallNotSent,
    CallRefused,
    CallUnknown,
    ConfigError,
    ConnectFailed,
    CounterFull,
    DeadlinePassed,
    EngineError,
    EngineStopped,
    IdInUse,
    InsufficientFunds,
    InvalidArguments,
    LaneElsewhere,
    LockedOut,
    MailboxFull,
    MarketUnavailable,
    NonceNotDurable,
    NoncesUsedUp,
    NotLive,
    OrderRejected,
    PairUnsettled,
    PermissionDenied,
    RateLimited,
    UnknownMethod,
    UnknownName,
    WrongParameter,
)

INVALID_KEY = "EAPI:Invalid key"
INVALID_SIGNATURE = "EAPI:Invalid signature"
INVALID_NONCE = "EAPI:Invalid nonce"
INVALID_ARGUMENTS = "EGeneral:Invalid arguments"
PERMISSION_DENIED = "EGeneral:Permission denied"
UNKNOWN_METHOD = "EGeneral:Unknown method"
RATE_LIMIT = "EAPI:Rate limit exceeded"
UNAVAILABLE = "EService:Unavailable"
BUSY = "EService:Busy"
LOCKOUT = "EGeneral:Temporary lockout"

# The first class that fits. A service that is unavailable or busy is a matter of time; nothing permanent is called so.
_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((UnknownName, UnknownMethod), UNKNOWN_METHOD),
    ((CounterFull, MailboxFull, RateLimited), RATE_LIMIT),
    (IdInUse, f"{INVALID_ARGUMENTS}:cl_ord_id not unique"),
    (InsufficientFunds, "EOrder:Insufficient funds"),
    (OrderRejected, "EOrder:Invalid order"),
    (InvalidArguments, INVALID_ARGUMENTS),
    (PermissionDenied, PERMISSION_DENIED),
    (MarketUnavailable, UNAVAILABLE),
    (LockedOut, LOCKOUT),
    (NotLive, PERMISSION_DENIED),
    (NoncesUsedUp, INVALID_KEY),
    ((DeadlinePassed, PairUnsettled), BUSY),
    ((ConnectFailed, EngineStopped, NonceNotDurable), UNAVAILABLE),
    (ConfigError, INVALID_ARGUMENTS),
    ((CallNotSent, CallRefused), BUSY),
)


def is_own(error: EngineError) -> bool:
    """Whether the engine has refused the call, and not Kraken."""
    if isinstance(error, CallRefused):
        return not error.kraken_code
    return not isinstance(error, CallUnknown)


def code_of(error: EngineError) -> str:
    """The error string that Kraken uses for it."""
    if isinstance(error, CallError) and error.kraken_code:
        return error.kraken_code
    if isinstance(error, CallNotSent | LaneElsewhere) and error.kraken_word:
        return error.kraken_word
    if isinstance(error, WrongParameter):
        return f"{INVALID_ARGUMENTS}:{error.name}"
    return next((word for kind, word in _WORDS if isinstance(error, kind)), UNAVAILABLE)
