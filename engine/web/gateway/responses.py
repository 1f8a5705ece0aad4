"""The gateway's responses: Kraken's envelope, and the gateway's own refusals in the words that Kraken has for the same.

A client reads from Kraken's words what it may do next: wait, give up, or mend the call. Why the engine refuses it is
told besides, as a sentence in the header ``X-Engine-Refusal``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
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

HEADER = "X-Engine-Refusal"
LONGEST = 500  # characters of a sentence in the header

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


def done(result: Any, warnings: Iterable[str] = ()) -> Response:
    """An unchanged result, with Kraken's warnings beside it."""
    return _json(f'{{"error":{json.dumps(list(warnings))},"result":{written(result)}}}')


def refusal(code: str, sentence: str = "") -> Response:
    """An error of Kraken's, or with a sentence one of the engine's in the same form."""
    response = _json(f'{{"error":[{json.dumps(code)}]}}')
    if sentence:
        plain = " ".join(sentence.split()).encode("ascii", "replace").decode()
        response.headers[HEADER] = plain[:LONGEST]
    return response


def failure(error: EngineError) -> Response:
    """A call that was not done.

    An unknown outcome is HTTP 504 without an error list: an error would tempt a client to send the call again.
    """
    if isinstance(error, CallUnknown):
        return Response("The outcome is unknown: look it up before anything is sent again.\n", 504,
                        media_type="text/plain")  # fmt: skip
    return refusal(code_of(error), str(error) if is_own(error) else "")


def is_own(error: EngineError) -> bool:
    """Whether the engine has refused the call, and not Kraken."""
    if isinstance(error, CallRefused):
        return not error.kraken_code
    return not isinstance(error, CallUnknown)


def code_of(error: EngineError) -> str:
    """The error string that Kraken uses for it."""
    if isinstance(error, CallError) and error.kraken_code:
        return error.kraken_code
    if isinstance(error, CallNotSent) and error.kraken_word:
        return error.kraken_word
    if isinstance(error, WrongParameter):
        return f"{INVALID_ARGUMENTS}:{error.name}"
    return next((word for kind, word in _WORDS if isinstance(error, kind)), UNAVAILABLE)


def written(value: Any) -> str:
    """JSON as Kraken wrote it: fractional numbers keep their digits."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(name)}:{written(each)}" for name, each in value.items()) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case _:
            return json.dumps(value)


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
