"""The files and the directory of a store: created with narrow modes, examined, put aside, never deleted."""

from __future__ import annotations

import contextlib
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import StoreDamaged, StoreError

_BESIDE = ("-journal", "-wal", "-shm")


def prepare_directory(path: Path) -> Path:
    """Create the state directory (mode 0700) unless it is there; returns its absolute path.

    Raises `StoreError` when it is no directory, is a symbolic link, cannot be made, or others may write to it.
    """
    path = Path(os.path.abspath(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        mode = path.lstat().st_mode
    except (OSError, ValueError) as error:
        raise StoreError(f"The state directory {path} cannot be made: {cause(error)}.") from error
    if stat.S_ISLNK(mode):
        raise StoreError(f"The state directory {path} is a symbolic link: name the directory itself.")
    if not stat.S_ISDIR(mode):
        raise StoreError(f"The state directory {path} is a file: name a directory, or move the file.")
    if mode & 0o022:
        raise StoreError(f"Others may write to the state directory {path}: run 'chmod 700 {path}'.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"The state directory {path} is not writable for this user.")
    return path


def put_aside(path: Path) -> Path:
    """Rename a file and the files that SQLite keeps beside it to ``NAME.damaged-TIME``; returns the new path.

    Nothing is deleted or overwritten. Raises `StoreError` when the file cannot be renamed.
    """
    base = f"{path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside, number = Path(base), 1
    while os.path.lexists(aside):
        number += 1
        aside = Path(f"{base}-{number}")
    try:
        for suffix in (*_BESIDE, ""):  # the file last: SQLite would delete a log without its file
            with contextlib.suppress(FileNotFoundError):
                os.rename(beside(path, suffix), beside(aside, suffix))
        sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"The damaged store file {path} cannot be put aside: {cause(error)}.") from error
    return aside


def create_file(path: Path) -> tuple[int, int]:
    """Make the file 0600 before SQLite would make it wider; returns its identity."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
        for suffix in _BESIDE:  # a reader of a file that was read-only for a while leaves them so
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(os.lstat(beside(path, suffix)).st_mode):
                    os.chmod(beside(path, suffix), 0o600)
    except OSError as error:
        raise StoreError(f"The store file {path} cannot be opened: {cause(error)}.") from error
    _check_kind(path, found)
    return found.st_dev, found.st_ino


def is_there(path: Path) -> bool:
    """Whether there is a file to read. Raises `StoreError` for one that may not be trusted or looked at."""
    found: os.stat_result | None = None
    try:
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(path)
    except OSError as error:
        raise StoreError(f"The store file {path} cannot be read: {cause(error)}.") from error
    if found is not None:
        _check_kind(path, found)
    if (found is None or found.st_size == 0) and content(beside(path, "-wal")):
        raise StoreDamaged(f"The store file {path} is damaged: it is empty, and the log beside it is not.")
    return found is not None


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"The store file {path} is a link or no regular file: move it away.")
    if found.st_mode & 0o022:
        raise StoreError(f"Others may write to the store file {path}: run 'chmod 600 {path}'.")


def sync_directory(path: Path) -> None:
    """Make the list of a directory's files durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def header(path: Path) -> bytes:
    """What SQLite says of a file at its beginning; nothing of one that cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(100)
    return b""


def content(path: Path) -> bytes:
    """All of a file; nothing of one that cannot be read."""
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def beside(path: Path, suffix: str) -> Path:
    """The path of a file that SQLite keeps beside a store file, such as its ``-wal``."""
    return path.with_name(path.name + suffix)


def identity_of(path: Path) -> tuple[int, int]:
    """The identity of the file, whatever its name. Raises `StoreError` when it is missing."""
    try:
        found = os.lstat(path)
    except OSError as error:
        raise StoreError(f"The store file {path} is gone ({cause(error)}): put it back, or restart.") from error
    return found.st_dev, found.st_ino


def cause(error: BaseException) -> str:
    """The system's own words for a failure, to be put into an error message."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
