"""What an engine holds so that no second one takes the same: lock files and abstract Unix sockets.

The kernel frees all of it when the owner dies, however it dies. A claim is not only taken: `verify` looks whether it is
still held, since other code of the process may have closed its descriptor, and others may have replaced its file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.errors import OwnershipLost, StoreError, StoreInUse
from engine.store import held_by

_guard = threading.RLock()
_locked_here: dict[str, FileLock] = {}
_open_sockets: set[SocketClaim] = set()

# struct flock: (format, index of l_type, index of l_start, index of l_len, index of l_pid)
_FLOCK = ("qqihh", 3, 0, 1, 2) if sys.platform == "darwin" else ("hhqqi", 0, 2, 3, 4)
_SET_OWN: int | None = getattr(fcntl, "F_OFD_SETLK", None)

_NAMED, _KEPT = 0, 1  # the bytes of a lock file: the lock that names its pid, and the one that no other close drops
_LISTENS_WITHIN = 0.1  # seconds between the binding of a name and listening on it, at most

Warn = Callable[[str, str], None]


class Claim(Protocol):
    """Something held until it is released."""

    def verify(self) -> None:
        """Raise `OwnershipLost` when it is not held any more."""
        ...

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        ...


class FileLock:
    """A lock on a file that nothing else has to open.

    Two locks in fact. The POSIX one tells others our pid, but is lost when any other descriptor of the file is closed
    in this process, as copying the directory does. The other belongs to our descriptor (Linux only) and is not. Both
    are taken again by `verify`; a token in the file shows whether another owner has been there meanwhile.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
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
        if held_by(self._descriptor) != self._identity:
            raise OwnershipLost(_CLOSED)
        try:
            found = os.lstat(self._path)
        except OSError as error:
            raise OwnershipLost(f"The lock file {self._path} is gone ({error.strerror}). {_RESTART}") from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise OwnershipLost(f"The lock file {self._path} was replaced by another one. {_RESTART}")

    def verify(self) -> None:
        """Raise `OwnershipLost` when the lock is not ours any more, or was another's meanwhile."""
        self.check()
        try:
            _take_again(self._descriptor)
            is_unchanged = os.pread(self._descriptor, len(self._token) + 1, 0) == self._token
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise OwnershipLost(f"The lock file {self._path} cannot be locked: {error.strerror}.") from None
            owner = _owner(_holder_pid(self._descriptor) or None)
            raise OwnershipLost(f"{self._what} by {owner} now. {_RESTART}") from None
        if not is_unchanged:
            raise OwnershipLost(f"{self._what}, or was, by another engine since this one took it. {_RESTART}")

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


class KeyFile:
    """A lock file in a directory for that, where cleaners of temporary files may come by: it is then made anew."""

    def __init__(self, place: Path, key_id: str, what: str) -> None:
        self._place, self._key_id, self._what = place, key_id, what
        self._lock = self._taken()

    def verify(self) -> None:
        """Raise `OwnershipLost` when another engine has the key."""
        try:
            self._lock.verify()
        except OwnershipLost:
            with _guard:
                self._lock.release()
                try:
                    self._lock = self._taken()
                except StoreInUse as error:
                    raise OwnershipLost(str(error)) from None
                except StoreError as error:  # the directory is gone as well: the socket still claims the key
                    raise OwnershipLost(f"The claim of an API key is lost: {error}") from None

    def release(self) -> None:
        """Unlock; a second call does nothing."""
        self._lock.release()

    def _taken(self) -> FileLock:
        return FileLock(_private_directory(self._place) / f"{self._key_id}.lock", self._what)


class SocketClaim:
    """An abstract Unix socket (Linux): the kernel lets one bind the name, and says who did.

    Anybody on the machine may bind a name, so one that another user holds claims nothing: `warn` is told, and the lock
    files alone guard then. Root's count, as root may use every file.
    """

    def __init__(self, name: str, what: str, kind: str, warn: Warn) -> None:
        address = f"\0kraken-engine/{kind}/{name}"
        try:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        except OSError as error:
            raise StoreError(f"{what}, or cannot be claimed: {error.strerror}.") from None
        self._identity = held_by(self._socket.fileno())
        try:
            self._socket.bind(address)
            self._socket.listen(4096)  # never accepted: a refused engine connects once, to learn our pid
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                self._socket.close()
                raise StoreError(f"{what}, or cannot be claimed: {error.strerror}.") from error
            try:
                self._yield_to_ours(address, what, kind, warn)
            except BaseException:
                self._socket.close()
                raise
        with _guard:
            _open_sockets.add(self)

    @staticmethod
    def _yield_to_ours(address: str, what: str, kind: str, warn: Warn) -> None:
        """Raise `StoreInUse` when the name is held by this user or by root."""
        holder = _listener(address)
        if holder is not None and holder[1] in (os.getuid(), 0):
            raise in_use(what, holder[0] or None)
        owner = "a process that does not answer" if holder is None else f"process {holder[0]} of user {holder[1]}"
        warn("claim-taken", f"The name by which engines see that a {kind} is in use is held by {owner}. The lock files "
             "guard it all the same, among the engines that share them.")  # fmt: skip

    def verify(self) -> None:
        """Raise `OwnershipLost` when the descriptor is not ours any more."""
        if held_by(self._socket.fileno()) != self._identity:
            raise OwnershipLost(_CLOSED)

    def release(self) -> None:
        """Free the name; a second call does nothing."""
        with _guard:
            _open_sockets.discard(self)
            self.close()

    def close(self) -> None:
        """Close the socket, unless its descriptor's number is some other file's by now."""
        if held_by(self._socket.fileno()) == self._identity:
            self._socket.close()
        else:
            self._socket.detach()


def places_of_keys(directory: Path) -> list[Path]:
    """Where the engines of this user claim API keys: a directory of this machine, and one beside the state directory.

    The second is what containers share whose state directories are side by side on one volume; they do not see each
    other's abstract sockets.
    """
    name = f"kraken-engine-keys-{os.getuid()}"
    return list(dict.fromkeys((runtime_directory() / name, directory.parent / name)))


def runtime_directory() -> Path:
    """A directory of this machine, for what all engines of this user share."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    usual = f"/run/user/{os.getuid()}"
    return Path(next((each for each in (given, usual) if os.path.isabs(each) and os.path.isdir(each)), _temporary()))


def _temporary() -> str:
    """A directory that all processes of the user share; on macOS every user has one of his own."""
    return os.environ.get("TMPDIR", "/tmp") if sys.platform == "darwin" else "/tmp"  # noqa: S108


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


def in_use(what: str, pid: int | None) -> StoreInUse:
    """The error for whoever comes second."""
    return StoreInUse(f"{what} by {_owner(pid)}: stop that engine, or use another state directory and key.", pid)


def _owner(pid: int | None) -> str:
    if pid == os.getpid():
        return f"this process ({pid})"
    return "another process" if pid is None else f"process {pid}"


_RESTART = "Nothing more is sent or written: restart the engine."
_CLOSED = f"Other code of this process has closed the engine's files, with their lock. {_RESTART}"


def _private_directory(path: Path) -> Path:
    """A directory of this user for lock files, made if need be. Raises `StoreError` for one that is another's."""
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
    except OSError as error:
        raise StoreError(f"{path} cannot be made: {error.strerror}.") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StoreError(f"{path} is not a directory of this user alone.")
    return path


def _locked(path: Path, what: str) -> int:
    """A descriptor of the file, with both locks."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be opened: {error.strerror}.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StoreError(f"The lock file {path} is no regular file: move it away.")
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


def _question(byte: int) -> bytes:
    layout, type_at, start_at, length_at, _ = _FLOCK
    fields = [0] * 5
    fields[type_at], fields[start_at], fields[length_at] = fcntl.F_WRLCK, byte, 1
    return struct.pack(layout, *fields)


def _holder_pid(descriptor: int) -> int | None:
    """The pid that holds the lock (0 when it cannot be named from here), `None` when nobody does."""
    layout, type_at, _, _, pid_at = _FLOCK
    for byte in (_NAMED, _KEPT):
        answer = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, _question(byte)))
        if answer[type_at] != fcntl.F_UNLCK:
            return max(0, int(answer[pid_at]))
    return None


def _listener(address: str) -> tuple[int, int] | None:
    """Pid and user of the process that listens on a name; `None` when none does that answers."""
    patience = time.monotonic() + _LISTENS_WITHIN
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.setblocking(False)
        while True:
            try:
                asker.connect(address)
                credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            except OSError:
                if time.monotonic() >= patience:
                    return None
                time.sleep(_LISTENS_WITHIN / 20)
            else:
                pid, user, _ = struct.unpack("3i", credentials)
                return int(pid), int(user)


def _forget_after_fork() -> None:
    """A forked child owns nothing: the locks stayed behind, and it must not keep a dead parent's alive."""
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()
    inherited: tuple[FileLock | SocketClaim, ...] = (*_locked_here.values(), *_open_sockets)
    for claim in inherited:
        claim.close()
    _locked_here.clear()
    _open_sockets.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
