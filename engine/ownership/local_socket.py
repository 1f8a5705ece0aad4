"""The Unix socket of a service in its state directory: its address, whether anybody listens, and who does."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from engine.errors import StoreError

SOCKET_NAME = "serve.sock"
LONGEST = 100  # bytes of a path that a socket's address takes everywhere
LOOK = 0.5  # seconds for the question whether anybody listens
PAUSE = 0.005  # seconds between two tries while the listener's queue is full

_MAC_CREDENTIALS = 76  # bytes of macOS's `struct xucred`: version, user, number of groups, 16 groups
_OTHERS = "The socket {path} is served by another user ({user}), so nothing was sent: name a state directory of yours."


@contextlib.contextmanager
def socket_address(directory: Path) -> Iterator[str]:
    """The address of the socket in a state directory, valid inside the block, however long the path is.

    Raises `OSError`, also for a path that is too long where there is no way around that.
    """
    path = str(directory / SOCKET_NAME)
    if len(os.fsencode(path)) <= LONGEST or not sys.platform.startswith("linux"):
        yield path
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET_NAME}"
    finally:
        os.close(descriptor)


def connected(directory: Path, timeout: float) -> socket.socket:
    """A connection to the service on a state directory.

    Raises `OSError` when nobody listens, or nobody accepts within `timeout` seconds, and `StoreError` when another user
    does: what is told to such a service is not told to this user's engine.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.settimeout(timeout)
        _connect(made, directory, timeout)
        user = peer_user(made)
        if user != os.getuid():
            raise StoreError(_OTHERS.format(path=directory / SOCKET_NAME, user=user))
    except BaseException:
        made.close()
        raise
    return made


def is_served(directory: Path) -> bool:
    """Whether a service of this user listens in a state directory."""
    try:
        connected(directory, LOOK).close()
    except (OSError, StoreError):
        return False
    return True


def peer_user(connection: socket.socket) -> int:
    """The user at the other end of a Unix socket, as the kernel knows it. Raises `OSError`."""
    if hasattr(socket, "SO_PEERCRED"):
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
        return int(struct.unpack("iII", told)[1])
    told = connection.getsockopt(0, getattr(socket, "LOCAL_PEERCRED", 1), _MAC_CREDENTIALS)
    return int(struct.unpack_from("II", told)[1])


def _connect(made: socket.socket, directory: Path, timeout: float) -> None:
    """A full queue of the listener's refuses at once, whatever the timeout is."""
    deadline = time.monotonic() + timeout
    with socket_address(directory) as address:
        while True:
            try:
                made.connect(address)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(PAUSE)
            else:
                return
