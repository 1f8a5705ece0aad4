"""One lane as its owner holds it: the lease, the epoch that every write carries, and the mark of all its keys."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from engine.cluster.database import Database, Row
from engine.errors import OwnershipLost

TTL = 2.0  # seconds for which a lease is given
RENEW_AFTER = 0.49  # seconds; lease and marks cost two or three writes a second, the call counters of the lane one more

_FENCE = """
WITH fence AS (SELECT id, mark FROM kraken_engine.lane WHERE id = %(lane)s AND epoch = %(epoch)s FOR SHARE)
"""

_RENEW = """
UPDATE kraken_engine.lane SET mark = greatest(mark, %(mark)s),
    lease_until = clock_timestamp() + %(ttl)s * interval '1 second'
WHERE id = %(lane)s AND epoch = %(epoch)s
RETURNING mark
"""
_RELEASE = """
UPDATE kraken_engine.lane SET epoch = epoch + 1, owner = NULL, url = NULL, lease_until = to_timestamp(0)
WHERE id = %(lane)s AND epoch = %(epoch)s
RETURNING epoch
"""
_LOST = (
    "The lane {lane} is not this node's any more: another node has taken it, or the lease is over. Nothing more is "
    "sent or written for its accounts here; kraken-engine cluster status says who owns it."
)


class Lease:
    """The hold of a node on one lane, under one epoch. Any thread.

    Guarantees:
        - nothing is written once another has claimed the lane, or this one was released: `OwnershipLost`, from then on
          also without asking PostgreSQL;
        - no other node owns the lane before `sure_until`, in seconds of this machine's monotonic clock: the database
          counts from when it heard of a renewal, and this from when it was asked for;
        - `mark` is durable and covers every key of the lane, `key_marks` are those that keys have beyond it, by key id.
    """

    def __init__(
        self,
        database: Database,
        lane: str,
        epoch: int,
        mark: int,
        asked: float,
        *,
        ttl: float = TTL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database, self.lane, self.epoch, self.ttl = database, lane, epoch, ttl
        self.mark = mark
        self.key_marks: dict[str, int] = {}
        self.sure_until = asked + ttl
        self.is_lost = False
        self.writes = 0
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._asked = asked
        self._versions = itertools.count(1)

    def renew(self) -> bool:
        """Renew the lease; whether the lane is this node's. Raises `StoreError` when PostgreSQL does not say.

        Writes nothing when it was renewed less than `RENEW_AFTER` ago, by this or by a reservation: so a node may ask
        more often than it writes.
        """
        if not self.is_lost and self._monotonic() - self._asked >= RENEW_AFTER:
            self._renew(0)
        return not self.is_lost

    def reserve(self, mark: int) -> None:
        """Return when `mark` is durable, with the lease renewed in the same statement.

        Raises `StoreError`, or `OwnershipLost` without having changed anything.
        """
        self.check_held()
        if mark > self.mark:
            self._renew(mark)
            self.check_held()

    def check(self) -> None:
        """Raise `OwnershipLost` when the lane may be another node's by now. Asks nobody."""
        if self.is_lost or self._monotonic() >= self.sure_until:
            raise self._lost()

    def check_held(self) -> None:
        """Raise `OwnershipLost` when PostgreSQL has said that the lane is not this node's. Asks nobody."""
        if self.is_lost:
            raise self._lost()

    def verify(self) -> None:
        """Ask PostgreSQL whether the lane is still this node's. Raises `OwnershipLost`, else `StoreError`."""
        self.write("SELECT count(*) FROM fence", {})

    def write(self, statement: str, values: Mapping[str, Any]) -> Row:
        """Run a statement behind the fence, and return what it returns.

        The fence is its common table expression ``fence``, of one row while the epoch is the newest, else of none; no
        other node takes the lane meanwhile. The statement writes only what it joins with that, and returns one row
        that begins with the fence's count. Raises `OwnershipLost`, and then nothing was written; else `StoreError`.
        """
        self.check_held()
        row = self.database.run(_FENCE + statement, {**values, "lane": self.lane, "epoch": self.epoch})[0]
        if not row[0]:
            self.is_lost = True
            raise self._lost()
        self.writes += 1
        return row[1:]

    def version(self) -> int:
        """The number of a write: higher than that of every earlier one under this epoch."""
        return next(self._versions)

    def release(self) -> None:
        """Give the lane back, so that another node can claim it at once. Nothing is written here any more.

        Raises `StoreError` when PostgreSQL does not hear of it: then the lease runs out by itself.
        """
        was_lost, self.is_lost = self.is_lost, True
        if not was_lost:
            self.database.run(_RELEASE, {"lane": self.lane, "epoch": self.epoch})

    def _renew(self, mark: int) -> None:
        asked = self._monotonic()
        values = {"lane": self.lane, "epoch": self.epoch, "mark": mark, "ttl": self.ttl}
        rows = self.database.run(_RENEW, values)
        with self._lock:
            if not rows:
                self.is_lost = True
                return
            self.writes += 1
            self.mark = max(self.mark, int(rows[0][0]))
            self._asked = max(self._asked, asked)
            self.sure_until = max(self.sure_until, asked + self.ttl)

    def _lost(self) -> OwnershipLost:
        return OwnershipLost(_LOST.format(lane=self.lane))
