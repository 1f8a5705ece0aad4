"""Exit codes: what a script may conclude from each."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import Any

import click

from engine.errors import (
    CallError,
    CallNotSent,
    CallUnknown,
    ConfigError,
    ConnectFailed,
    CounterFull,
    DeadlinePassed,
    EngineError,
    EngineStopped,
    InvalidKey,
    InvalidSignature,
    KeyRefused,
    LockedOut,
    MailboxFull,
    NoncesUsedUp,
    Outcome,
    PairUnsettled,
    PermissionDenied,
    StoreError,
)
from engine.kraken.endpoints import PRIVATE, PUBLIC

HELP = """\b
Exit codes:
  0    done; of balances: every account is available; of demo: everything was seen; of doctor: nothing is bad
  1    Kraken or a gate refused, an account is not available, the demo did not see all, or the doctor found trouble
  2    wrong usage or configuration, or a call that can never be sent as it is; nothing was sent
  3    the state directory cannot be used, or another engine owns it or a key
  4    not sent for a passing reason: nothing reached Kraken, the same call may be made again
  5    unknown: it may have been done; look it up before anything but a cancel is sent again
  70   a fault in this program
  74   the output cannot be written; a call may have been done
  130  interrupted (Ctrl-C or SIGTERM)
  141  the reader of the output went away
"""


class Exit(IntEnum):
    """How a command ended."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    STORE = 3
    NOT_SENT = 4
    UNKNOWN = 5
    INTERNAL = 70
    OUTPUT = 74
    INTERRUPTED = 130
    BROKEN_PIPE = 141


_PASSING = (
    ConnectFailed, CounterFull, DeadlinePassed, EngineStopped, LockedOut, MailboxFull, PairUnsettled,
)  # fmt: skip

# The first that fits counts: an unknown name is also a call that was not sent, but the remedy is in the configuration.
_CODES: tuple[tuple[type[EngineError] | tuple[type[EngineError], ...], Exit], ...] = (
    (ConfigError, Exit.USAGE),
    (NoncesUsedUp, Exit.USAGE),
    (KeyRefused, Exit.REFUSED),
    (StoreError, Exit.STORE),
    (_PASSING, Exit.NOT_SENT),
    (CallNotSent, Exit.USAGE),
    (CallUnknown, Exit.UNKNOWN),
)

_LASTING = (KeyRefused, InvalidKey, InvalidSignature, PermissionDenied)
"""What waiting alone does not end."""

_ADVICE = {
    Exit.REFUSED: "Kraken did nothing.",
    Exit.NOT_SENT: "Nothing reached Kraken: the same call may be made again.",
    Exit.UNKNOWN: "It may have been done: look it up, do not send it again.",
}
_NOTHING_SENT = "Nothing reached Kraken."
_CANCELS = frozenset({"CancelOrder", "CancelOrderBatch", "CancelAll"})  # done twice is as good as done once


def exit_code(error: EngineError) -> Exit:
    """The exit code for an error of the engine's."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.REFUSED)


def advice(error: EngineError) -> Iterator[str]:
    """Sentences that say what the caller may do after a call that failed."""
    if not isinstance(error, CallError) or isinstance(error, ConfigError):
        return
    if error.kraken_code and error.kraken_code not in str(error):
        yield f"Kraken said {error.kraken_code!r}."
    if error.outcome is Outcome.NOT_SENT and (error.retry_after or exit_code(error) is not Exit.NOT_SENT):
        yield _NOTHING_SENT
    elif error.outcome is Outcome.UNKNOWN and error.endpoint in _CANCELS:
        yield "It may have been done: the same cancel may be sent again."
    elif error.outcome is Outcome.UNKNOWN and _is_read(error.endpoint):
        yield "It changes nothing at Kraken: the same call may be made again."
    else:
        yield _ADVICE[exit_code(error)]
    if error.retry_after and not isinstance(error, _LASTING):
        yield f"Another try makes sense in {error.retry_after:.0f} s."


def _is_read(endpoint: str | None) -> bool:
    found = PRIVATE.get(endpoint or "") or PUBLIC.get(endpoint or "")
    return found is not None and not found.writes


def error_type(error: BaseException) -> str:
    """What `type` says under `--json`: a class of `engine.errors`, or a word of this program's."""
    if isinstance(error, EngineError):
        return type(error).__name__
    if isinstance(error, click.ClickException):
        return "WrongUsage"
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return "Interrupted"
    return "OutputFailed" if isinstance(error, OSError) else "Fault"


def failure(error: BaseException, text: str) -> dict[str, Any]:
    """The document on stdout under `--json` when there is no result."""
    told: dict[str, Any] = {"type": error_type(error), "message": text}
    if isinstance(error, CallError):
        told |= {
            "outcome": error.outcome.value,
            "account": error.account,
            "endpoint": error.endpoint,
            "kraken_code": error.kraken_code,
            "retry_after": error.retry_after,
        }
    return {"error": told}
