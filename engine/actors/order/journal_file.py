"""The file of the journal: what is live is read once, at the start; the rest when somebody asks for it by name."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.actors.order import journal_rows as layout
from engine.errors import StoreDamaged, StoreError
from engine.rules.order.placement import Placement
from engine.store import AT_ONCE, Store, check_names, put_aside, read_documents, read_named, read_range
from engine.store.generations import FILE_NAME as WITNESS_NAME
from engine.store.generations import Generation, Witness

FILE_NAME = "orders.sqlite"
CLIENTS_AT_MOST = 5_000  # placements of one name that are looked at, the newest

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


class JournalFile:
    """The placements, pauses and dead man's switches of one state directory on disk. One thread writes at a time.

    - What writes returns when it is durable, and raises `StoreError`. `AT_ONCE` documents are written all or none.
    - `get` and `find` take one or two lookups by name, however many placements there are.
    - A journal that is damaged, missing, without its log, older than its `Witness` says or of another directory is put
      aside, and a new one begun: with the placements of one that is only too old, else without any. `damage` says so,
      and `obstacle` does until that file has been moved away.

    `live` are the placements that were live, and `switches` the dead man's switches that were armed, in seconds by
    account (0: it was being disarmed), when the file was opened; `pauses` tells since when an account's trading
    is paused, in Unix seconds. `verify` is called before each write and raises `StoreError` when the file
    must not be written.
    """

    def __init__(
        self, directory: Path, open_store: Callable[..., Store] = Store, verify: Callable[[], None] = owned
    ) -> None:
        self._directory, self._open_store, self._verify = directory, open_store, verify
        self._path = directory / FILE_NAME
        self._is_changed = False  # since the last generation
        self.live: list[Placement] = []
        self.switches: dict[str, int] = {}
        self.pauses: dict[str, float] = {}
        self._witness = Witness(directory, FILE_NAME)
        self.damage = self._witness.damage
        try:
            self._store, self._generation = self._open()
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

    def get(self, cl_ord_id: str) -> Placement | None:
        """The placement of that name. Raises `StoreError` when it cannot be read."""
        return self._rows([cl_ord_id]).get(cl_ord_id)

    def find(self, account: str, name: str) -> Placement | None:
        """The placement of that id, `cl_ord_id` or txid. Raises `StoreError` when it cannot be read."""
        leads = layout.leads(account, name)
        found = read_named(self._path, leads)
        row = self.get(next((str(found[lead]) for lead in leads if lead in found), name))
        return row if row is not None and row.account == account else None

    def find_all(self, account: str, names: Mapping[str, str | None]) -> dict[str, Placement]:
        """Placements by the txid, with the `cl_ord_id` of each where it is known; otherwise like `find`."""
        leads = {txid: layout.leads(account, txid)[1] for txid in names}
        told: dict[str, Any] = {}
        for at in range(0, len(leads), AT_ONCE):
            told |= read_named(self._path, list(leads.values())[at : at + AT_ONCE])
        targets = {txid: str(told.get(lead) or names[txid] or "") for txid, lead in leads.items()}
        rows = self._rows(list(dict.fromkeys(targets.values())))
        return {txid: rows[name] for txid, name in targets.items() if name in rows and rows[name].account == account}

    def of_client(self, account: str, client: str | None, param: str, value: str | int) -> list[Placement]:
        """A client's placements with this name, the newest first. Raises `StoreError` when they cannot be read."""
        first = layout.of_client(account, client, param, value)
        names = [mark.rpartition("/")[2] for mark in read_range(self._path, first, f"{first}~")]
        rows = self._rows(names[-CLIENTS_AT_MOST:])
        return [rows[name] for name in reversed(names) if name in rows]

    def begin(self, row: Placement, instead_of: Placement | None) -> None:
        """Write a new placement; it takes the id from the one that is dropped."""
        self._put(layout.new_documents(row))
        if instead_of is not None:
            with contextlib.suppress(StoreError):  # its id does not lead to it any more
                self._remove(layout.names(instead_of))

    def send(self, row: Placement) -> None:
        """Write a placement that goes out as soon as this returns: from then on its loss would be noticed."""
        self._commit({row.cl_ord_id: row.to_dict()})

    def keep(self, rows: Sequence[Placement]) -> None:
        """Write what is known now of placements that were written before."""
        self._put({name: each for row in rows for name, each in layout.documents(row).items()})
        with contextlib.suppress(StoreError):  # found to be over at the next start
            self._remove([layout.live_mark(row) for row in rows if not row.is_live])

    def keep_switch(self, account: str, seconds: int) -> None:
        """Write how long a dead man's switch is armed for."""
        document = {layout.SWITCH + account: seconds}
        if self.switches.get(account) == seconds:
            self._put(document)
        else:
            self._commit(document)
        self.switches[account] = seconds

    def forget_switch(self, account: str) -> None:
        """A switch is disarmed."""
        self.switches.pop(account, None)
        self._remove([layout.SWITCH + account])

    def keep_pause(self, account: str, since: float) -> None:
        """Write that the account's trading is paused."""
        self._commit({layout.PAUSE + account: since})
        self.pauses[account] = since

    def forget_pause(self, account: str) -> None:
        """Write that the account's trading goes on."""
        self._remove([layout.PAUSE + account])
        self.pauses.pop(account, None)

    def forget(self, now: float, at_most: int = AT_ONCE) -> None:
        """Drop placements that need not be kept any longer at `now`, no more than some at a time."""
        marks = read_range(self._path, layout.OVER, layout.over_before(now), at_most)
        rows = self._rows([mark.rpartition("/")[2] for mark in marks]).values()
        old = [row for row in rows if row.is_forgotten(now)]
        self.keep([row for row in rows if not row.is_forgotten(now)])  # marked anew: something happened to them later
        held = read_named(self._path, [layout.leads(row.account, row.id)[0] for row in old])
        names = [name for row in old for name in layout.names(row)]
        self._remove([*names, *layout.lost_leads(old, held), *marks])

    def close(self) -> None:
        """Close the file, as a generation of its own when something was written since the last one."""
        with contextlib.suppress(StoreError):
            if self._is_changed:
                self._commit({})
        self._store.close()
        self._witness.close()

    # Writing

    def _commit(self, documents: Mapping[str, Any]) -> None:
        """Write documents as a new generation: durable here before the witness hears of it, so never behind it."""
        self._generation = self._generation._replace(number=self._generation.number + 1)
        self._put({**documents, layout.GENERATION: self._generation.to_dict()})
        self._witness.keep(self._generation)
        self._is_changed = False

    def _put(self, documents: Mapping[str, Any]) -> None:
        if documents:
            self._verify()
        self._is_changed = self._is_changed or bool(documents)
        self._store.put_all(documents)

    def _remove(self, names: Sequence[str]) -> None:
        if names:
            self._verify()
            self._store.remove(names)

    # Opening

    def _open(self) -> tuple[Store, Generation]:
        """The file as it is, or after damage an empty one."""
        try:
            store = self._open_file()
        except StoreDamaged as error:
            return self._begin_anew(error)
        try:
            return store, self._take(store)
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

    def _begin_anew(self, error: StoreDamaged) -> tuple[Store, Generation]:
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
        return store, generation

    def _read_live(self, store: Store) -> None:
        marks = read_range(self._path, layout.LIVE, f"{layout.LIVE}~")
        rows = self._rows([mark.removeprefix(layout.LIVE) for mark in marks])
        if len(rows) < len(marks):
            raise StoreDamaged(f"The store file {self._path} is damaged: a placement is gone from it.")
        self.live = [row for row in rows.values() if row.is_live]
        self.switches = layout.switches(read_range(self._path, layout.SWITCH, f"{layout.SWITCH}~"))
        self.pauses = layout.pauses(read_range(self._path, layout.PAUSE, f"{layout.PAUSE}~"))
        with contextlib.suppress(StoreError):  # the engine ended between two writes; tried again at the next start
            store.remove([layout.live_mark(row) for row in rows.values() if not row.is_live])

    def _rows(self, names: Sequence[str]) -> dict[str, Placement]:
        names = [name for name in names if layout.is_name(name)]
        found: dict[str, Placement] = {}
        for start in range(0, len(names), AT_ONCE):
            part = read_named(self._path, names[start : start + AT_ONCE])
            found.update({name: layout.placement(each, self._path) for name, each in part.items()})
        return found


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
