"""Turns a failed exchange into one of the engine's errors, with a sentence for a person."""

from __future__ import annotations

import os
import socket
import ssl
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any

from engine.errors import CallError, CallNotSent, CallUnknown, ConnectFailed, DeadlinePassed
from engine.transport.framing import WireError
from engine.transport.wire import OutOfTime, Wire


def failure(error: Exception, wire: Wire, *, is_read: bool) -> CallError:
    """Which error a failed exchange is. Total: the class of `error` only chooses the wording.

    is_read: it was a GET, which changes nothing at Kraken.
    """
    server = wire.route.name
    is_late = isinstance(error, OutOfTime | TimeoutError)
    if wire.is_sent:
        if wire.is_cut:
            why = "it was cut while " + wire.stage
        elif is_late:
            why = "the time ran out while " + wire.stage
        else:
            why = _why(error)
        doubt = "" if is_read else " and may have been done"
        return CallUnknown(f"The call was sent to {server}{doubt}, but {why}.")
    if wire.is_cut:
        return CallNotSent("The call was cut before it was sent.")
    if wire.stage:
        why = "the time ran out while " + wire.stage if is_late else _why(error)
        return ConnectFailed(f"No connection to {server}: {why}.")
    if is_late:
        return DeadlinePassed("The time of the call was over before it could be sent.")
    return CallNotSent(f"The call was not sent: {_why(error)}.")


_REASONS: tuple[tuple[type[Exception], Callable[[Any], str]], ...] = (
    (WireError, str),
    (ssl.SSLCertVerificationError, lambda e: f"its certificate is not accepted ({_verify_text(e)})"),
    (ssl.SSLEOFError, lambda _: "the connection was broken off"),
    (ssl.SSLError, lambda e: f"TLS failed ({_word(e.reason) or type(e).__name__})"),
    (socket.gaierror, lambda e: f"its name was not found ({_system_text(e)})"),
    (OSError, lambda e: f"the connection failed ({_system_text(e)})"),
)


def _why(error: Exception) -> str:
    """The cause for a person, made of fixed words and of what the system says: never of what was sent or received."""
    try:
        for kind, text in _REASONS:
            if isinstance(error, kind):
                return text(error)
        # Unexpected: a bug report needs its origin.
        return f"{type(error).__name__} was raised{_where(error.__traceback__)}"
    except Exception:  # noqa: BLE001 - a failing message must not hide the outcome
        return f"{type(error).__name__} was raised"


def _where(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _verify_text(error: ssl.SSLCertVerificationError) -> str:
    return str(getattr(error, "verify_message", "") or "no reason given")


def _system_text(error: Exception) -> str:
    code = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror):
        return error.strerror or type(error).__name__
    return os.strerror(code) if isinstance(code, int) else type(error).__name__


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""
