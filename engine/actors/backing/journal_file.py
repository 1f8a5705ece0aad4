"""The file of the journal: what is live is read once, at the start; the rest when somebody asks for it by name."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.actors.backing import journal_rows as layout
from engine.actors.backing.placement_rows import PlacementRows
from engine.errors import StoreDamaged, StoreError
from engine.rules.order.placement import Placement
from engine.store import AT_ONCE, Store, check_names, put_aside, read_documents, read_named, read_range
from engine.store.generations import FILE_NAME as WITNESS_NAME
from engine.store.generations import Generation, Witness

FILE_NAME = "orders.sqlite"

_BLOCKED = (
    "The journal of orders was damaged, lost or too old, and was put aside as {name} in {directory}: which orders were "
    "placed before is not known. Look up your open and closed orders at Kraken, then move that file away; live orders "
    "are taken again after that."
)
_WITNESS_LOST = (
    "{what} {name} tells whether the journal of orders is the newest; it was begun anew from the journal. If files "
    "were put back from a backup, look up your open and closed orders at Kraken."
)


def owned() -> None:
    """The default `verify`: for a caller that owns the directory for as long as the file is open."""


class JournalFile(PlacementRows):
    """The placements, pauses and dead man's switches of one state directory on disk. One thread writes at a time.

    - What writes returns when it is durable, and raises `StoreError`. `AT_ONCE` documents are written all or none.
    - A journal that is damaged, missing, without its log, older than its `Witness` says or of another directory is put
      aside, and a new one begun: with the placements of one that is only too old, else without any. `damage` says so,
      and `obstacle` does until that file has been moved away.

    Otherwise as `PlacementRows` says. `verify` is called before each write and raises `StoreError` when the file must
    not be written.
    """

    def __init__(
        self, directory: Path, open_store: Callable[..., Store] = Store, verify: Callable[[], None] = owned
    ) -> None:
        self._directory, self._open_store, self._verify = directory, open_store, verify
        self._path = directory / FILE_NAME
        self._witness = Witness(directory, FILE_NAME)
        self.damage = self._witness.damage
        try:
            self._generation = self._open()
        except BaseException:
            self._witness.close()
            raise
        self._is_blocked = True  # until `obstacle` has looked

    @property
    def obstacle(self) -> str | None:
        """Why nothing may be placed now, for a person; `None` when it may. Looks at the disk only while it may not."""
        if not self._is_blocked:
            return None
        try:
            found = sorted(each for each in os.listdir(self._directory) if each.startswith(f"{FILE_NAME}.damaged-"))
        except OSError as error:  # `Path.glob` would find nothing
            return f"The state directory {self._directory} cannot be looked at: {error.strerror}."
        aside = [each for each in found if not each.endswith(("-wal", "-shm"))]
        self._is_blocked = bool(aside)
        return _BLOCKED.format(name=aside[0], directory=self._directory) if aside else None

    def keep_switch(self, account: str, seconds: int) -> None:
        """Write how long a dead man's switch is armed for."""
        if self.switches.get(account) == seconds:  # only to see that it can be written: nothing new could be lost
            super().keep_switch(account, seconds)
            return
        self._commit({layout.SWITCH + account: seconds})
        self.switches[account] = seconds

    def keep_pause(self, account: str, since: float) -> None:
        """Write that the account's trading is paused."""
        self._commit({layout.PAUSE + account: since})
        self.pauses[account] = since

    def verify(self) -> None:
        """Raise `OwnershipLost` when the file must not be written."""
        self._verify()

    def close(self) -> None:
        """Close the file, as a generation of its own when something was written since the last one."""
        with contextlib.suppress(StoreError):
            if self._kept.is_changed:
                self._commit({})
        self._kept.store.close()
        self._witness.close()

    # Writing

    def _put_sent(self, documents: Mapping[str, Any]) -> None:
        """As a new generation: the loss of what goes out now would be noticed."""
        self._commit(documents)

    def _commit(self, documents: Mapping[str, Any]) -> None:
        """Write documents as a new generation: durable here before the witness hears of it, so never behind it."""
        self._generation = self._generation._replace(number=self._generation.number + 1)
        self._kept.put_all({**documents, layout.GENERATION: self._generation.to_dict()})
        self._witness.keep(self._generation)
        self._kept.is_changed = False

    # Opening

    def _open(self) -> Generation:
        """Open the file as it is, or after damage an empty one."""
        try:
            store = self._open_file()
        except StoreDamaged as error:
            return self._begin_anew(error)
        try:
            return self._take(store)
        except StoreDamaged as error:
            store.close()
            return self._begin_anew(error)
        except BaseException:
            store.close()
            raise

    def _open_file(self) -> Store:
        return self._open_store(self._path, check=check_names, guards_log=True)

    def _take(self, store: Store) -> Generation:
        """Read what is open, and the generation. Raises `StoreDamaged` for a file that is not the newest."""
        known, found = self._witness.generation, _generation(self._path)
        generation = found or Generation(known.file if known else uuid.uuid4().hex, 0)
        if known is not None and generation.file != known.file:
            raise StoreDamaged(f"The store file {self._path} is damaged: it belongs to another state directory.")
        if known is not None and generation.number < known.number:
            raise StoreDamaged(f"The store file {self._path} is damaged: it was lost, or an older one was put there.")
        if found is None:
            generation = generation._replace(number=int(_upgrade(store)))
            store.put(layout.GENERATION, generation.to_dict())
        self._read_live(store)
        if known is None and found is not None and found.number:
            what = self._witness.damage or f"{WITNESS_NAME} was gone."
            self.damage = _WITNESS_LOST.format(name=WITNESS_NAME, what=what)
        if known != generation:
            self._witness.keep(generation)
        return generation

    def _begin_anew(self, error: StoreDamaged) -> Generation:
        aside = put_aside(self._path)
        self.damage = f"{error} It was put aside as {aside.name}, and a new one begun."
        store = self._open_file()
        try:
            generation = self._witness.generation or Generation(uuid.uuid4().hex, 0)
            with contextlib.suppress(StoreDamaged):  # then nothing of it is taken over
                _take_over(aside, store, generation.file)
            store.put(layout.GENERATION, generation.to_dict())
            self._read_live(store)
            self._witness.keep(generation)
        except BaseException:
            store.close()
            raise
        return generation

    def _read_live(self, store: Store) -> None:
        self._kept = StoreDocuments(store, self._verify)
        super().__init__(self._kept, str(self._path))
        self.read_live()

    def readable(self, names: Sequence[str]) -> dict[str, Placement]:
        """All of the live placements. Raises `StoreDamaged` when one of them is gone."""
        rows = self.rows(names)
        if len(rows) < len(names):
            raise StoreDamaged(f"The store file {self._path} is damaged: a placement is gone from it.")
        return rows


class StoreDocuments:
    """The documents of a store file, found by name and in order. `verify` is called before each write."""

    def __init__(self, store: Store, verify: Callable[[], None]) -> None:
        self.store, self._verify = store, verify
        self.is_changed = False
        """Whether something was written since this was last set."""

    def named(self, names: Sequence[str]) -> dict[str, Any]:
        """The documents of these names that there are."""
        return self.store.named(names)

    def names(self, first: str, end: str, at_most: int | None = None) -> list[str]:
        """The names from `first` to before `end`, in the order of their bytes."""
        return list(self.store.between(first, end, -1 if at_most is None else at_most))

    def between(self, first: str, end: str) -> dict[str, Any]:
        """The documents of these names."""
        return self.store.between(first, end)

    def put_all(self, documents: Mapping[str, Any]) -> None:
        """Write documents."""
        if documents:
            self._verify()
            self.is_changed = True
        self.store.put_all(documents)

    def remove(self, names: Sequence[str]) -> None:
        """Remove documents; a missing name is ignored."""
        if names:
            self._verify()
            self.store.remove(names)


def _upgrade(store: Store) -> bool:
    """Add to the file of an earlier version what leads to its placements; whether there are any."""
    added: dict[str, Any] = {}
    found = read_documents(store.path)
    for part in layout.upgraded(found, store.path):
        added.update(part)
        if len(added) >= AT_ONCE:
            store.put_all(added)
            added = {}
    store.put_all(added)
    return bool(found)


def _generation(path: Path) -> Generation | None:
    document = read_named(path, [layout.GENERATION]).get(layout.GENERATION)
    try:
        return None if document is None else Generation.from_dict(document)
    except (TypeError, KeyError, ValueError):
        raise StoreDamaged(f"{path} holds a generation that this version cannot read.") from None


def _take_over(aside: Path, store: Store, file: str) -> None:
    """Copy what a journal tells that is sound and only too old. Raises `StoreDamaged` for one that is not."""
    old = Store(aside, check=check_names)  # rather than a reader, which would leave a log beside it
    try:
        found = _generation(aside)
        if found is not None and found.file == file:
            _check_whole(aside)
            for part in _doubted(aside):
                store.put_all(part)
    finally:
        old.close()


def _check_whole(aside: Path) -> None:
    names = {name for part in _doubted(aside) for name in part}
    if any(name.removeprefix(layout.LIVE) not in names for name in names if name.startswith(layout.LIVE)):
        raise StoreDamaged(f"The store file {aside} is damaged: a placement is gone from it.")


def _doubted(aside: Path) -> Iterator[dict[str, Any]]:
    last = ""
    while part := read_range(aside, f"{last}\0", "~", AT_ONCE):
        last = max(part)
        yield dict(layout.doubted(name, each, aside) for name, each in part.items())
