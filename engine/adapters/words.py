"""What Kraken would say where the engine itself refuses a call: words that make a client do the right thing."""

from __future__ import annotations

from engine.errors import (
    CallError,
    ConfigError,
    ConnectFailed,
    CounterFull,
    DeadlinePassed,
    EngineError,
    EngineStopped,
    IdInUse,
    InsufficientFunds,
    InvalidArguments,
    KeyRefused,
    LockedOut,
    MailboxFull,
    NonceNotDurable,
    NotLive,
    OrderRejected,
    PairUnsettled,
    PermissionDenied,
    RateLimited,
    UnknownMethod,
    UnknownName,
    WrongParameter,
)

INVALID = "EGeneral:Invalid arguments"
UNAVAILABLE = "EService:Unavailable"
_WORDS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((UnknownName, UnknownMethod), "EGeneral:Unknown method"),
    ((CounterFull, MailboxFull, RateLimited), "EAPI:Rate limit exceeded"),
    ((IdInUse,), f"{INVALID}:cl_ord_id not unique"),
    ((InsufficientFunds,), "EOrder:Insufficient funds"),
    ((OrderRejected,), "EOrder:Invalid order"),
    ((PermissionDenied, NotLive, KeyRefused), "EGeneral:Permission denied"),
    ((PairUnsettled,), "EOrder:Rate limit exceeded"),
    ((LockedOut,), "EGeneral:Temporary lockout"),
    ((DeadlinePassed,), "EService:Busy"),
    ((ConnectFailed, EngineStopped, NonceNotDurable), "EService:Unavailable"),
    ((ConfigError, InvalidArguments), INVALID),
)


def code_of(error: EngineError) -> str:
    """Kraken's code for a call that was refused or not sent."""
    if isinstance(error, CallError) and error.kraken_code:
        return error.kraken_code
    if isinstance(error, WrongParameter) and error.name:
        return f"{INVALID}:{error.name}"
    return next((word for kinds, word in _WORDS if isinstance(error, kinds)), UNAVAILABLE)
