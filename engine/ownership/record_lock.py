"""A lock on an open file, which the kernel frees when its process dies.

It is two in fact, on the first two bytes. The POSIX one tells others our pid, but is lost when any other descriptor of
the file is closed in this process, as copying the directory does. The other belongs to our descriptor (Linux only) and
is not. Neither keeps out another owner in the same process, which has to see to that itself.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import sys

# struct flock: (format, index of l_type, index of l_start, index of l_len, index of l_pid)
_LAYOUT, _TYPE, _START, _LENGTH, _PID = ("qqihh", 3, 0, 1, 2) if sys.platform == "darwin" else ("hhqqi", 0, 2, 3, 4)
_SET_OWN: int | None = getattr(fcntl, "F_OFD_SETLK", None)


def _lock(kind: int, byte: int) -> bytes:
    fields = [0] * 5
    fields[_TYPE], fields[_START], fields[_LENGTH] = kind, byte, 1
    return struct.pack(_LAYOUT, *fields)


_NAMED, _KEPT = _lock(fcntl.F_WRLCK, 0), _lock(fcntl.F_WRLCK, 1)  # the one that tells the pid, and the one that lasts


def take(descriptor: int) -> None:
    """Take both locks, the one that names us first: whoever is refused by it knows our pid. Raises `OSError`."""
    fcntl.fcntl(descriptor, fcntl.F_SETLK, _NAMED)
    _keep(descriptor)


def take_again(descriptor: int) -> None:
    """Take what was dropped. Raises `OSError` when the lock that lasts is another's now."""
    lasts = _keep(descriptor)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLK, _NAMED)
    except (BlockingIOError, PermissionError):
        if not lasts:  # else it is one who tries: he has it for a moment, and not both
            raise


def is_taken(error: OSError) -> bool:
    """Whether a lock could not be had since another process has it."""
    return error.errno in (errno.EACCES, errno.EAGAIN)


def holder(descriptor: int) -> int | None:
    """The pid of another process that holds the file; 0 when it cannot be named, `None` when nobody does."""
    for lock in (_NAMED, _KEPT):
        answer = struct.unpack(_LAYOUT, fcntl.fcntl(descriptor, fcntl.F_GETLK, lock))
        if answer[_TYPE] != fcntl.F_UNLCK:
            return max(0, int(answer[_PID]))
    return None


def _keep(descriptor: int) -> bool:
    """Take the lock that lasts; `False` where there is none. Raises `OSError` when another has it."""
    if _SET_OWN is None:
        return False
    try:
        fcntl.fcntl(descriptor, _SET_OWN, _KEPT)
    except OSError as error:
        if error.errno == errno.EINVAL:  # a file system that does not know this kind of lock
            return False
        raise
    return True
