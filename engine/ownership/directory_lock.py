"""The lock of a state directory."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from engine.ownership.claim import in_use
from engine.ownership.lock_file import LockFile, holder_of

_guard = threading.RLock()
_held_here: dict[str, LockFile] = {}


class DirectoryLock:
    """The hold of one engine on the lock file of its state directory. Raises as `LockFile` does.

    `check` is the cheap part of `verify`: whether the file is still the one that was locked. Both raise
    `OwnershipLost`.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._name = os.path.realpath(path)
        with _guard:
            if self._name in _held_here:
                raise in_use(what, os.getpid())
            self._file = _held_here[self._name] = LockFile(path, what)
        self.check, self.verify = self._file.check, self._file.verify

    def release(self) -> None:
        """Unlock; a second call does nothing."""
        with _guard:
            if _held_here.get(self._name) is self._file:
                del _held_here[self._name]
                self._file.close()


def owner_of(path: Path) -> int | None:
    """The process that holds a lock file now; `None` when nobody does, 0 when it cannot be named."""
    with _guard:
        if os.path.realpath(path) in _held_here:
            return os.getpid()  # and the file is not opened: closing it again would lose the lock
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return holder_of(descriptor)
        finally:
            os.close(descriptor)


def _forget_after_fork() -> None:
    """A forked child owns nothing."""
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()
    for file in _held_here.values():
        file.close()
    _held_here.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
