"""What an engine holds so that no second one takes the same.

The kernel frees all of it when the owner dies, however it dies. It is not only taken: the `verify` of each part looks
whether it is still held, since other code of the process may have closed its descriptor, and others may have replaced
its file.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from engine.errors import StoreInUse

RESTART = "Nothing more is sent or written: restart the engine."
CLOSED = f"Other code of this process has closed the engine's files, with their lock. {RESTART}"

Warn = Callable[[str, str], None]


def in_use(what: str, pid: int | None) -> StoreInUse:
    """The error for whoever comes second."""
    return StoreInUse(f"{what} by {owner_named(pid)}: stop that engine, or use another state directory and key.", pid)


def owner_named(pid: int | None) -> str:
    """An owner as a sentence names it; `None`: not known."""
    if pid == os.getpid():
        return f"this process ({pid})"
    return "another process" if pid is None else f"process {pid}"
