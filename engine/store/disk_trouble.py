"""A disk that is full or fails: what to do, in words that follow the system's own."""

from __future__ import annotations

import errno
import sqlite3

_FULL = (errno.ENOSPC, errno.EDQUOT)


def disk_remedy(error: BaseException) -> str:
    """The end of a sentence that tells the failure; empty where it is none of a disk.

    SQLite names a file that may grow no more like a disk that fails.
    """
    number = error.errno if isinstance(error, OSError) else None
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if number in _FULL or code == sqlite3.SQLITE_FULL:
        return ", so free space on its disk"
    if number == errno.EIO or code == sqlite3.SQLITE_IOERR:
        return ", so free space on its disk, or replace a disk that fails by the system's log"
    return ""
