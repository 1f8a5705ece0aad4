"""Where a running service's Unix socket is."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

SOCKET_NAME = "serve.sock"
LONGEST = 100  # bytes of a path that a socket's address takes everywhere


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


def listen(directory: Path) -> socket.socket:
    """The service's socket, 0600, in place of one that a killed service left. The caller owns the directory."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory / SOCKET_NAME)
        with socket_address(directory) as address:
            made.bind(address)
        os.chmod(directory / SOCKET_NAME, 0o600)  # before it listens, and nobody else enters the directory anyway
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made
