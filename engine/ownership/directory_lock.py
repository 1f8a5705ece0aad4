"""The lock file of a state directory."""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from pathlib import Path

from engine.errors import OwnershipLost
from engine.ownership import record_lock
from engine.ownership.claim import RESTART, in_use, owner_named
from engine.ownership.lock_file import LockFile

_AT = 0  # the first byte of the lock

_guard = threading.RLock()
_held_here: dict[str, DirectoryLock] = {}


class DirectoryLock:
    """The hold of one engine on a lock file. A token in the file shows whether another has had it meanwhile.

    Raises `StoreInUse` when another has it, with the owner's pid, and `StoreError` when it cannot be locked.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._what, self._name = what, os.path.realpath(path)
        with _guard:
            if self._name in _held_here:
                raise in_use(what, os.getpid())
            self._file = _locked(path, what)
            self.check = self._file.check
            """The cheap part of `verify`: whether the file is still the one that was locked."""
            self._token = _leave_token(self._file.descriptor)
            _held_here[self._name] = self

    def verify(self) -> None:
        """Raise `OwnershipLost` when the lock is not ours any more, or was another's meanwhile."""
        file = self._file
        file.check()
        try:
            record_lock.take_again(file.descriptor, _AT)
            is_unchanged = os.pread(file.descriptor, len(self._token) + 1, 0) == self._token
        except OSError as error:
            if not record_lock.is_taken(error):
                raise OwnershipLost(f"The lock file {file.path} cannot be locked: {error.strerror}.") from None
            owner = owner_named(record_lock.holder(file.descriptor, _AT) or None)
            raise OwnershipLost(f"{self._what} by {owner} now. {RESTART}") from None
        if not is_unchanged:
            raise OwnershipLost(f"{self._what}, or was, by another engine since this one took it. {RESTART}")

    def release(self) -> None:
        """Unlock; a second call does nothing."""
        with _guard:
            if _held_here.get(self._name) is self:
                del _held_here[self._name]
                self.close()

    def close(self) -> None:
        """Close the file, which unlocks it unless a parent of this process has it open."""
        self._file.close()


def holder_of(path: Path) -> int | None:
    """The process that holds a lock file now; `None` when nobody does, 0 when it cannot be named."""
    with _guard:
        if os.path.realpath(path) in _held_here:
            return os.getpid()  # and the file is not opened: closing it again would lose the lock
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return record_lock.holder(descriptor, _AT)
        finally:
            os.close(descriptor)


def _locked(path: Path, what: str) -> LockFile:
    file = LockFile(path)
    try:
        file.take(_AT, what)
    except BaseException:
        file.close()
        raise
    return file


def _leave_token(descriptor: int) -> bytes:
    """Write down who came last; on a full disk what the file had stays, and counts as well."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, uuid.uuid4().hex.encode(), 0)
    return os.pread(descriptor, 64, 0)


def _forget_after_fork() -> None:
    """A forked child owns nothing."""
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()
    for lock in _held_here.values():
        lock.close()
    _held_here.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
