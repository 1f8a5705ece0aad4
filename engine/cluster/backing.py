"""What the engine of one lane keeps and owns, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.cluster.documents import LaneDocuments
from engine.cluster.journal_rows import LaneJournal
from engine.cluster.lease import Lease
from engine.cluster.marks import LaneMarks
from engine.cluster.owner import LaneOwner
from engine.store import prepare_directory
from engine.store.backing import Warn
from engine.values import Clock


class LaneBacking:
    """What the engine of a lane keeps and owns, while this node has the lane (`engine.store.backing.Backing`).

    `local` is a directory of this node for what may be lost: balances, their history, names of assets.
    """

    fences = True
    """Calls of the lane's earlier owner may still arrive at Kraken, from another machine."""

    def __init__(self, lease: Lease, local: Path) -> None:
        self.lease, self.local = lease, local
        self.is_handed_over = True
        """The next owner renews the dead man's switches; false where no node is left that could."""

    def own(self, keys: Iterable[tuple[str, str]], warn: Warn) -> LaneOwner:
        """Take the API keys, given as account and hash of the key. Raises `StoreInUse` or `StoreError`."""
        prepare_directory(self.local)
        return LaneOwner(self.lease, keys, warn)

    def open_marks(self, owner: LaneOwner, clock: Clock, warn: Warn) -> LaneMarks:
        """The nonce marks of the keys; `clock` is the one that the nonces follow."""
        return LaneMarks(owner.lease, clock, warn)

    def open_documents(
        self, name: str, owner: LaneOwner
    ) -> tuple[LaneDocuments, Mapping[str, Any] | None, str | None]:
        """The documents of that name, what they tell (`None`: they were damaged, and empty ones begun), and the damage.

        Raises `StoreError`.
        """
        documents = LaneDocuments(owner.lease, name)
        return documents, *documents.begin()

    def open_journal(self) -> LaneJournal:
        """The journal of orders. Raises `StoreError`."""
        return LaneJournal(self.lease)
