"""Where a service is reached: on a state directory of this user, or at another node's address."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from engine.errors import EngineError, EngineStopped, StoreInUse
from engine.ownership import owner_pid
from engine.ownership.local_socket import connected

CONNECT_WITHIN = 2.0  # seconds

_START = "start 'kraken-engine serve', or call serve() on the engine of your program"
_NOBODY = f"No service runs on the state directory {{directory}}: {_START}."
_GONE = f"The service on the state directory {{directory}} has stopped, and nothing was sent: {_START}."
_NOT_SERVED = (
    "The state directory {directory} is in use by process {pid}, which does not serve it: call serve() on its engine, "
    "or start 'kraken-engine serve' in its place."
)


class Place(Protocol):
    """A service's address, and what is told when it is not there. Any thread."""

    @property
    def name(self) -> str:
        """The service, in words."""
        ...

    @property
    def host(self) -> str:
        """The ``Host`` of a request."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with every question."""
        ...

    @property
    def repeats(self) -> bool:
        """Whether a question whose answer is lost may be asked again, where that can do no harm."""
        ...

    @property
    def is_direct(self) -> bool:
        """Whether no proxy can stand in between."""
        ...

    def connected(self, within: float) -> socket.socket:
        """A connection, in so many seconds. Raises `OSError` when nobody is there."""
        ...

    def absent(self, *, was_there: bool) -> EngineError:
        """Why nothing was sent: nobody is there. `was_there`: it has answered before."""
        ...


class Directory:
    """The service on a state directory of this user, by its Unix socket."""

    host, repeats, is_direct = "localhost", True, True
    headers: Mapping[str, str] = {}

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def name(self) -> str:
        """The service, in words."""
        return f"The service on the state directory {self.directory}"

    def connected(self, within: float) -> socket.socket:
        """A connection. Raises `OSError` when nobody listens, and `StoreError` when another user does."""
        return connected(self.directory, within)

    def look(self) -> None:
        """Raise what `absent` tells when nobody listens, and `StoreError` when another user does."""
        try:
            self.connected(CONNECT_WITHIN).close()
        except OSError:
            raise self.absent(was_there=False) from None

    def absent(self, *, was_there: bool) -> EngineError:
        """`StoreInUse` when an engine has the directory and does not serve it, else `EngineStopped`."""
        pid = owner_pid(self.directory)
        if pid is not None:
            told = _NOT_SERVED.format(directory=self.directory, pid=pid or "that cannot be named")
            return StoreInUse(told, pid or None)
        return EngineStopped((_GONE if was_there else _NOBODY).format(directory=self.directory))
