"""Reading a store file, also while its owner writes: read-only, and every document checked."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.errors import StoreDamaged, StoreError
from engine.store.codec import decode, encoded_in
from engine.store.files import beside, cause, content, header, is_there

logger = logging.getLogger(__name__)

TABLE = "documents"
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
    for name, text in _read(path, partial(_rows_of_group, group)):
        try:
            found.update([decode(name, text, path)])
        except StoreDamaged as error:
            logger.warning("%s It is left out.", error)
    return found


def check_outline(path: Path) -> None:
    """Raise `StoreDamaged` when SQLite finds the file damaged; takes no look into the documents."""
    _read(path, partial(_check_outline, path))


def _read(path: Path, rows_of: Callable[[sqlite3.Connection], list[tuple[Any, Any]]]) -> list[tuple[Any, Any]]:
    if not is_there(path):
        return []
    if header(path)[18:19] > b"\2":  # "for reading only", which SQLite would find out at the first write
        raise StoreDamaged(f"The store file {path} is damaged: its header is not the engine's.")
    # Only the very first opening uses a rollback journal; after a crash there SQLite must write to undo it.
    mode = "rw" if os.path.lexists(beside(path, "-journal")) else "ro"
    uri = f"file:{quote(str(path))}?mode={mode}"
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=LOCK_PATIENCE)) as connection:
            connection.text_factory = bytes
            return rows_of(connection)
    except (sqlite3.Error, UnicodeError) as error:  # its own message may hold the damage
        raise unreadable(path, error) from error


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
    """`False` after a crash during the very first opening."""
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table'").fetchall())


def unreadable(path: Path, error: Exception) -> StoreError:
    """The error to raise: `StoreDamaged`, unless the trouble is around the file and not in it."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    if code & 0xFF in _AROUND and code != sqlite3.SQLITE_IOERR_SHORT_READ:
        return StoreError(f"The store file {path} cannot be used: {cause(error)}.")
    return StoreDamaged(f"The store file {path} is damaged: {cause(error)}.")
