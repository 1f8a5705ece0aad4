"""The only door to disk: files of JSON documents that survive kill -9 and power loss.

Writes go through sqlitedict, reads through a read-only connection of their own: a damaged page met while reading would
end sqlitedict's writer thread and hang its caller. Each document carries a checksum over its name and content, since a
flipped bit in a value is invisible to SQLite. What is damaged is put aside under another name, never deleted.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import sqlitedict

from engine.errors import StoreDamaged, StoreError
from engine.rules.seal import seal, sealed_in, unseal

logger = logging.getLogger(__name__)

# sqlitedict logs what it then raises; the raised error is enough.
logging.getLogger("sqlitedict").addHandler(logging.NullHandler())

TABLE = "documents"
SYNCHRONOUS_FULL = 2

PATIENCE = 0.8  # seconds for one write: the nonces' two files are written in turn, and an error is due within 2
SLICE = 0.05  # seconds of it waited at a time, so that a machine that stood still is not taken for a disk that hangs
LOCK_PATIENCE = 0.5
AT_ONCE = 400  # documents in one statement; SQLite takes so many values

T = TypeVar("T")

_BESIDE = ("-journal", "-wal", "-shm")
_REPLACE = f"REPLACE INTO {TABLE} (key, value) VALUES "  # noqa: S608
_DELETE = f"DELETE FROM {TABLE} WHERE key IN "  # noqa: S608

# What SQLite says when the trouble is around the file, not in it.
_AROUND_NAMES = "PERM BUSY LOCKED NOMEM READONLY INTERRUPT IOERR FULL CANTOPEN PROTOCOL NOLFS AUTH"
_AROUND = {getattr(sqlite3, f"SQLITE_{name}") for name in _AROUND_NAMES.split()}


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
        raise StoreError(f"The state directory {path} cannot be made: {_cause(error)}.") from error
    if stat.S_ISLNK(mode):
        raise StoreError(f"The state directory {path} is a symbolic link: name the directory itself.")
    if not stat.S_ISDIR(mode):
        raise StoreError(f"The state directory {path} is a file: name a directory, or move the file.")
    if mode & 0o022:
        raise StoreError(f"Others may write to the state directory {path}: run 'chmod 700 {path}'.")
    if not os.access(path, os.W_OK | os.X_OK):
        raise StoreError(f"The state directory {path} is not writable for this user.")
    return path


class Store:
    """One file of JSON documents by name.

    Guarantees:
        - when `put` returns, the document survives kill -9 and power loss (WAL, synchronous=FULL, read back at start);
        - `put` and `close` end within a second, also when the disk hangs or sqlitedict's writer has died;
        - a document that is not as it was written is never returned: `StoreDamaged`, already from opening;
        - opening changes nothing in a damaged file;
        - the file is 0600, and is refused when it is a symbolic link or others may write to it.

    Safe from several threads, one at a time. `check` is what the file has to pass before it is opened: `check_outline`
    for a large one whose documents are only checked as they are read. `open_dict` is how tests hand in a faulty
    SqliteDict.
    """

    def __init__(
        self,
        path: Path,
        *,
        check: Callable[[Path], object] | None = None,
        open_dict: Callable[[Path], Any] | None = None,
    ) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._late: queue.Queue[Any] | None = None
        identity = _create_file(path)
        (check or read_documents)(path)
        _prepare_file(path)
        try:
            self._dict: Any = (open_dict or _open_dict)(path)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise StoreError(f"The store file {path} cannot be opened: {_cause(error)}.") from error
        try:
            _make_durable(self._dict, path)
            self._files = {path: identity, _beside(path, "-wal"): _identity(_beside(path, "-wal"))}
        except BaseException:
            self._dict.close(force=True)
            raise

    def documents(self) -> dict[str, Any]:
        """Every document by name. Raises `StoreDamaged` or `StoreError`."""
        return read_documents(self.path)

    def put(self, name: str, document: Any) -> None:
        """Write one document; returns when it is durable. Raises `StoreError` when that cannot be promised.

        After an error the document may be there all the same. Writing recovers by itself when its cause is over; only a
        file that was replaced needs a restart.
        """
        self.put_all({name: document})

    def put_all(self, documents: Mapping[str, Any]) -> None:
        """Write some documents; otherwise like `put`. Up to `AT_ONCE` of them are written all or none."""
        rows = [(name, seal(name, document)) for name, document in documents.items()]
        with self._writing():
            for part in _parts(rows):
                self._execute(_REPLACE + ",".join(["(?, ?)"] * len(part)), [text for row in part for text in row])

    def remove(self, names: Sequence[str]) -> None:
        """Remove some documents; a name that is not there does no harm. Otherwise like `put_all`."""
        with self._writing():
            for part in _parts(names):
                self._execute(f"{_DELETE}({','.join('?' * len(part))})", list(part))

    def close(self) -> None:
        """Close the file; nothing is lost. A second call does nothing."""
        with self._lock:
            opened, self._dict = self._dict, None
        if opened is not None:
            writer = opened.conn
            opened.close(force=True)  # without force it waits for the writer, for ever if that is dead
            if not _in_time(partial(_has_ended, writer)):
                logger.warning("%s is not closed: the disk does not answer.", self.path)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time, and only to the file that was opened."""
        with self._lock:
            if self._dict is None:
                raise StoreError(f"The store file {self.path} is closed.")
            self._check_writer()
            self._check_files()
            yield
            self._check_files()

    def _execute(self, statement: str, values: list[str]) -> None:
        """Hand a statement to sqlitedict's writer and wait, but not for ever, as its own `__setitem__` would."""
        done: queue.Queue[Any] = queue.Queue()
        writer = self._dict.conn
        try:
            writer.execute(statement, values, done)
            if not _in_time(partial(_has_come, done)):
                self._late = done
                raise StoreError(f"Cannot write to {self.path}: the disk does not answer.")
            writer.check_raise_error()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"Cannot write to {self.path}: {_cause(error)}.") from error

    def _check_writer(self) -> None:
        """A write that came too late must have ended before the next: an older document would overwrite a newer."""
        if not self._dict.conn.is_alive():
            raise StoreError(f"The writer of {self.path} has ended: restart the engine.")
        if self._late is not None:
            try:
                self._late.get_nowait()
            except queue.Empty:
                raise StoreError(f"Cannot write to {self.path}: the disk does not answer.") from None
            self._late = None
            with contextlib.suppress(sqlite3.Error):
                self._dict.conn.check_raise_error()  # what became of the late write was reported already

    def _check_files(self) -> None:
        for path, identity in self._files.items():
            if _identity(path) != identity:
                raise StoreError(f"The store file {path} was replaced while in use: restart the engine.")


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


def _in_time(is_over: Callable[[float], bool]) -> bool:
    """Whether it ends within `PATIENCE` seconds in which this process runs; `is_over` waits as long as it is told."""
    return any(is_over(SLICE) for _ in range(round(PATIENCE / SLICE)))


def _has_come(done: queue.Queue[Any], seconds: float) -> bool:
    try:
        done.get(timeout=seconds)
    except queue.Empty:
        return False
    return True


def _has_ended(writer: threading.Thread, seconds: float) -> bool:
    writer.join(seconds)
    return not writer.is_alive()


def open_or_replace(path: Path, *, check: Callable[[Path], object] | None = None) -> tuple[Store, str | None]:
    """Open a store; a damaged file is put aside first and an empty one begun, and the sentence returned says so."""
    try:
        return Store(path, check=check), None
    except StoreDamaged as error:
        aside = put_aside(path)
        return Store(path, check=check), f"{error} It was put aside as {aside.name}, and an empty one begun."


def put_aside(path: Path) -> Path:
    """Rename a file, with what SQLite keeps beside it, to ``NAME.damaged-TIME``; returns the new path.

    Nothing is deleted or overwritten. Raises `StoreError` when the file cannot be renamed.
    """
    base = f"{path}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    aside, number = Path(base), 1
    while os.path.lexists(aside):
        number += 1
        aside = Path(f"{base}-{number}")
    try:
        for suffix in (*_BESIDE, ""):  # the file last: SQLite would delete a log that has lost its file
            with contextlib.suppress(FileNotFoundError):
                os.rename(_beside(path, suffix), _beside(aside, suffix))
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"The damaged store file {path} cannot be put aside: {_cause(error)}.") from error
    return aside


def salvage(path: Path) -> Iterator[tuple[str, Any]]:
    """Every name and document whose checksum fits, in any version, from the bytes of a store file and its log.

    Needs no working SQLite file and changes nothing. Finds documents of up to a few hundred bytes for certain.
    """
    for suffix in ("", "-wal"):
        yield from sealed_in(_bytes(_beside(path, suffix)))


def read_documents(path: Path) -> dict[str, Any]:
    """Every document of a store file, also while its owner writes; empty when there is no such file.

    Changes nothing. Raises `StoreDamaged` when a document or the file is not as it was written, `StoreError` when the
    file cannot be read.
    """
    return dict(unseal(name, text, path) for name, text in _read(path, partial(_rows, path)))


def read_group(path: Path, group: str) -> dict[str, Any]:
    """The documents whose names begin with ``group/``, without a look at the others; otherwise like `read_documents`.

    A document that is not as it was written is left out, and the log says so.
    """
    found: dict[str, Any] = {}
    for name, text in _read(path, partial(_rows_of_group, group)):
        try:
            found.update([unseal(name, text, path)])
        except StoreDamaged as error:
            logger.warning("%s It is left out.", error)
    return found


def check_outline(path: Path) -> None:
    """Raise `StoreDamaged` when SQLite finds the file damaged; takes no look into the documents."""
    _read(path, partial(_check_outline, path))


def _read(path: Path, rows_of: Callable[[sqlite3.Connection], list[tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
    if not _is_there(path):
        return []
    if _header(path)[18:19] > b"\2":  # "for reading only", which SQLite would find out at the first write
        raise StoreDamaged(f"The store file {path} is damaged: its header is not the engine's.")
    # Only the very first opening uses a rollback journal; after a crash there SQLite must write to undo it.
    mode = "rw" if os.path.lexists(_beside(path, "-journal")) else "ro"
    uri = f"file:{quote(str(path))}?mode={mode}"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LOCK_PATIENCE)) as connection:
            connection.text_factory = bytes
            return rows_of(connection)
    except (sqlite3.Error, UnicodeError) as error:  # its own message may hold the damage
        raise _unreadable(path, error) from error


def _rows(path: Path, connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    _check(path, connection, "integrity_check")
    if not _has_table(connection):
        return []
    return connection.execute(f"SELECT key, value FROM {TABLE}").fetchall()  # noqa: S608


def _rows_of_group(group: str, connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    if not _has_table(connection):
        return []
    between = (f"{group}/", f"{group}0")  # "0" follows "/"
    return connection.execute(f"SELECT key, value FROM {TABLE} WHERE key >= ? AND key < ?", between).fetchall()  # noqa: S608


def _check_outline(path: Path, connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    _check(path, connection, "quick_check")
    return []


def _check(path: Path, connection: sqlite3.Connection, how: str) -> None:
    if connection.execute(f"PRAGMA {how}(1)").fetchall() != [(b"ok",)]:
        raise StoreDamaged(f"The store file {path} is damaged: SQLite's own check of it fails.")


def _has_table(connection: sqlite3.Connection) -> bool:
    """Not after a crash before the first opening was over."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchall())


def _unreadable(path: Path, error: Exception) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in _AROUND and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return StoreError(f"The store file {path} cannot be used: {_cause(error)}.")
    return StoreDamaged(f"The store file {path} is damaged: {_cause(error)}.")


def _create_file(path: Path) -> tuple[int, int]:
    """Make the file 0600 before SQLite would make it wider; returns its identity."""
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            found = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        _sync_directory(path.parent)
        for suffix in _BESIDE:  # a reader of a file that was read-only for a while leaves them so
            with contextlib.suppress(FileNotFoundError):
                if stat.S_ISREG(os.lstat(_beside(path, suffix)).st_mode):
                    os.chmod(_beside(path, suffix), 0o600)
    except OSError as error:
        raise StoreError(f"The store file {path} cannot be opened: {_cause(error)}.") from error
    _check_kind(path, found)
    return found.st_dev, found.st_ino


def _is_there(path: Path) -> bool:
    """Whether there is a file to read. Raises `StoreError` for one that may not be trusted or looked at."""
    found: os.stat_result | None = None
    try:
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(path)
    except OSError as error:
        raise StoreError(f"The store file {path} cannot be read: {_cause(error)}.") from error
    if found is not None:
        _check_kind(path, found)
    if (found is None or found.st_size == 0) and _bytes(_beside(path, "-wal")):
        raise StoreDamaged(f"The store file {path} is damaged: it is empty, and the log beside it is not.")
    return found is not None


def _check_kind(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"The store file {path} is a link or no regular file: move it away.")
    if found.st_mode & 0o022:
        raise StoreError(f"Others may write to the store file {path}: run 'chmod 600 {path}'.")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare_file(path: Path) -> None:
    """What can fail in the file is done here: sqlitedict would do it in its thread, and with synchronous=OFF."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=LOCK_PATIENCE, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (key TEXT PRIMARY KEY, value BLOB)")
            connection.execute("COMMIT")
    except (sqlite3.Error, UnicodeError) as error:  # its own message may hold the damage
        raise _unreadable(path, error) from error


def _open_dict(path: Path) -> Any:
    return sqlitedict.SqliteDict(
        str(path), tablename=TABLE, autocommit=True, journal_mode="WAL", outer_stack=False,
        encode=json.dumps, decode=json.loads,
    )  # fmt: skip


def _make_durable(opened: Any, path: Path) -> None:
    """sqlitedict always sets synchronous=OFF, which loses acknowledged writes with the power."""
    try:
        opened.conn.execute("PRAGMA synchronous=FULL")
        opened.conn.select_one(f"PRAGMA busy_timeout={round(LOCK_PATIENCE * 1000)}")
        (synchronous,) = opened.conn.select_one("PRAGMA synchronous")
        (journal,) = opened.conn.select_one("PRAGMA journal_mode")
    except (sqlite3.Error, TypeError) as error:
        raise StoreError(f"The store file {path} cannot be made durable: {_cause(error)}.") from error
    if synchronous != SYNCHRONOUS_FULL or journal != "wal":
        raise StoreError(
            f"The store file {path} would not survive a power loss (synchronous={synchronous}, journal={journal}): "
            "put the state directory on a local disk."
        )


def _header(path: Path) -> bytes:
    """What SQLite says of a file at its beginning; nothing of one that cannot be read."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(100)
    return b""


def _bytes(path: Path) -> bytes:
    """All of a file; nothing of one that cannot be read."""
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise StoreError(f"The store file {path} is gone ({_cause(error)}): put it back, or restart.") from error
    return found.st_dev, found.st_ino


def _cause(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
