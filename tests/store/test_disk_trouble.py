"""The error of a disk says what to do; any other error is not taken for one of a disk."""

from __future__ import annotations

import errno
import sqlite3

import pytest

from engine.store.files import cause


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EIO, "Input/output error"), of_sqlite(sqlite3.SQLITE_FULL),
        of_sqlite(sqlite3.SQLITE_IOERR_WRITE), of_sqlite(sqlite3.SQLITE_IOERR_FSYNC),
    ],
)  # fmt: skip
def test_a_full_or_failing_disk_is_told_with_the_remedy(error: Exception) -> None:
    assert "so free space on its disk" in cause(error)


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "Permission denied"), of_sqlite(sqlite3.SQLITE_BUSY), ValueError("a value")],
)
def test_another_error_is_told_as_it_is(error: Exception) -> None:
    assert cause(error) == (getattr(error, "strerror", None) or str(error))
