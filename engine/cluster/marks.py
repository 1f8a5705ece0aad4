"""The durable nonce marks of a lane's keys: one mark for all of them, renewed together with the lease."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial

from engine.cluster.database import Database
from engine.cluster.lease import Lease
from engine.errors import OwnershipLost, StoreError
from engine.store.backing import Soon, Warn
from engine.store.write_outage import WriteOutage
from engine.values import Clock

AHEAD = 600 * 1_000_000_000
"""Nanoseconds: a key whose mark is further ahead of the clock has one of its own, as no other key must follow it there.
More than a clock may be wrong and still be believed, so keys that follow the clock share the lane's mark."""

_RAISE = """
, raised AS (
    UPDATE kraken_engine.key SET mark = greatest(key.mark, %(mark)s) FROM fence
    WHERE key.key_id = %(key_id)s AND key.lane = fence.id
    RETURNING key.mark
)
SELECT (SELECT count(*) FROM fence), (SELECT raised.mark FROM raised)
"""

_ALL = """
SELECT key.key_id, greatest(key.mark, lane.mark) FROM kraken_engine.key
LEFT JOIN kraken_engine.lane ON lane.id = key.lane
"""

FAILS = (
    "{error} Until this is over no nonce above the mark is used: calls end as not sent, and cancels use the nonces "
    "kept for them while they last."
)
NOT_OURS = "The API key {key_id:.8} belongs to another lane by now: nothing more is sent with it here."

logger = logging.getLogger(__name__)


def marks_of(database: Database) -> dict[str, int]:
    """The durable mark of every key of the cluster, by the hash of the key. Raises `StoreError`."""
    return {str(key_id): int(mark) for key_id, mark in database.run(_ALL)}


class LaneMarks:
    """The marks of a lane's keys. Any thread may read them.

    Guarantees: `durable` and `renew` return only marks that PostgreSQL has, written under the epoch of this owner; a
    mark is never lowered; the keys that follow the clock cost about two writes a second together, however many there
    are.

    `warn` is told ``nonces-failing`` when PostgreSQL cannot be written, once until it can be again.
    """

    def __init__(self, lease: Lease, clock: Clock, warn: Warn) -> None:
        self._lease, self._clock = lease, clock
        self._outage = WriteOutage("nonces-failing", FAILS, warn)
        self._at_opening = lease.mark
        self._lock = threading.Lock()
        self._renewing: set[str] = set()
        self.reservations = 0
        self.write_seconds = 0.0

    def durable(self, key_id: str) -> int:
        """The highest durable mark of a key; 0 when it has none."""
        return max(self._lease.key_marks.get(key_id, 0), self._lease.mark)

    def all_durable(self) -> dict[str, int]:
        """The highest durable mark of every key that has one."""
        shared = self._lease.mark
        return {key_id: max(mark, shared) for key_id, mark in tuple(self._lease.key_marks.items())}

    def inherited(self, key_id: str) -> int:
        """The mark that a key had when this was opened, or when it was claimed: its nonces begin above it."""
        return max(self._lease.key_marks.get(key_id, 0), self._at_opening)

    def reserve(self, key_id: str, mark: int) -> None:
        """Return when `mark` is durable. Raises `OwnershipLost`, or `StoreError`."""
        if mark <= self.durable(key_id):
            return
        began = time.monotonic()
        try:
            if self._is_ahead(mark):
                self._raise(key_id, mark)
            else:
                self._lease.reserve(mark)
        except OwnershipLost:
            raise
        except StoreError as error:
            self._outage.failed(error)
            raise
        self._outage.succeeded()
        self.reservations += 1
        self.write_seconds += time.monotonic() - began

    def renew(self, soon: Soon, key_id: str, mark: int, wanted: int) -> int:
        """The highest durable mark of a key; while that is `mark`, `soon` reserves `wanted` (0: nothing is wanted)."""
        durable = self.durable(key_id)
        if durable <= mark < wanted:
            whose = key_id if self._is_ahead(wanted) else ""
            with self._lock:
                is_first = whose not in self._renewing
                self._renewing.add(whose)
            if is_first:
                try:
                    soon(partial(self._renew, key_id, wanted, whose))
                except RuntimeError:  # no thread can be started: `reserve` follows when the mark is reached
                    self._renewing.discard(whose)
        return durable

    def close(self) -> None:
        """Nothing is open."""

    def _renew(self, key_id: str, wanted: int, whose: str) -> None:
        try:
            self.reserve(key_id, wanted)
        except StoreError as error:
            logger.info("A nonce mark was not renewed: %s", error)  # the call that needs it reports it
        finally:
            self._renewing.discard(whose)

    def _is_ahead(self, mark: int) -> bool:
        return mark > self._clock.wall_ns() + AHEAD

    def _raise(self, key_id: str, mark: int) -> None:
        """Write the mark of one key."""
        (raised,) = self._lease.write(_RAISE, {"key_id": key_id, "mark": mark})
        if raised is None:
            raise OwnershipLost(NOT_OURS.format(key_id=key_id))
        self._lease.key_marks[key_id] = int(raised)
