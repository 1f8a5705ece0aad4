"""A lock on a file, which the kernel frees when its owner dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import struct
import sys
import threading
import uuid
from collections.abc import Iterable
from pathlib import Path

from engine.errors import OwnershipLost, StoreError
from engine.ownership.claim import CLOSED, RESTART, in_use, owner_named
from engine.store import held_by

_guard = threading.RLock()
_locked_here: dict[str, FileLock | SharedLock] = {}

# struct flock: (format, index of l_type, index of l_start, index of l_len, index of l_pid)
_FLOCK = ("qqihh", 3, 0, 1, 2) if sys.platform == "darwin" else ("hhqqi", 0, 2, 3, 4)
_SET_OWN: int | None = getattr(fcntl, "F_OFD_SETLK", None)

_NAMED, _KEPT = 0, 1  # the bytes of a lock file: the lock that names its pid, and the one that no other close drops
_FIRST_OF_GROUPS = 16  # the bytes from here on are those of groups that share a lock


class FileLock:
    """A lock on a file that nothing else may open.

    Two locks in fact. The POSIX one tells others our pid, but is lost when any other descriptor of the file is closed
    in this process, as copying the directory does. The other belongs to our descriptor (Linux only) and is not. Both
    are taken again by `verify`; a token in the file shows whether another owner has been there meanwhile.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._place = os.fspath(path)  # looked at before each call
        self._name = os.path.realpath(path)
        with _guard:
            if self._name in _locked_here:
                raise in_use(what, os.getpid())
            self._descriptor = _locked(path, what)
            self._identity = held_by(self._descriptor)
            self._token = _leave_token(self._descriptor)
            _locked_here[self._name] = self

    def check(self) -> None:
        """The cheap part of `verify`: whether our descriptor and the path are still the file that was locked."""
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            raise OwnershipLost(CLOSED) from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise OwnershipLost(CLOSED)
        try:
            found = os.lstat(self._place)
        except OSError as error:
            raise OwnershipLost(f"The lock file {self._path} is gone ({error.strerror}). {RESTART}") from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise OwnershipLost(f"The lock file {self._path} was replaced by another one. {RESTART}")

    def verify(self) -> None:
        """Raise `OwnershipLost` when the lock is not ours any more, or was another's meanwhile."""
        self.check()
        try:
            _take_again(self._descriptor)
            is_unchanged = os.pread(self._descriptor, len(self._token) + 1, 0) == self._token
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise OwnershipLost(f"The lock file {self._path} cannot be locked: {error.strerror}.") from None
            owner = owner_named(_holder_pid(self._descriptor) or None)
            raise OwnershipLost(f"{self._what} by {owner} now. {RESTART}") from None
        if not is_unchanged:
            raise OwnershipLost(f"{self._what}, or was, by another engine since this one took it. {RESTART}")

    def release(self) -> None:
        """Unlock; a second call does nothing."""
        with _guard:
            if _locked_here.get(self._name) is self:
                del _locked_here[self._name]
                self.close()

    def close(self) -> None:
        """Close the descriptor, unless its number is some other file's by now."""
        if held_by(self._descriptor) == self._identity:
            os.close(self._descriptor)


class SharedLock:
    """The same file, locked together by those who name the same group; it keeps out every `FileLock` and other groups.

    A process that stands still keeps it, and the others of its group come in all the same. `shared_lock` gives it: the
    holders in one process have one.
    """

    def __init__(self, path: Path, what: str, group: str) -> None:
        self.group, self.holders = group, 0
        self._path, self._what, self._name = path, what, os.path.realpath(path)
        self._byte = _FIRST_OF_GROUPS + int.from_bytes(hashlib.sha256(group.encode()).digest()[:7], "big")
        self._descriptor = self._locked()
        self._identity = held_by(self._descriptor)

    def verify(self) -> None:
        """Take the lock of the file that is there now, when another was removed. Raises `OwnershipLost`."""
        with contextlib.suppress(OSError):
            found = os.lstat(self._path)
            if (found.st_dev, found.st_ino) == self._identity == held_by(self._descriptor):
                return
        self.close()
        try:
            self._descriptor = self._locked()
        except StoreError as error:
            raise OwnershipLost(str(error)) from None
        self._identity = held_by(self._descriptor)

    def release(self) -> None:
        """One holder less; the last one unlocks it."""
        with _guard:
            self.holders -= 1
            if not self.holders and _locked_here.get(self._name) is self:
                del _locked_here[self._name]
                self.close()

    def close(self) -> None:
        """Close the descriptor, unless its number is some other file's by now."""
        if held_by(self._descriptor) == self._identity:
            os.close(self._descriptor)

    def _locked(self) -> int:
        descriptor = _opened(self._path)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, _NAMED)
            for byte in (_KEPT, self._byte):
                fcntl.fcntl(descriptor, _SET_OWN or fcntl.F_SETLK, _question(byte, kind=fcntl.F_RDLCK))
            self._keep_out_other_groups(descriptor)
            return descriptor
        except OSError as error:
            holder = _holder_pid(descriptor)
            os.close(descriptor)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise StoreError(f"{self._path} cannot be locked: {error.strerror}.") from error
            raise in_use(self._what, holder or None) from None
        except StoreError:
            os.close(descriptor)
            raise

    def _keep_out_other_groups(self, descriptor: int) -> None:
        """Whoever locks its byte later than another sees that one's, and of two at the same moment none gets in."""
        before, behind = (_FIRST_OF_GROUPS - 1, self._byte - _FIRST_OF_GROUPS + 1), (self._byte + 1, 0)  # 0: to the end
        other = _holder_pid(descriptor, (before, behind))
        if other is not None:
            raise in_use(f"{self._what} in another cluster", other or None)


def shared_lock(path: Path, what: str, group: str) -> SharedLock:
    """The lock of a group, with one holder more. Raises `StoreInUse` when others have the file, else `StoreError`."""
    with _guard:
        name = os.path.realpath(path)
        held = _locked_here.get(name) or SharedLock(path, what, group)
        if not isinstance(held, SharedLock) or held.group != group:
            raise in_use(what, os.getpid())
        _locked_here[name] = held
        held.holders += 1
        return held


def holder_of(path: Path) -> int | None:
    """The process that holds a lock file now; `None` when nobody does, 0 when it cannot be named."""
    with _guard:
        if os.path.realpath(path) in _locked_here:
            return os.getpid()  # and the file is not opened: closing it again would lose the lock
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return _holder_pid(descriptor)
        finally:
            os.close(descriptor)


def _locked(path: Path, what: str) -> int:
    """A descriptor of the file, with both locks."""
    descriptor = _opened(path)
    try:
        # An owner that ends between our try and our question leaves nobody to name: try again.
        for _ in range(100):
            try:
                _take(descriptor)
                return descriptor
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise StoreError(f"{path} cannot be locked: {error.strerror}.") from error
            holder = _holder_pid(descriptor)
            if holder is not None:
                raise in_use(what, holder or None)
        raise in_use(what, None)
    except BaseException:
        os.close(descriptor)
        raise


def _opened(path: Path) -> int:
    """A descriptor of a lock file, which is made if need be."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be opened: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise StoreError(f"The lock file {path} is not a regular file: move it away.")
    return descriptor


def _take(descriptor: int) -> None:
    """Take both locks, the one that names us first: whoever is refused by it knows our pid. Raises `OSError`."""
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _NAMED)
    _keep(descriptor)


def _take_again(descriptor: int) -> None:
    """Take what was dropped. Raises `OSError` when the lock that lasts is another's now."""
    if not _keep(descriptor):
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _NAMED)
        return
    with contextlib.suppress(BlockingIOError, PermissionError):  # one who tries has it for a moment, and not both
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _NAMED)


def _keep(descriptor: int) -> bool:
    """Take the lock that lasts; `False` where there is none. Raises `OSError` when another has it."""
    if _SET_OWN is None:
        return False
    try:
        fcntl.fcntl(descriptor, _SET_OWN, _question(_KEPT))
    except OSError as error:
        if error.errno == errno.EINVAL:  # a file system that does not know this kind of lock
            return False
        raise
    return True


def _leave_token(descriptor: int) -> bytes:
    """Write down who came last; on a full disk what the file had stays, and counts as well."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, uuid.uuid4().hex.encode(), 0)
    return os.pread(descriptor, 64, 0)


def _question(byte: int, length: int = 1, kind: int = fcntl.F_WRLCK) -> bytes:
    layout, type_at, start_at, length_at, _ = _FLOCK
    fields = [0] * 5
    fields[type_at], fields[start_at], fields[length_at] = kind, byte, length
    return struct.pack(layout, *fields)


def _holder_pid(descriptor: int, ranges: Iterable[tuple[int, int]] = ((_NAMED, 1), (_KEPT, 1))) -> int | None:
    """The pid that holds a lock there (0 when it cannot be named from here), `None` when nobody does."""
    layout, type_at, _, _, pid_at = _FLOCK
    for byte, length in ranges:
        answer = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, _question(byte, length)))
        if answer[type_at] != fcntl.F_UNLCK:
            return max(0, int(answer[pid_at]))
    return None


def _forget_after_fork() -> None:
    """A forked child owns nothing: the locks stayed with the parent."""
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()
    for lock in _locked_here.values():
        lock.close()
    _locked_here.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
