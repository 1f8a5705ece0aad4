"""What the engine's methods raise has one type, so that a bot's ``except EngineError`` holds."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from engine.errors import CallUnknown, EngineError

T = TypeVar("T")

# What may have been done at Kraken when it fails in a way that nobody foresaw.
_MAY_HAVE_ACTED = frozenset({"call", "place", "cancel", "cancel_all", "amend", "arm", "disarm", "gates"})

# What these two do is done by another thread, so that what a signal handler raises meanwhile is not taken for theirs.
_WORK = {"_start_in_turn": "start", "_stop_in_turn": "stop"}


def one_type(cls: type[T]) -> type[T]:
    """Have every public method of a class raise an `EngineError` where it would raise another `Exception`.

    Those come from the machine: no descriptors, no memory, no thread, a stack that is too deep. Arguments that do not
    fit a method's signature are still a `TypeError`; what ends a program, as KeyboardInterrupt, is passed on.
    """
    for part in cls.__mro__[:-1]:  # its bases as well, each in its place
        for name, method in tuple(vars(part).items()):
            is_public = not name.startswith("_") and name not in _WORK.values()
            if isinstance(method, FunctionType) and (is_public or name in _WORK):
                setattr(part, name, _contained(method, _WORK.get(name, name)))
    return cls


def foreseen(error: Exception, *, may_have_acted: bool, what: str) -> EngineError:
    """The error of ours for one that nobody foresaw."""
    code = getattr(error, "errno", None)
    cause = os.strerror(code) if isinstance(code, int) else type(error).__name__
    if may_have_acted:
        return CallUnknown(f"The engine failed during {what} ({cause}): look up what became of it.")
    return EngineError(f"The engine failed during {what} ({cause}).")


def _contained(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(method)
    def contained(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except EngineError:
            raise
        except Exception as error:
            trace = error.__traceback__
            if trace is None or trace.tb_next is None:  # raised by the call itself: the arguments do not fit
                raise
            failure = foreseen(error, may_have_acted=name in _MAY_HAVE_ACTED, what=f"{name}()")
        raise failure  # outside the handler: what it came from holds frames with keys in them

    return contained
