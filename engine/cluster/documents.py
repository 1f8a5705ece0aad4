"""Documents of a lane in PostgreSQL: written behind the fence, in the order in which they were given."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from engine.cluster.database import Row
from engine.cluster.lease import Lease
from engine.errors import StoreDamaged, StoreError
from engine.store.codec import decode, encode

AT_ONCE = 400  # documents read at a time

_TURN = """
, turn AS (
    INSERT INTO kraken_engine.file AS file (lane, name, epoch, version)
    SELECT fence.id, %(file)s, %(epoch)s, %(version)s FROM fence
    ON CONFLICT (lane, name) DO UPDATE SET epoch = excluded.epoch, version = excluded.version
    WHERE (file.epoch, file.version) <= (excluded.epoch, excluded.version)
    RETURNING file.lane
)
"""
"""A write whose answer did not come may be done later, after a newer one; then its turn is over and it does nothing."""

_PUT = """
, written AS (
    INSERT INTO kraken_engine.document (lane, file, name, body)
    SELECT turn.lane, %(file)s, new.name, new.body
    FROM turn, unnest(%(names)s::text[], %(bodies)s::text[]) AS new (name, body) ORDER BY new.name
    ON CONFLICT (lane, file, name) DO UPDATE SET body = excluded.body
)
SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM turn)
"""
_REMOVE = """
, removed AS (
    DELETE FROM kraken_engine.document AS document USING turn
    WHERE document.lane = turn.lane AND document.file = %(file)s AND document.name = ANY(%(names)s)
)
SELECT (SELECT count(*) FROM fence), (SELECT count(*) FROM turn)
"""
_NAMED = """
SELECT name, body FROM kraken_engine.document WHERE lane = %s AND file = %s AND name = ANY(%s)
"""
_NAMES = """
SELECT name FROM kraken_engine.document WHERE lane = %s AND file = %s AND name >= %s AND name < %s
ORDER BY name LIMIT %s
"""
_BETWEEN = """
SELECT name, body FROM kraken_engine.document WHERE lane = %s AND file = %s AND name >= %s AND name < %s
ORDER BY name
"""
_AFTER = """
SELECT name, body FROM kraken_engine.document WHERE lane = %s AND file = %s AND name > %s ORDER BY name LIMIT %s
"""

_DAMAGED = (
    "The document {name!r} in {file} of lane {lane} is damaged: PostgreSQL holds something else than what the engine "
    "wrote."
)


class LaneDocuments:
    """Documents by name, in one group of a lane. Safe from several threads, one at a time.

    Guarantees:
        - when a write returns, it is durable; it is done whole or not at all;
        - nothing is written under an epoch that is over (`OwnershipLost`);
        - a write that was given up, because PostgreSQL did not answer, never undoes a later one;
        - a document that is not as it was written is never returned: `StoreDamaged`.

    Everything raises `StoreError` while PostgreSQL does not answer. With `lane`, those of another lane are read; they
    are not written.
    """

    def __init__(self, lease: Lease, file: str, lane: str | None = None) -> None:
        self._lease, self._file, self._lane = lease, file, lane or lease.lane
        self._lock = threading.Lock()

    def documents(self) -> dict[str, Any]:
        """Every document by name."""
        found: dict[str, Any] = {}
        while part := self._read(_AFTER, max(found, default=""), AT_ONCE):
            found |= part
        return found

    def begin(self) -> tuple[dict[str, Any] | None, str | None]:
        """Every document by name; when one is damaged, all are removed, and the sentence says so."""
        try:
            return self.documents(), None
        except StoreDamaged as error:
            self.remove(self.names("", "\U0010ffff"))
            return None, f"{error} All of them were removed, and empty ones begun."

    def named(self, names: Sequence[str]) -> dict[str, Any]:
        """The documents of these names that there are."""
        return self._read(_NAMED, list(names)) if names else {}

    def names(self, first: str, end: str, at_most: int | None = None) -> list[str]:
        """The names from `first` to before `end`, in the order of their bytes."""
        rows = self._lease.database.run(_NAMES, [self._lane, self._file, first, end, at_most])
        return [str(name) for (name,) in rows]

    def between(self, first: str, end: str) -> dict[str, Any]:
        """The documents from name `first` to before `end`, in that order."""
        return self._read(_BETWEEN, first, end)

    def put(self, name: str, document: Any) -> None:
        """Write one document."""
        self.put_all({name: document})

    def put_all(self, documents: Mapping[str, Any]) -> None:
        """Write several documents, all or none."""
        if documents:
            bodies = [encode(name, document) for name, document in documents.items()]
            self._write(_PUT, names=[*documents], bodies=bodies)

    def remove(self, names: Sequence[str]) -> None:
        """Remove documents; a missing name is ignored."""
        if names:
            self._write(_REMOVE, names=list(names))

    def close(self) -> None:
        """Nothing is open."""

    def _write(self, statement: str, **values: Any) -> None:
        with self._lock:
            turn = {"file": self._file, "version": self._lease.version()}
            (is_done,) = self._lease.write(_TURN + statement, values | turn)
        if not is_done:
            raise StoreError(f"A later write to {self._file} of lane {self._lease.lane} came first: this one is void.")

    def _read(self, statement: str, *values: Any) -> dict[str, Any]:
        rows = self._lease.database.run(statement, [self._lane, self._file, *values])
        return dict(self._decoded(row) for row in rows)

    def _decoded(self, row: Row) -> tuple[str, Any]:
        name, body = row
        try:
            return decode(str(name).encode(), body, self._file)
        except StoreDamaged:
            raise StoreDamaged(_DAMAGED.format(name=name, file=self._file, lane=self._lane)) from None
