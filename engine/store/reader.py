"""Reading a store file, also while its owner writes: read-only, and every document checked."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.errors import StoreDamaged, StoreError
from engine.store.codec import decode, encoded_in
from engine.store.files import Identity, beside, cause, content, descriptors_of, header, held_by, is_there

logger = logging.getLogger(__name__)

TABLE = "documents"
OPEN = 1  # in SQLite's `user_version`: the file was not closed, so that a part of it is in its log
LOCK_PATIENCE = 0.5

# SQLite's errors for trouble around a file, not in it.
_AROUND_NAMES = "PERM BUSY LOCKED NOMEM READONLY INTERRUPT IOERR FULL CANTOPEN PROTOCOL NOLFS AUTH"
_AROUND = {getattr(sqlite3, f"SQLITE_{name}") for name in _AROUND_NAMES.split()}


def salvage(path: Path) -> Iterator[tuple[str, Any]]:
    """Every name and document with a valid checksum, in any version, from the bytes of a store file and its log.

    Needs no working SQLite file and changes nothing. Finds every document of up to a few hundred bytes.
    """
    for suffix in ("", "-wal"):
        yield from encoded_in(content(beside(path, suffix)))


def read_documents(path: Path) -> dict[str, Any]:
    """Every document of a store file; empty when there is no such file. Works while its owner writes.

    Changes nothing. Raises `StoreDamaged` when a document or the file is not as it was written, `StoreError` when the
    file cannot be read.
    """
    return dict(decode(name, text, path) for name, text in _read(path, partial(_rows, path)))


def read_group(path: Path, group: str) -> dict[str, Any]:
    """The documents whose names begin with ``group/``, without a look at the others; otherwise like `read_documents`.

    A document that is not as it was written is left out, and the log says so.
    """
    found: dict[str, Any] = {}
    for name, text in _read(path, partial(_rows_between, f"{group}/", f"{group}0", -1)):  # "0" follows "/"
        try:
            found.update([decode(name, text, path)])
        except StoreDamaged as error:
            logger.warning("%s It is left out.", error)
    return found


def read_named(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The documents of these names that there are, without a look at the others; otherwise like `read_documents`."""
    return dict(decode(name, text, path) for name, text in _read(path, partial(_rows_named, names)))


def read_range(path: Path, first: str, end: str, at_most: int = -1) -> dict[str, Any]:
    """The documents from name `first` to before `end`, in that order; otherwise like `read_named`."""
    return dict(decode(name, text, path) for name, text in _read(path, partial(_rows_between, first, end, at_most)))


def check_outline(path: Path) -> None:
    """Raise `StoreDamaged` when SQLite finds the file damaged; takes no look into the documents."""
    _read(path, partial(_only_check, path, "quick_check"))


def check_names(path: Path) -> None:
    """Like `check_outline`, and every document is found by its name: one that is not found was never written."""
    _read(path, partial(_only_check, path, "integrity_check"))


def check_log(path: Path) -> None:
    """Raise `StoreDamaged` when a file that was not closed has lost the log with its latest documents."""
    says_open = header(path)[60:64] == OPEN.to_bytes(4)  # where SQLite keeps `user_version`
    if says_open and not header(beside(path, "-wal")):
        raise StoreDamaged(f"The store file {path} is damaged: its log, {path.name}-wal, is gone.")


def _read(path: Path, rows_of: Callable[[sqlite3.Connection], list[tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
    if not is_there(path):
        return []
    if header(path)[18:19] > b"\2":  # "for reading only", which SQLite would find out at the first write
        raise StoreDamaged(f"The store file {path} is damaged: its header is not the engine's.")
    # Only the very first opening uses a rollback journal; after a crash there SQLite must write to undo it.
    mode = "rw" if os.path.lexists(beside(path, "-journal")) else "ro"
    try:
        with contextlib.closing(open_read_only(path, mode)) as connection:
            return rows_of(connection)
    except (sqlite3.Error, UnicodeError) as error:  # its own message may hold the damage
        raise unreadable(path, error) from error


def open_read_only(path: Path, mode: str = "ro") -> sqlite3.Connection:
    """A connection for reading, for one thread at a time; texts come as bytes. Raises `sqlite3.Error`."""
    where = f"file:{quote(str(path))}?mode={mode}"
    connection = sqlite3.connect(where, uri=True, timeout=LOCK_PATIENCE, check_same_thread=False)
    connection.text_factory = bytes
    return connection


class StoreLookups:
    """Reads a store file by name while its owner writes, over one connection that stays open.

    For the owner alone, who looked at the file before; `files` are that file and those beside it. Raises what
    `read_named` raises, from the constructor as well. One thread at a time.
    """

    def __init__(self, path: Path, files: Collection[Identity]) -> None:
        self._path = path
        before = descriptors_of(files, 0)
        with contextlib.ExitStack() as opened:
            try:
                self._connection = opened.enter_context(contextlib.closing(open_read_only(path)))
                self._connection.execute(f"SELECT key FROM {TABLE} LIMIT 1").fetchall()  # noqa: S608 - opens its log
            except sqlite3.Error as error:
                raise unreadable(path, error) from error
            opened.pop_all()
        found = descriptors_of(files, 0)
        self._descriptors = [(each, file) for file in found for each in {*found[file]} - {*before.get(file, ())}]

    @property
    def is_whole(self) -> bool:
        """Whether SQLite's descriptors still stand for its files. Else others' are at their numbers: leave it open."""
        return all(held_by(descriptor) == file for descriptor, file in self._descriptors)

    def named(self, names: Sequence[str]) -> dict[str, Any]:
        """As `read_named`."""
        return self._decoded(_select_named, names)

    def between(self, first: str, end: str, at_most: int = -1) -> dict[str, Any]:
        """As `read_range`."""
        return self._decoded(_select_between, first, end, at_most)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _decoded(self, select: Callable[..., list[tuple[Any, Any]]], *which: Any) -> dict[str, Any]:
        try:
            found = select(self._connection, *which)
        except (sqlite3.Error, UnicodeError) as error:
            raise unreadable(self._path, error) from error
        return dict(decode(name, text, self._path) for name, text in found)


def _rows(path: Path, connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    _check(path, connection, "integrity_check")
    if not _has_table(connection):
        return []
    return connection.execute(f"SELECT key, value FROM {TABLE}").fetchall()  # noqa: S608


def _rows_named(names: Sequence[str], connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    return _select_named(connection, names) if _has_table(connection) else []


def _rows_between(first: str, end: str, at_most: int, connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    return _select_between(connection, first, end, at_most) if _has_table(connection) else []


def _select_named(connection: sqlite3.Connection, names: Sequence[str]) -> list[tuple[Any, Any]]:
    which = ",".join("?" * len(names))
    return connection.execute(f"SELECT key, value FROM {TABLE} WHERE key IN ({which})", names).fetchall()  # noqa: S608


def _select_between(connection: sqlite3.Connection, first: str, end: str, at_most: int) -> list[tuple[Any, Any]]:
    select = f"SELECT key, value FROM {TABLE} WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"  # noqa: S608
    return connection.execute(select, (first, end, at_most)).fetchall()


def _only_check(path: Path, how: str, connection: sqlite3.Connection) -> list[tuple[Any, Any]]:
    _check(path, connection, how)
    return []


def _check(path: Path, connection: sqlite3.Connection, how: str) -> None:
    if connection.execute(f"PRAGMA {how}(1)").fetchall() != [(b"ok",)]:
        raise StoreDamaged(f"The store file {path} is damaged: SQLite's own check of it fails.")


def _has_table(connection: sqlite3.Connection) -> bool:
    """`False` after a crash during the very first opening."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchall())


def unreadable(path: Path, error: Exception) -> StoreError:
    """The error to raise: `StoreDamaged`, unless the trouble is around the file and not in it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in _AROUND and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return StoreError(f"The store file {path} cannot be used: {cause(error)}.")
    return StoreDamaged(f"The store file {path} is damaged: {cause(error)}.")
