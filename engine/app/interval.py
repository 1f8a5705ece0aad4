"""The switch interval of the process: changed only for engines that ask for it, and restored after the last one."""

from __future__ import annotations

import sys
import threading

_lock = threading.Lock()
_wanted: dict[int, float] = {}
_before: list[float] = []


def shorten(owner: object, seconds: float | None) -> None:
    """Make the process switch threads every `seconds` until `restore(owner)`; the shortest of all owners counts."""
    if seconds is None:
        return
    with _lock:
        if not _wanted:
            _before[:] = [sys.getswitchinterval()]
        _wanted[id(owner)] = seconds
        sys.setswitchinterval(min(_wanted.values()))


def restore(owner: object) -> None:
    """Restore the original interval once no owner is left. Does nothing for an owner without a wish."""
    with _lock:
        if _wanted.pop(id(owner), None) is not None:
            sys.setswitchinterval(min(_wanted.values(), default=_before[0]))
