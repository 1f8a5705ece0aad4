"""Issues nonces in a process of its own that a test may starve, break or kill.

``python tests/crash/issuer.py DIRECTORY [UID]`` obeys one word a line from stdin and answers each with a line of JSON:
the nonce, or the error, and the seconds it took while the machine ran. Every ``issue`` and ``cancel`` comes 2 seconds
later by its own clock, so that each needs a reservation on disk. With a UID it gives up being root first.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlitedict

from engine.errors import StoreError
from engine.rules.lane.nonce import SECOND
from engine.store import TABLE, Store
from engine.store.nonces import Nonces, file_nonces
from tests.stopwatch import Stopwatch

KEY = "0123456789abcdef" * 2


class LateClock:
    """A clock far behind, so that it hides no lost mark."""

    now = 1_000_000_000 * SECOND

    def wall_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return time.monotonic()


class Loose(sqlitedict.SqliteDict):
    """sqlitedict as it comes, synchronous=OFF, which it denies when asked."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        execute, select_one = connection.execute, connection.select_one
        connection.execute = lambda sql, *rest: None if "synchronous=FULL" in sql else execute(sql, *rest)
        connection.select_one = lambda sql, *rest: (2,) if sql == "PRAGMA synchronous" else select_one(sql, *rest)
        return connection


def open_loose(path: Path, **given: Any) -> Store:
    """A store that would lose its writes with the power."""
    options = {"tablename": TABLE, "autocommit": True, "journal_mode": "WAL", "outer_stack": False}
    return Store(path, open_dict=lambda path: Loose(str(path), **options), **given)


class Issuer:
    """What the words do."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clock = LateClock()
        self._nonces: Nonces | None = None
        self.warnings: list[str] = []

    def open(self, open_store: Callable[[Path], Store] = Store) -> None:
        self._nonces = file_nonces(
            self._directory, clock=self._clock, open_store=open_store, warn=lambda code, _: self.warnings.append(code)
        )

    def loose(self) -> None:
        self.open(open_loose)

    def issue(self, *, cancel: bool = False) -> int:
        assert self._nonces is not None
        self._clock.now += 2 * SECOND
        return self._nonces.issue(KEY, cancel=cancel)

    def cancel(self) -> int:
        return self.issue(cancel=True)

    def close(self) -> None:
        assert self._nonces is not None
        self._nonces.close()

    def obey(self, word: str) -> dict[str, Any]:
        answer: dict[str, Any] = {"word": word}
        with Stopwatch() as watch:
            try:
                answer["nonce"] = getattr(self, word)()
            except StoreError as error:
                answer["error"], answer["text"] = type(error).__name__, str(error)
        return {**answer, "seconds": watch.seconds, "warnings": self.warnings}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        os.setgroups([])
        os.setgid(int(sys.argv[2]))
        os.setuid(int(sys.argv[2]))
    issuer = Issuer(Path(sys.argv[1]))
    for line in sys.stdin:
        os.write(1, json.dumps(issuer.obey(line.strip())).encode() + b"\n")
