"""What the engine of one machine keeps and owns: a state directory of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.actors.backing.journal_file import JournalFile
from engine.errors import OwnershipLost
from engine.ownership import Ownership
from engine.store import Store, open_or_replace
from engine.store.backing import Warn
from engine.store.file_marks import FileMarks
from engine.values import Clock


class FileBacking:
    """A state directory, which one engine of the machine owns at a time."""

    fences = False
    """An earlier owner is dead before the kernel frees what it held, so it sends nothing any more."""
    is_handed_over = False
    """No other engine continues when this one has stopped."""

    def __init__(self, directory: Path) -> None:
        self.local = directory
        self._owner: Ownership | None = None

    def own(self, keys: Iterable[tuple[str, str]], warn: Warn) -> Ownership:
        """Take the directory and the API keys, as account and hash of the key. Raises `StoreInUse` or `StoreError`."""
        self._owner = Ownership(self.local, keys, warn=warn)
        return self._owner

    def open_marks(self, owner: Ownership, clock: Clock, warn: Warn) -> FileMarks:
        """The nonce marks."""
        return FileMarks(owner.directory, warn, verify=owner.verify)

    def open_documents(self, name: str, owner: Ownership) -> tuple[Store, Mapping[str, Any] | None, str | None]:
        """The file of that name, what it holds (`None`: it was damaged, and an empty one begun), and that damage."""
        store, damage = open_or_replace(owner.directory / f"{name}.sqlite")
        try:
            return store, None if damage else store.documents(), damage
        except BaseException:
            store.close()
            raise

    def open_journal(self) -> JournalFile:
        """The journal of orders. Each write asks the present owner first."""
        return JournalFile(self.local, verify=self._verify)

    def _verify(self) -> None:
        if self._owner is None:
            raise OwnershipLost(f"No engine of this process has taken {self.local}: nothing is written to it.")
        self._owner.verify()
