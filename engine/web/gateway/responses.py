"""The gateway's responses: Kraken's envelope, and the gateway's own refusals as Kraken's error codes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

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
)
from engine.kraken.json_text import written

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

# The first class that fits. Each string makes clients do the right thing: wait, give up, or fix the call.
_WORDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    ((UnknownName, UnknownMethod), UNKNOWN_METHOD),
    ((CounterFull, MailboxFull, RateLimited), RATE_LIMIT),
    (IdInUse, f"{INVALID_ARGUMENTS}:cl_ord_id not unique"),
    (InsufficientFunds, "EOrder:Insufficient funds"),
    (OrderRejected, "EOrder:Invalid order"),
    (InvalidArguments, INVALID_ARGUMENTS),
    (PermissionDenied, PERMISSION_DENIED),
    (PairUnsettled, "EOrder:Rate limit exceeded"),
    (LockedOut, LOCKOUT),
    (NotLive, PERMISSION_DENIED),
    (DeadlinePassed, BUSY),
    ((ConnectFailed, EngineStopped, NonceNotDurable), UNAVAILABLE),
    (ConfigError, INVALID_ARGUMENTS),
    ((CallNotSent, CallRefused), UNAVAILABLE),
)


def done(result: Any, warnings: Iterable[str] = ()) -> Response:
    """An unchanged result, with Kraken's warnings beside it."""
    return _json(f'{{"error":{json.dumps(list(warnings))},"result":{written(result)}}}')


def refusal(code: str) -> Response:
    """An error of Kraken's, or one of the gateway in the same form."""
    return _json(f'{{"error":[{json.dumps(code)}]}}')


def failure(error: EngineError) -> Response:
    """A call that was not done.

    An unknown outcome is HTTP 504 without an error list: an error would tempt a client to send the call again.
    """
    if isinstance(error, CallUnknown):
        return Response("The outcome is unknown: look it up before anything is sent again.\n", 504,
                        media_type="text/plain")  # fmt: skip
    if isinstance(error, CallError) and error.kraken_code:
        return refusal(error.kraken_code)
    return refusal(next((word for kind, word in _WORDS if isinstance(error, kind)), UNAVAILABLE))


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
