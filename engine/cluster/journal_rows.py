"""The journal of a lane's orders in PostgreSQL."""

from __future__ import annotations

from engine.actors.backing.placement_rows import PlacementRows
from engine.cluster.documents import LaneDocuments
from engine.cluster.lease import Lease

FILE = "orders"

_BLOCKED = (
    "The journal of orders of lane {lane} is damaged: {count} of its live placements cannot be read, so it is not "
    "known which orders were placed. Look up your open and closed orders at Kraken, then delete the rows of "
    "kraken_engine.document that have lane '{lane}', file '{file}' and a name from {names}; live orders are taken "
    "again after that."
)


class LaneJournal(PlacementRows):
    """The placements, pauses and dead man's switches of one lane. One thread writes at a time.

    As `PlacementRows` says; every write is durable when it returns, and fenced (`OwnershipLost`).
    `damage` and `obstacle` say that live placements cannot be read; `obstacle` does until their marks are deleted.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease, self._lane = lease, lease.lane
        self._kept = LaneDocuments(lease, FILE)
        super().__init__(self._kept, f"The journal of lane {lease.lane}")
        self.read_live()
        self.damage = self._sentence(self.lost) if self.lost else None

    @property
    def obstacle(self) -> str | None:
        """Why nothing may be placed now, for a person; `None` when it may. Asks PostgreSQL only while it may not."""
        if not self.lost:
            return None
        there = self._kept.names(self.lost[0], f"{self.lost[-1]}~")
        self.lost = [mark for mark in self.lost if mark in there]
        return self._sentence(self.lost) if self.lost else None

    def verify(self) -> None:
        """Raise `OwnershipLost` when the lane is known to be lost. Asks nobody."""
        self._lease.check_held()

    def close(self) -> None:
        """Nothing is open."""

    def _sentence(self, lost: list[str]) -> str:
        names = ", ".join(f"'{mark}'" for mark in lost)
        return _BLOCKED.format(lane=self._lane, file=FILE, count=len(lost), names=names)
