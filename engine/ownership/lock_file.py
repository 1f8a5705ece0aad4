"""A lock file: who has it open and locked owns what it stands for.

The lock is two in fact, on the first two bytes, and the kernel frees both when their process dies. The POSIX one tells
others our pid, but is lost when any other descriptor of the file is closed in this process, as copying the directory
does. The other belongs to our descriptor (Linux only) and is not. Neither keeps out another owner in the same process,
which has to see to that itself.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
import uuid
from pathlib import Path

from engine.errors import OwnershipLost, StoreError
from engine.ownership.claim import CLOSED, RESTART, in_use, owner_named
from engine.store import cause, held_by

_TRIES = 100
TOKEN = 32  # bytes at the beginning of the file

# struct flock: (format, index of l_type, index of l_start, index of l_len, index of l_pid)
_LAYOUT, _TYPE, _START, _LENGTH, _PID = ("qqihh", 3, 0, 1, 2) if sys.platform == "darwin" else ("hhqqi", 0, 2, 3, 4)
_SET_OWN: int | None = getattr(fcntl, "F_OFD_SETLK", None)


def _byte(number: int) -> bytes:
    fields = [0] * 5
    fields[_TYPE], fields[_START], fields[_LENGTH] = fcntl.F_WRLCK, number, 1
    return struct.pack(_LAYOUT, *fields)


_NAMED, _KEPT = _byte(0), _byte(1)  # the lock that tells the pid, and the one that lasts


class LockFile:
    """A lock file that is open and locked. A token at its beginning shows whether another has had it meanwhile.

    It is made (0600) if need be. No second descriptor of it may be opened in the process: closing that would drop the
    lock that names us. `what` begins the sentence of who finds it taken: raises `StoreInUse` with the owner's pid when
    another process has it, else `StoreError`, whose cause is the `OSError`.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path, self._what = path, what
        self._place = os.fspath(path)  # looked at before each call
        self.descriptor = _opened(path)
        self._identity = held_by(self.descriptor)
        try:
            self._lock()
        except BaseException:
            self.close()
            raise
        self._token = _leave_token(self.descriptor)

    def check(self) -> None:
        """Raise `OwnershipLost` unless our descriptor and the path are still the file that was opened."""
        try:
            found = os.fstat(self.descriptor)
        except OSError:
            raise OwnershipLost(CLOSED) from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise OwnershipLost(CLOSED)
        try:
            found = os.lstat(self._place)
        except OSError as error:
            raise OwnershipLost(f"The lock file {self.path} is gone ({error.strerror}). {RESTART}") from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise OwnershipLost(f"The lock file {self.path} was replaced by another one. {RESTART}")

    def verify(self) -> None:
        """Raise `OwnershipLost` when the lock is not ours any more, or was another's meanwhile."""
        self.check()
        try:
            _take_again(self.descriptor)
            is_unchanged = os.pread(self.descriptor, TOKEN, 0) == self._token
        except OSError as error:
            if not _is_taken(error):
                raise OwnershipLost(f"The lock file {self.path} cannot be locked: {error.strerror}.") from None
            owner = owner_named(holder_of(self.descriptor) or None)
            raise OwnershipLost(f"{self._what} by {owner} now. {RESTART}") from None
        if not is_unchanged:
            raise OwnershipLost(f"{self._what}, or was, by another engine since this one took it. {RESTART}")

    def close(self) -> None:
        """Close the descriptor, unless its number is some other file's by now; that unlocks the file.

        In a forked child it does not: the lock stays with the parent.
        """
        if held_by(self.descriptor) == self._identity:
            os.close(self.descriptor)

    def _lock(self) -> None:
        for _ in range(_TRIES):  # an owner that ends between our try and our question leaves nobody to name
            try:
                _take(self.descriptor)
                return
            except OSError as error:
                if not _is_taken(error):
                    raise StoreError(f"{self.path} cannot be locked: {cause(error)}.") from error
            holder = holder_of(self.descriptor)
            if holder is not None:
                raise in_use(self._what, holder or None)
        raise in_use(self._what, None)


def _opened(path: Path) -> int:
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be opened: {cause(error)}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"The lock file {path} is not a regular file: move it away.")
    return descriptor


def _leave_token(descriptor: int) -> bytes:
    """Write down who came last; on a full disk what the file had stays, and counts as well."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, uuid.uuid4().hex.encode(), 0)
    return os.pread(descriptor, TOKEN, 0)


def holder_of(descriptor: int) -> int | None:
    """The pid of another process that holds the file; 0 when it cannot be named, `None` when nobody does."""
    for lock in (_NAMED, _KEPT):
        answer = struct.unpack(_LAYOUT, fcntl.fcntl(descriptor, fcntl.F_GETLK, lock))
        if answer[_TYPE] != fcntl.F_UNLCK:
            return max(0, int(answer[_PID]))
    return None


def _take(descriptor: int) -> None:
    """Take both locks, the one that names us first: whoever is refused by it knows our pid. Raises `OSError`."""
    fcntl.fcntl(descriptor, fcntl.F_SETLK, _NAMED)
    _keep(descriptor)


def _take_again(descriptor: int) -> None:
    """Take what was dropped. Raises `OSError` when the lock that lasts is another's now."""
    lasts = _keep(descriptor)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLK, _NAMED)
    except (BlockingIOError, PermissionError):
        if not lasts:  # else another process tries: it has this one for a moment, and never both
            raise


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


def _is_taken(error: OSError) -> bool:
    return error.errno in (errno.EACCES, errno.EAGAIN)
