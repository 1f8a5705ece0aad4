"""What the engine's methods raise has one type, so that a bot's ``except EngineError`` holds."""

from __future__ import annotations

import functools
import os
import signal
import traceback
from collections.abc import Callable
from types import FunctionType, TracebackType
from typing import Any, TypeVar

from engine.errors import CallUnknown, EngineError

T = TypeVar("T")

# What may have been done at Kraken when it fails in a way that nobody foresaw.
_MAY_HAVE_ACTED = frozenset({"call", "place", "cancel", "cancel_all", "amend", "arm", "disarm", "gates"})


def one_type(cls: type[T]) -> type[T]:
    """Have every public method of a class raise an `EngineError` where it would raise another `Exception`.

    Those come from the machine: no descriptors, no memory, no thread, a stack that is too deep. Arguments that do not
    fit a method's signature are still a `TypeError`. What ends a program, as KeyboardInterrupt, and what a signal
    handler raises, as for a time limit, is passed on.
    """
    for part in cls.__mro__[:-1]:  # its bases as well, each in its place
        for name, method in tuple(vars(part).items()):
            if not name.startswith("_") and isinstance(method, FunctionType):
                setattr(part, name, _translated(method))
    return cls


def foreseen(error: Exception, *, may_have_acted: bool, what: str) -> EngineError:
    """The error of ours for one that nobody foresaw."""
    code = getattr(error, "errno", None)
    cause = os.strerror(code) if isinstance(code, int) else type(error).__name__
    if may_have_acted:
        return CallUnknown(f"The engine failed during {what} ({cause}): look up what became of it.")
    return EngineError(f"The engine failed during {what} ({cause}).")


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    name = method.__name__

    @functools.wraps(method)
    def translated(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except EngineError:
            raise
        except Exception as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is None:  # raised by the call itself: the arguments do not fit
                raise
            if _is_by_signal_handler(trace):
                raise
            failure = foreseen(error, may_have_acted=name in _MAY_HAVE_ACTED, what=f"{name}()")
        raise failure  # outside the handler: what it came from holds frames with keys in them

    return translated


def _is_by_signal_handler(trace: TracebackType) -> bool:
    """Whether an exception came out of one of the handlers that the host has set."""
    handlers = (signal.getsignal(number) for number in signal.valid_signals())
    codes = {getattr(getattr(each, "func", each), "__code__", None) for each in handlers} - {None}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(trace))
