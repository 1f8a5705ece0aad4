"""Writing a store file: durable when `put` returns, and never for longer than it may take."""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import StoreDamaged, StoreError
from engine.store.codec import encode
from engine.store.descriptors import next_descriptor
from engine.store.files import (
    Identity,
    are_held,
    beside,
    cause,
    create_file,
    descriptors_of,
    identity_of,
    put_aside,
)
from engine.store.reader import (
    LOCK_PATIENCE,
    OPEN,
    TABLE,
    StoreLookups,
    check_log,
    open_read_only,
    read_documents,
    read_named,
    read_range,
    unreadable,
)

logger = logging.getLogger(__name__)

# sqlitedict logs errors that it also raises; the raised error is enough.
logging.getLogger("sqlitedict").addHandler(logging.NullHandler())

SYNCHRONOUS_FULL = 2

PATIENCE = 0.8  # seconds for one write: the nonces' two files are written in turn, and an error is due within 2
CLOSE_PATIENCE = PATIENCE / 2  # for each of two steps
SLICE = 0.05  # seconds of it waited at a time, so that a machine that stood still is not taken for a disk that hangs
CACHE = 128  # KiB of pages that SQLite keeps for a file: 2,000 is its default, and the system caches files as well
AT_ONCE = 400  # documents in one statement; SQLite takes so many values

_GOES_ON = "Every write tries again: once the disk takes them, all goes on without a restart."

T = TypeVar("T")

_REPLACE = f"REPLACE INTO {TABLE} (key, value) VALUES "  # noqa: S608
_DELETE = f"DELETE FROM {TABLE} WHERE key IN "  # noqa: S608

_abandoned: dict[Identity, Any] = {}  # what must not be closed any more, by file
_left_open: list[StoreLookups] = []  # nor these: their descriptors' numbers are other files' by now


class Store:
    """One file of JSON documents by name.

    Guarantees:
        - when `put` returns, the document survives kill -9 and power loss (WAL, synchronous=FULL, read back at start);
        - `put` and `close` end within a second, also when the disk hangs or sqlitedict's writer has died;
        - a document that is not as it was written is never returned: `StoreDamaged`, already from opening;
        - opening changes nothing in a damaged file;
        - the file is 0600, and is refused when it is a symbolic link or others may write to it.

    Safe from several threads, one at a time. `check` is what the file has to pass before it is opened: `check_outline`
    or `check_names` for a large one whose documents are only checked as they are read. With `guards_log` the file says
    of itself whether it was closed: one that was not and has lost its log is damaged. `open_dict` is how tests hand in
    a faulty SqliteDict.
    """

    def __init__(
        self,
        path: Path,
        *,
        check: Callable[[Path], object] | None = None,
        guards_log: bool = False,
        open_dict: Callable[[Path], Any] | None = None,
    ) -> None:
        self.path = path
        self._guards_log = guards_log
        self._lock = threading.Lock()
        self._late: queue.SimpleQueue[Any] | None = None
        self._looking = threading.Lock()
        self._lookups: StoreLookups | None = None  # opened by the first look
        identity = create_file(path)
        if identity in _abandoned:
            raise StoreError(f"Other code of this process has closed {path} while it was in use: restart the process.")
        if guards_log:
            check_log(path)
        (check or read_documents)(path)
        _prepare_file(path)
        try:
            first = next_descriptor()
            self._dict: Any = (open_dict or _open_dict)(path)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise StoreError(f"The store file {path} cannot be opened: {cause(error)}.") from error
        try:
            _make_durable(self._dict, path)
            self._files = {path: identity, beside(path, "-wal"): identity_of(beside(path, "-wal"))}
            if guards_log:
                _mark_open(self._dict, path)
            self._descriptors = descriptors_of({*self._files.values(), identity_of(beside(path, "-shm"))}, first)
        except BaseException:
            self._dict.close(force=True)
            raise

    def documents(self) -> dict[str, Any]:
        """Every document by name. Raises `StoreDamaged` or `StoreError`."""
        return read_documents(self.path)

    def named(self, names: Sequence[str]) -> dict[str, Any]:
        """The documents of these names that there are, without a look at the others. Raises as `documents` does."""
        with self._looking:
            lookups = self._open_lookups()
            return read_named(self.path, names) if lookups is None else lookups.named(names)

    def between(self, first: str, end: str, at_most: int = -1) -> dict[str, Any]:
        """The documents from name `first` to before `end`, in that order; otherwise as `named`."""
        with self._looking:
            lookups = self._open_lookups()
            if lookups is None:
                return read_range(self.path, first, end, at_most)
            return lookups.between(first, end, at_most)

    def put(self, name: str, document: Any) -> None:
        """Write one document; returns when it is durable. Raises `StoreError` when that cannot be promised.

        After an error the document may be written all the same. Writing recovers by itself when the cause is over; only
        a file that was replaced needs a restart.
        """
        self.put_all({name: document})

    def put_all(self, documents: Mapping[str, Any]) -> None:
        """Write several documents; otherwise like `put`. Up to `AT_ONCE` of them are written all or none."""
        rows = [(name, encode(name, document)) for name, document in documents.items()]
        with self._writing():
            for part in _parts(rows):
                self._execute(_REPLACE + ",".join(["(?, ?)"] * len(part)), [text for row in part for text in row])

    def remove(self, names: Sequence[str]) -> None:
        """Remove documents; a missing name is ignored. Otherwise like `put_all`."""
        with self._writing():
            for part in _parts(names):
                self._execute(f"{_DELETE}({','.join('?' * len(part))})", list(part))

    def close(self) -> None:
        """Close the file; nothing is lost. A second call does nothing.

        Where other code has closed SQLite's descriptors, it stays open: closing writes to them, whosever they are now.
        """
        with self._lock, self._looking:
            opened, self._dict = self._dict, None
            self._close_lookups()
        if opened is None:
            return
        if not are_held(self._descriptors):  # SQLite's
            _abandoned[self._files[self.path]] = opened
            return
        writer, keeps_log = opened.conn, self._guards_log and not _mark_closed(opened.conn)
        with _reading(self.path) if keeps_log else contextlib.nullcontext():
            opened.close(force=True)  # without force it waits for the writer, for ever if that is dead
            if not _in_time(partial(_has_ended, writer), CLOSE_PATIENCE if self._guards_log else PATIENCE):
                logger.warning("%s is not closed: the disk does not answer.", self.path)

    def _open_lookups(self) -> StoreLookups | None:
        """The connection for looks; `None` when the file is closed. One that other code has closed is never used."""
        if self._dict is None:
            return None
        if self._lookups is not None and not self._lookups.is_whole:
            self._close_lookups()
        if self._lookups is None:
            self._lookups = StoreLookups(self.path, self._files.values())
        return self._lookups

    def _close_lookups(self) -> None:
        """Before the file: SQLite folds in its log as its last connection closes, which is to be the writer's."""
        lookups, self._lookups = self._lookups, None
        if lookups is not None and lookups.is_whole:
            lookups.close()
        elif lookups is not None:
            _left_open.append(lookups)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Allow one writer at a time, and only to the file that was opened."""
        with self._lock:
            if self._dict is None:
                raise StoreError(f"The store file {self.path} is closed.")
            self._check_writer()
            self._check_files()
            yield
            self._check_files()

    def _execute(self, statement: str, values: list[str]) -> None:
        """Hand a statement to sqlitedict's writer and wait, though not for ever, as its own `__setitem__` would."""
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        writer = self._dict.conn
        try:
            writer.execute(statement, values, done)
            if not _in_time(partial(_has_come, done)):
                self._late = done
                raise StoreError(f"Cannot write to {self.path}: the disk does not answer. {_GOES_ON}")
            writer.check_raise_error()
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"Cannot write to {self.path}: {cause(error)}. {_GOES_ON}") from error

    def _check_writer(self) -> None:
        """Require that a late write has ended: otherwise its older document could overwrite a newer one."""
        if not self._dict.conn.is_alive():
            raise StoreError(f"The writer of {self.path} has ended: restart the engine.")
        if self._late is not None:
            try:
                self._late.get_nowait()
            except queue.Empty:
                raise StoreError(f"Cannot write to {self.path}: the disk does not answer. {_GOES_ON}") from None
            self._late = None
            with contextlib.suppress(sqlite3.Error):
                self._dict.conn.check_raise_error()  # what became of the late write was reported already

    def _check_files(self) -> None:
        if not are_held(self._descriptors):
            raise StoreError(f"Other code of this process has closed {self.path}: restart the process.")
        for path, identity in self._files.items():
            if identity_of(path) != identity:
                raise StoreError(f"The store file {path} was replaced while in use: restart the engine.")


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE))


def _in_time(is_over: Callable[[float], bool], seconds: float = PATIENCE) -> bool:
    """Whether it ends within some seconds in which this process runs; `is_over` waits as long as it is told."""
    return any(is_over(SLICE) for _ in range(round(seconds / SLICE)))


def _has_come(done: queue.SimpleQueue[Any], seconds: float) -> bool:
    try:
        done.get(timeout=seconds)
    except queue.Empty:
        return False
    return True


def _has_ended(writer: threading.Thread, seconds: float) -> bool:
    writer.join(seconds)
    return not writer.is_alive()


def open_or_replace(
    path: Path, *, check: Callable[[Path], object] | None = None, guards_log: bool = False
) -> tuple[Store, str | None]:
    """Open a store; a damaged file is put aside first and an empty one begun, and the sentence returned says so."""
    start = partial(Store, path, check=check, guards_log=guards_log)
    try:
        return start(), None
    except StoreDamaged as error:
        aside = put_aside(path)
        return start(), f"{error} It was put aside as {aside.name}, and an empty one begun."


def _prepare_file(path: Path) -> None:
    """Do here what may fail: sqlitedict would do it in its own thread, and with synchronous=OFF."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=LOCK_PATIENCE, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"CREATE TABLE IF NOT EXISTS {TABLE} (key TEXT PRIMARY KEY, value BLOB)")
            if connection.execute("PRAGMA user_version").fetchone() != (0,):
                connection.execute("PRAGMA user_version=0")  # its log is folded in and deleted by this closing
            connection.execute("COMMIT")
    except (sqlite3.Error, UnicodeError) as error:  # its own message may hold the damage
        raise unreadable(path, error) from error


def _open_dict(path: Path) -> Any:
    import sqlitedict  # noqa: PLC0415 - only once a store is opened: it brings pickle and tempfile

    return sqlitedict.SqliteDict(
        str(path), tablename=TABLE, autocommit=True, journal_mode="WAL", outer_stack=False,
        encode=json.dumps, decode=json.loads,
    )  # fmt: skip


def _make_durable(opened: Any, path: Path) -> None:
    """Undo sqlitedict's synchronous=OFF, with which a power loss loses acknowledged writes."""
    try:
        opened.conn.execute("PRAGMA synchronous=FULL")
        opened.conn.execute(f"PRAGMA cache_size=-{CACHE}")
        opened.conn.select_one(f"PRAGMA busy_timeout={round(LOCK_PATIENCE * 1000)}")
        (synchronous,) = opened.conn.select_one("PRAGMA synchronous")
        (journal,) = opened.conn.select_one("PRAGMA journal_mode")
    except (sqlite3.Error, TypeError) as error:
        raise StoreError(f"The store file {path} cannot be made durable: {cause(error)}.") from error
    if synchronous != SYNCHRONOUS_FULL or journal != "wal":
        raise StoreError(
            f"The store file {path} would not survive a power loss (synchronous={synchronous}, journal={journal}): "
            "put the state directory on a local disk."
        )


def _mark_open(opened: Any, path: Path) -> None:
    """Let the file itself, without its log, say that it is not closed. The log is there before that and stays."""
    try:
        opened.conn.select_one(f"PRAGMA user_version={OPEN}")
        opened.conn.select_one("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.Error as error:
        raise StoreError(f"The store file {path} cannot be written: {cause(error)}.") from error


def _mark_closed(writer: Any) -> bool:
    """Let the file say that it is closed, as the last thing written to it; whether that was possible."""
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    try:
        writer.execute("PRAGMA user_version=0", (), done)
        if not (writer.is_alive() and _in_time(partial(_has_come, done), CLOSE_PATIENCE)):
            return False
        writer.check_raise_error()
    except (sqlite3.Error, OSError):
        return False
    return True


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Read a file meanwhile: SQLite folds in and deletes a log only when the last of its connections closes.

    This one may not write, and so leaves the log where it is.
    """
    with contextlib.ExitStack() as opened:
        with contextlib.suppress(sqlite3.Error):
            connection = opened.enter_context(contextlib.closing(open_read_only(path)))
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        yield
