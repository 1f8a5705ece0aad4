"""The switch interval of the process: changed only for engines that ask for it, and put back after the last of them."""

from __future__ import annotations

import sys
import threading

_lock = threading.Lock()
_wanted: dict[int, float] = {}
_before: list[float] = []


def shorten(owner: object, seconds: float | None) -> None:
    """Have the process switch threads after `seconds` until `restore(owner)`; of several owners the shortest counts."""
    if seconds is None:
        return
    with _lock:
        if not _wanted:
            _before[:] = [sys.getswitchinterval()]
        _wanted[id(owner)] = seconds
        sys.setswitchinterval(min(_wanted.values()))


def restore(owner: object) -> None:
    """Put back what was before the first owner, once no owner is left. Does nothing for one that asked for nothing."""
    with _lock:
        if _wanted.pop(id(owner), None) is not None:
            sys.setswitchinterval(min(_wanted.values(), default=_before[0]))
