"""File descriptors: how many this process may have, and what to do when there are too few."""

from __future__ import annotations

import errno
import os
import resource
import sqlite3
import sys

from engine.errors import StoreError

_ADVICE = "let this process open more files ('ulimit -n {0}' before it starts, or LimitNOFILE={0} in its systemd unit)"
_USUAL = 65536
_OF_SQLITE = 4  # the file, its log, its shared memory and the directory
MORE_FILES = _ADVICE.format(_USUAL)


def most_files() -> int:
    """How many descriptors this process may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def check_room(what: str, needed: int) -> None:
    """Raise `StoreError` unless so many more descriptors can be opened; `what` is who needs them."""
    most = most_files()
    used = _in_use(most)
    if used + needed > most:
        advice = _ADVICE.format(max(_USUAL, 2 * (used + needed)))
        raise StoreError(
            f"{what} needs {needed} open files, and this process may have {most}, of which {used} are in use: {advice}."
        )


def _in_use(most: int) -> int:
    try:
        return len(os.listdir("/dev/fd")) - 1  # without the one that lists them
    except OSError as error:
        return most if is_shortage(error) else 0


def next_descriptor() -> int:
    """The number of the next descriptor that this process opens: the lowest that is free. Raises `OSError`."""
    descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.close(descriptor)
    return descriptor


def is_shortage(error: BaseException | None) -> bool:
    """Whether something failed for want of a descriptor."""
    if isinstance(error, OSError):
        return error.errno in (errno.EMFILE, errno.ENFILE)
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_CANTOPEN and not _may_open()


def _may_open() -> bool:
    """Whether as many can be opened as SQLite needs for a file: it has closed those again that it could open."""
    opened: list[int] = []
    try:
        for _ in range(_OF_SQLITE):
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        return not is_shortage(error)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return True
