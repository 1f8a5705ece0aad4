"""Who owns a state directory and an API key (promise G2): at most one engine on the machine.

A directory is owned through a POSIX lock on ``owner.lock`` plus a set of this process's locks, because such a lock does
not exclude within one process and is lost when any other descriptor of the file is closed: nothing else may open it.
On Linux the directory is claimed by its inode as well, for the case that somebody deletes the file. The kernel frees
everything when the owner dies, however it dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from engine.errors import StoreError, StoreInUse
from engine.store import prepare_directory

LOCK_NAME = "owner.lock"

_guard = threading.Lock()
_locked_here: dict[str, int] = {}
_open_sockets: set[socket.socket] = set()

# struct flock: (format, index of l_type, index of l_pid)
_FLOCK = ("qqihh", 3, 2) if sys.platform == "darwin" else ("hhqqi", 0, 4)


class Claim(Protocol):
    """Something held until it is released."""

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        ...


class Ownership:
    """The hold of one engine on its state directory and its API keys.

    `Ownership(directory, keys)` raises `StoreInUse` with the owner's pid in well under a second when another engine, in
    this process or another, holds the directory or one of the keys; nothing is held then.
    """

    def __init__(self, directory: Path, keys: Iterable[tuple[str, str]] = ()) -> None:
        self.directory = prepare_directory(directory)
        self._claims: dict[str, Claim] = {}
        try:
            self._claims[""] = FileLock(
                self.directory / LOCK_NAME, f"The state directory {self.directory} is in use"
            )
            if sys.platform.startswith("linux"):  # a lock file that somebody deletes guards nothing any more
                found = os.stat(self.directory)
                self._claims["directory"] = SocketClaim(
                    f"{found.st_dev}-{found.st_ino}", f"The state directory {self.directory} is in use", "directory"
                )
            for account, key_id in keys:
                self.claim_key(account, key_id)
        except BaseException:
            self.release()
            raise

    def claim_key(self, account: str, key_id: str) -> None:
        """Take an API key, named by its hash, for this engine; raises `StoreInUse`."""
        make: Callable[[str, str], Claim] = (
            SocketClaim if sys.platform.startswith("linux") else _key_file
        )
        self._claims[key_id] = make(key_id, f"The API key of account {account} is in use")

    def release_key(self, key_id: str) -> None:
        """Give one key back."""
        claim = self._claims.pop(key_id, None)
        if claim is not None:
            claim.release()

    def release(self) -> None:
        """Give everything back, the directory last; a second call does nothing."""
        while self._claims:
            self._claims.popitem()[1].release()


def owner_pid(directory: Path) -> int | None:
    """The process that owns a state directory now; `None` when nobody does, 0 when it cannot be named."""
    path = directory / LOCK_NAME
    with _guard:
        if os.path.realpath(path) in _locked_here:
            return os.getpid()  # and the file is not opened: closing it again would lose the lock
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return _holder_pid(descriptor)
        finally:
            os.close(descriptor)


class FileLock:
    """A POSIX lock on a file that nothing else opens."""

    def __init__(self, path: Path, what: str) -> None:
        self._name = os.path.realpath(path)
        with _guard:
            if self._name in _locked_here:
                raise _in_use(what, os.getpid())
            self._descriptor = _lock(path, what)
            _locked_here[self._name] = self._descriptor

    def release(self) -> None:
        """Unlock; a second call does nothing."""
        with _guard:
            if _locked_here.get(self._name) == self._descriptor:
                del _locked_here[self._name]
                os.close(self._descriptor)


class SocketClaim:
    """An abstract Unix socket (Linux): the kernel lets one bind the name, and says who did."""

    def __init__(self, name: str, what: str, kind: str = "key") -> None:
        address = f"\0kraken-engine/{kind}/{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(address)
            self._socket.listen(4096)  # never accepted: a refused engine connects once, to learn our pid
        except OSError as error:
            self._socket.close()
            if error.errno == errno.EADDRINUSE:
                raise _in_use(what, _listener_pid(address)) from None
            raise StoreError(f"{what}, or cannot be claimed: {error.strerror}.") from error
        with _guard:
            _open_sockets.add(self._socket)

    def release(self) -> None:
        """Free the name; a second call does nothing."""
        with _guard:
            _open_sockets.discard(self._socket)
        self._socket.close()


def _key_file(key_id: str, what: str) -> Claim:
    directory = prepare_directory(Path(tempfile.gettempdir()) / f"kraken-engine-keys-{os.getuid()}")
    return FileLock(directory / f"{key_id}.lock", what)


def _lock(path: Path, what: str) -> int:
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be opened: {error.strerror}.") from error
    try:
        # An owner that ends between our try and our question leaves nobody to name: try again.
        for _ in range(100):
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EAGAIN):
                    raise StoreError(f"{path} cannot be locked: {error.strerror}.") from error
            holder = _holder_pid(descriptor)
            if holder is not None:
                raise _in_use(what, holder or None)
        raise _in_use(what, None)
    except BaseException:
        os.close(descriptor)
        raise


def _holder_pid(descriptor: int) -> int | None:
    """The pid that holds the lock (0 when it lives in another pid namespace), `None` when nobody does."""
    layout, type_at, pid_at = _FLOCK
    question = [0] * 5
    question[type_at] = fcntl.F_WRLCK
    answer = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, *question)))
    return None if answer[type_at] == fcntl.F_UNLCK else int(answer[pid_at])


def _listener_pid(address: str) -> int | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asker:
        asker.setblocking(False)
        try:
            asker.connect(address)
            credentials = asker.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        except OSError:
            return None
        return int(struct.unpack("3i", credentials)[0]) or None


def _in_use(what: str, pid: int | None) -> StoreInUse:
    owner = "another process" if pid is None else f"process {pid}"
    if pid == os.getpid():
        owner = f"this process ({pid})"
    return StoreInUse(f"{what} by {owner}: stop that engine, or use another state directory and key.", pid)


def _forget_after_fork() -> None:
    """A forked child owns nothing: the locks stayed behind, and it must not keep a dead parent's sockets open."""
    global _guard  # noqa: PLW0603
    _guard = threading.Lock()
    for descriptor in _locked_here.values():
        os.close(descriptor)
    for inherited in _open_sockets:
        inherited.close()
    _locked_here.clear()
    _open_sockets.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
