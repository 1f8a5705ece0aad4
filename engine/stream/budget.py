"""How often this machine has connected to a stream: kept in a file, for all engines of the user and over restarts."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from engine.ownership.key_places import runtime_directory
from engine.rules.stream.connections import counted, room, wait


def budget_directory() -> Path:
    """Where the files of all streams are."""
    return runtime_directory() / f"kraken-engine-push-{os.getuid()}"


class ConnectionBudget:
    """The attempts to connect to one stream URL. Belongs to one thread.

    Times are of the machine's monotonic clock, which all processes share; a machine that starts anew begins a new file,
    or counts what is in the old one as if it had just been. Where the file cannot be used, `is_kept` is false, and only
    the attempts of this process count.
    """

    def __init__(self, url: str, directory: Path | None = None) -> None:
        name = hashlib.sha256(url.encode()).hexdigest()[:32]
        self._path = (directory or budget_directory()) / name
        self._own: list[float] = []
        self.is_kept = True

    @property
    def room(self) -> int:
        """How many attempts may be made now."""
        with self._locked() as file:
            return room(self._read(file), time.monotonic())

    @property
    def wait(self) -> float:
        """Seconds until one more may be made."""
        with self._locked() as file:
            return wait(self._read(file), time.monotonic())

    def take(self) -> bool:
        """Count an attempt that is made now; `False`: none may be made."""
        with self._locked() as file:
            now = time.monotonic()
            attempts = counted(self._read(file), now)
            if not room(attempts, now):
                return False
            attempts.append(now)
            self._own = attempts
            if file is not None:
                os.ftruncate(file, os.pwrite(file, "".join(f"{each!r}\n" for each in attempts).encode(), 0))
            return True

    def _read(self, file: int | None) -> list[float]:
        if file is None:
            return self._own
        lines = os.pread(file, 1 << 16, 0).split()
        with contextlib.suppress(ValueError):
            return [float(line) for line in lines]
        return self._own  # somebody else has written to it

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int | None]:
        """The open and locked file; `None` when it cannot be used."""
        try:
            file = self._open()
        except OSError:
            self.is_kept = False
            yield None
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _open(self) -> int:
        """Open the file, in a directory that only this user can write to."""
        directory = self._path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = directory.lstat()
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise PermissionError(directory)
        return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
