"""The claim of an API key by a lock file, and the directories where such files are."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
from pathlib import Path

from engine.errors import OwnershipLost, StoreError, StoreInUse
from engine.ownership.file_lock import FileLock


class KeyFile:
    """A lock file in a shared temporary directory. A cleaner may remove it there: it is then made again."""

    def __init__(self, place: Path, key_id: str, what: str) -> None:
        self._place, self._key_id, self._what = place, key_id, what
        self._renewing = threading.Lock()
        self._lock = self._taken()

    def verify(self) -> None:
        """Raise `OwnershipLost` when another engine has the key."""
        try:
            self._lock.verify()
        except OwnershipLost:
            with self._renewing:
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
        return FileLock(place_of_key(self._place, self._key_id), self._what)


def place_of_key(place: Path, key_id: str) -> Path:
    """The lock file of a key in one of the directories. Raises `StoreError` for one that is another user's."""
    return _private_directory(place) / f"{key_id}.lock"


def places_of_keys(directory: Path) -> list[Path]:
    """Where the engines of this user claim API keys: directories of this machine, and one beside the state directory.

    A login session has directories that a service or a container lacks, so a key is claimed in all that are there. The
    one beside the state directory is what containers share whose state directories are side by side on one volume; they
    do not see each other's abstract sockets.
    """
    name = f"kraken-engine-keys-{os.getuid()}"
    machine = (os.environ.get("XDG_RUNTIME_DIR", ""), f"/run/user/{os.getuid()}", _temporary())
    there = [Path(each) for each in machine if os.path.isabs(each) and os.path.isdir(each)]
    return list(dict.fromkeys(each / name for each in (*there, directory.parent)))


def runtime_directory() -> Path:
    """A directory of this machine, for what all engines of this user share."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    usual = f"/run/user/{os.getuid()}"
    return Path(next((each for each in (given, usual) if os.path.isabs(each) and os.path.isdir(each)), _temporary()))


def _temporary() -> str:
    """A directory that all processes of the user share; on macOS every user has one of his own."""
    return os.environ.get("TMPDIR", "/tmp") if sys.platform == "darwin" else "/tmp"  # noqa: S108


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
