"""A claim by an abstract Unix socket (Linux)."""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
import threading
import time

from engine.errors import OwnershipLost, StoreError
from engine.ownership.claim import CLOSED, Warn, in_use
from engine.store import cause, held_by, most_files

IS_LINUX = sys.platform.startswith("linux")

_PART = 3  # claims take at most one in so many of the descriptors that this process may have
_LISTENS_WITHIN = 0.1  # seconds between the binding of a name and listening on it, at most

_guard = threading.Lock()
_open_sockets: set[SocketClaim] = set()


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
            raise StoreError(f"{what}, or cannot be claimed: {cause(error)}.") from error
        self._identity = held_by(self._socket.fileno())
        try:
            self._socket.bind(address)
            self._socket.listen(4096)  # never accepted: a refused engine connects once, to learn our pid
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                self._socket.close()
                raise StoreError(f"{what}, or cannot be claimed: {cause(error)}.") from error
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
            raise OwnershipLost(CLOSED)

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


def room() -> int:
    """How many more claims this process has descriptors to spare for."""
    return max(0, most_files() // _PART - len(_open_sockets)) if IS_LINUX else 0


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
    """A forked child owns nothing, and must not keep a dead parent's claims alive."""
    global _guard  # noqa: PLW0603
    _guard = threading.Lock()
    for claim in _open_sockets:
        claim.close()
    _open_sockets.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
