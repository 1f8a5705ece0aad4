"""What the engine of one lane keeps and owns, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.cluster.documents import LaneDocuments
from engine.cluster.journal_rows import LaneJournal
from engine.cluster.lease import Lease
from engine.cluster.marks import LaneMarks
from engine.cluster.owner import LaneOwner, Warn


class LaneBacking:
    """What the engine of a lane keeps and owns, while this node has the lane.

    `local` is a private directory of this node for what may stay on the machine: balances, history, the catalogue.
    """

    fences = True
    """A new owner makes one accepted read per key before anything else: until then Kraken takes an old owner's call."""

    def __init__(self, lease: Lease, local: Path) -> None:
        self.lease, self.local = lease, local

    def own(self, keys: Iterable[tuple[str, str]], warn: Warn) -> LaneOwner:
        """Take the API keys, given as account and hash of the key. Raises `StoreInUse` or `StoreError`."""
        return LaneOwner(self.lease, keys, warn)

    def open_marks(self, owner: LaneOwner, warn: Warn) -> LaneMarks:
        """The nonce marks of these keys."""
        return LaneMarks(owner, warn)

    def open_documents(
        self, name: str, owner: LaneOwner
    ) -> tuple[LaneDocuments, Mapping[str, Any] | None, str | None]:
        """A group of documents, what it holds (`None` after damage: nothing of it counts), and what was damaged."""
        documents = LaneDocuments(self.lease, name)
        return documents, *documents.begin()

    def open_journal(self) -> LaneJournal:
        """The journal of orders."""
        return LaneJournal(self.lease)
