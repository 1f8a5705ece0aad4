"""The files and the directory of a store: created with narrow modes, examined, put aside, never deleted."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from engine.errors import StoreDamaged, StoreError
from engine.store.descriptors import MORE_FILES, is_shortage, next_descriptor
from engine.store.disk_trouble import disk_remedy

_BESIDE = ("-journal", "-wal", "-shm")


Identity = tuple[int, int]


def prepare_directory(path: Path) -> Path:
    """Create the state directory (mode 0700) unless it is there; returns its absolute path.

    Raises `StoreError` when it is not a directory, is a symbolic link, cannot be made, or others may write to it or put
    another in its place: a directory above it that all may write to has the sticky bit, as ``/tmp`` has.
    """
    path = Path(os.path.abspath(path))
    try:
        for each in reversed(path.parents):
            if not each.exists():
                with contextlib.suppress(FileExistsError):
                    each.mkdir(mode=0o755)  # whatever the umask: not all may put another directory in our place
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
        where = "on a read-only file system" if _is_read_only(path) else "not writable for this user"
        raise StoreError(f"The state directory {path} is {where}.")
    _check_above(path)
    return path


def _is_read_only(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    return False


def _check_above(path: Path) -> None:
    """The directories above it, by the names that were given and by those that links lead to."""
    for each in dict.fromkeys((*path.parents, *Path(os.path.realpath(path)).parents)):
        try:
            mode = each.stat().st_mode
        except OSError as error:
            raise StoreError(f"The directory {each} cannot be looked at: {cause(error)}.") from error
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise StoreError(
                f"Everybody may put another directory in the place of {path}, since all may write to {each}: run "
                f"'chmod o-w {each}', or name a state directory elsewhere."
            )


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


def create_file(path: Path) -> Identity:
    """Make the file 0600 before SQLite would make it wider; returns its identity."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        sync_directory(path.parent)
        for suffix in _BESIDE:  # a reader of a file that was read-only for a while leaves them so
            with contextlib.suppress(FileNotFoundError):
                _check_regular(beside(path, suffix), os.lstat(beside(path, suffix)))
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
    for suffix in _BESIDE:
        with contextlib.suppress(OSError):
            _check_regular(beside(path, suffix), os.lstat(beside(path, suffix)))
    if (found is None or found.st_size == 0) and content(beside(path, "-wal")):
        raise StoreDamaged(f"The store file {path} is damaged: it is empty, and the log beside it is not.")
    return found is not None


def _check_kind(path: Path, found: os.stat_result) -> None:
    _check_regular(path, found)
    if found.st_mode & 0o022:
        raise StoreError(f"Others may write to the store file {path}: run 'chmod 600 {path}'.")


def _check_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"The store file {path} is a link or not a regular file: move it away.")


def sync_directory(path: Path) -> None:
    """Make the list of a directory's files durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def header(path: Path) -> bytes:
    """What SQLite says of a file at its beginning; nothing of one that cannot be read.

    Raises `StoreError` when no file can be opened now.
    """
    return _read(path, 100)


def content(path: Path) -> bytes:
    """All of a file; otherwise like `header`."""
    return _read(path, -1)


def _read(path: Path, size: int) -> bytes:
    """The beginning of a regular file, or all of it: what is none, as a pipe, might never answer."""
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(size)
    except OSError as error:
        if is_shortage(error):  # what is there must not be taken for missing
            raise StoreError(f"The store file {path} cannot be read: {cause(error)}.") from error
    return b""


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


@functools.lru_cache(maxsize=256)
def beside(path: Path, suffix: str) -> Path:
    """The path of a file that SQLite keeps beside a store file, such as its ``-wal``."""
    return path.with_name(path.name + suffix)


def held_by(descriptor: int) -> Identity | None:
    """Which file a descriptor of this process stands for; `None` when it is closed."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def descriptors_of(files: Collection[Identity], first: int) -> dict[Identity, list[int]]:
    """The descriptors by which this process has these files open, those that SQLite opened as well.

    `first` was the next one before they were opened: looking at all of thousands takes long.
    """
    found: dict[Identity, list[int]] = {}
    with contextlib.suppress(OSError):
        found = _standing_for(files, range(first, next_descriptor()))
        if found.keys() != set(files):  # a lower number was freed meanwhile
            found = _standing_for(files, map(int, os.listdir("/dev/fd")))
    return found


def _standing_for(files: Collection[Identity], descriptors: Iterable[int]) -> dict[Identity, list[int]]:
    found: dict[Identity, list[int]] = {}
    for descriptor in descriptors:
        identity = held_by(descriptor)
        if identity is not None and identity in files:
            found.setdefault(identity, []).append(descriptor)
    return found


def are_held(files: Mapping[Identity, Sequence[int]]) -> bool:
    """Whether each file still has one of its descriptors. Before and after each write, so in one go."""
    for identity, descriptors in files.items():
        for descriptor in descriptors:
            try:
                found = os.fstat(descriptor)
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == identity:
                break
        else:
            return False
    return True


def identity_of(path: Path) -> Identity:
    """The identity of the file, whatever its name. Raises `StoreError` when it is missing."""
    try:
        found = os.lstat(path)
    except OSError as error:
        raise StoreError(f"The store file {path} is gone ({cause(error)}): put it back, or restart.") from error
    return found.st_dev, found.st_ino


def cause(error: BaseException) -> str:
    """The system's own words for a failure, to be put into an error message, and what to do where that is known."""
    if is_shortage(error):
        return f"too many files are open, so {MORE_FILES}"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__) + disk_remedy(error)
