"""Where a running service listens for this user's programs: a Unix socket in its state directory."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

from engine.ownership.local_socket import SOCKET_NAME, peer_user, socket_address
from engine.web.protocol import PatientProtocol

END_PATIENCE = 1.0  # seconds that a client which does not read gets at the end


class LocalProtocol(PatientProtocol):
    """The connection of one program of this user; another user's, root's too, is closed before it has said anything."""

    def connection_made(self, transport: Any) -> None:
        """A program has connected."""
        super().connection_made(transport)
        try:
            is_ours = peer_user(transport.get_extra_info("socket")) == os.getuid()
        except OSError:
            is_ours = False
        if not is_ours:
            transport.abort()

    def shutdown(self) -> None:
        """The service ends: a program that does not read what it asked for does not hold it up."""
        super().shutdown()
        self.loop.call_later(END_PATIENCE, self._abort_unread)

    def _abort_unread(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()


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
