"""A lock file: who has it open and locked owns what it stands for."""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from pathlib import Path

from engine.errors import OwnershipLost, StoreError
from engine.ownership import record_lock
from engine.ownership.claim import CLOSED, RESTART, in_use, owner_named
from engine.store import cause, held_by

_TRIES = 100
TOKEN = 32  # bytes at the beginning of the file


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
            record_lock.take_again(self.descriptor)
            is_unchanged = os.pread(self.descriptor, TOKEN, 0) == self._token
        except OSError as error:
            if not record_lock.is_taken(error):
                raise OwnershipLost(f"The lock file {self.path} cannot be locked: {error.strerror}.") from None
            owner = owner_named(record_lock.holder(self.descriptor) or None)
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
                record_lock.take(self.descriptor)
                return
            except OSError as error:
                if not record_lock.is_taken(error):
                    raise StoreError(f"{self.path} cannot be locked: {cause(error)}.") from error
            holder = record_lock.holder(self.descriptor)
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
