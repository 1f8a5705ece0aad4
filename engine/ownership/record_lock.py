"""Locks on single bytes of an open file, which the kernel frees when their process dies.

A lock is two in fact, on two bytes beside each other. The POSIX one tells others our pid, but is lost when any other
descriptor of the file is closed in this process, as copying the directory does. The other belongs to our descriptor
(Linux only) and is not. Neither keeps out another owner in the same process, which has to see to that itself.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import sys
from collections.abc import Iterable

NAMED, KEPT, WIDTH = 0, 1, 2  # the lock that names its pid, and the one that no other close drops; bytes for both

# struct flock: (format, index of l_type, index of l_start, index of l_len, index of l_pid)
_LAYOUT, _TYPE, _START, _LENGTH, _PID = ("qqihh", 3, 0, 1, 2) if sys.platform == "darwin" else ("hhqqi", 0, 2, 3, 4)
_SET_OWN: int | None = getattr(fcntl, "F_OFD_SETLK", None)


def is_taken(error: OSError) -> bool:
    """Whether a lock could not be had since another process has it."""
    return error.errno in (errno.EACCES, errno.EAGAIN)


def take(descriptor: int, at: int) -> None:
    """Take both locks or none, the one that names us first, so that who is refused knows our pid. Raises `OSError`."""
    _set(descriptor, fcntl.F_WRLCK, at + NAMED)
    try:
        _keep(descriptor, fcntl.F_WRLCK, at + KEPT)
    except OSError:
        _set(descriptor, fcntl.F_UNLCK, at + NAMED)
        raise


def take_again(descriptor: int, at: int) -> None:
    """Take what was dropped. Raises `OSError` when the lock that lasts is another's now."""
    lasts = _keep(descriptor, fcntl.F_WRLCK, at + KEPT)
    try:
        _set(descriptor, fcntl.F_WRLCK, at + NAMED)
    except (BlockingIOError, PermissionError):
        if not lasts:  # else it is one who tries: he has it for a moment, and not both
            raise


def share(descriptor: int, at: int, group: int) -> None:
    """Take both locks, and one at the byte `group`, together with others who do: all or none. Raises `OSError`."""
    try:
        _set(descriptor, fcntl.F_RDLCK, at + NAMED)
        for byte in (at + KEPT, group):
            if not _keep(descriptor, fcntl.F_RDLCK, byte):
                _set(descriptor, fcntl.F_RDLCK, byte)
    except OSError:
        free(descriptor, at)
        raise


def free(descriptor: int, at: int, length: int = WIDTH) -> None:
    """Give back what is held in so many bytes."""
    for command in (fcntl.F_SETLK, _SET_OWN):
        if command is not None:
            try:
                fcntl.fcntl(descriptor, command, _lock(fcntl.F_UNLCK, at, length))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise


def holder(descriptor: int, at: int) -> int | None:
    """The pid of another process that holds the lock there; 0 when it cannot be named, `None` when nobody does."""
    return holder_within(descriptor, ((at + NAMED, 1), (at + KEPT, 1)))


def holder_within(descriptor: int, ranges: Iterable[tuple[int, int]]) -> int | None:
    """The pid of another process that holds a lock in one of these, as first byte and length; otherwise as `holder`."""
    for first, length in ranges:
        asked = _lock(fcntl.F_WRLCK, first, length)
        answer = struct.unpack(_LAYOUT, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        if answer[_TYPE] != fcntl.F_UNLCK:
            return max(0, int(answer[_PID]))
    return None


def _set(descriptor: int, kind: int, byte: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_SETLK, _lock(kind, byte))


def _keep(descriptor: int, kind: int, byte: int) -> bool:
    """Take a lock that lasts; `False` where there is none. Raises `OSError` when another has it."""
    if _SET_OWN is None:
        return False
    try:
        fcntl.fcntl(descriptor, _SET_OWN, _lock(kind, byte))
    except OSError as error:
        if error.errno == errno.EINVAL:  # a file system that does not know this kind of lock
            return False
        raise
    return True


def _lock(kind: int, first: int, length: int = 1) -> bytes:
    fields = [0] * 5
    fields[_TYPE], fields[_START], fields[_LENGTH] = kind, first, length
    return struct.pack(_LAYOUT, *fields)
