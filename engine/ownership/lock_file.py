"""A file that is there to be locked, and that nothing else has to open."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engine.errors import OwnershipLost, StoreError
from engine.ownership import record_lock
from engine.ownership.claim import CLOSED, RESTART, in_use
from engine.store import cause, held_by

_TRIES = 100


class LockFile:
    """An open lock file, made (0600) if need be.

    No second one of a process may have the same file: closing it would drop the POSIX locks of the first. Raises
    `StoreError` when it cannot be opened, the `OSError` being its cause.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = os.fspath(path)  # looked at before each call
        self.descriptor = _opened(path)
        self._identity = held_by(self.descriptor)

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

    def take(self, at: int, what: str) -> None:
        """Lock it at that byte. Raises `StoreInUse` with the pid of who has it, else `StoreError`."""
        for _ in range(_TRIES):  # an owner that ends between our try and our question leaves nobody to name
            try:
                record_lock.take(self.descriptor, at)
                return
            except OSError as error:
                if not record_lock.is_taken(error):
                    raise StoreError(f"{self.path} cannot be locked: {cause(error)}.") from error
            holder = record_lock.holder(self.descriptor, at)
            if holder is not None:
                raise in_use(what, holder or None)
        raise in_use(what, None)

    def share(self, at: int, group: int, what: str) -> None:
        """Lock it at that byte together with others who do, and so the byte `group`. Raises as `take` does."""
        try:
            record_lock.share(self.descriptor, at, group)
        except OSError as error:
            if not record_lock.is_taken(error):
                raise StoreError(f"{self.path} cannot be locked: {cause(error)}.") from error
            raise in_use(what, record_lock.holder(self.descriptor, at) or None) from None

    def close(self) -> None:
        """Close the descriptor, unless its number is some other file's by now."""
        if held_by(self.descriptor) == self._identity:
            os.close(self.descriptor)


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
