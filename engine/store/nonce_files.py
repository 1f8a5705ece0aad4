"""The two files of nonce marks: what opening finds in each, and what follows from the pair, as one table.

::

    main \\ copy   intact     blank      damaged    unusable
    intact        both       restored   restored   main-alone
    blank         restored   new        lost       refused
    damaged       restored   lost       lost       refused
    unusable      refused    refused    refused    refused

A file is *intact*, *blank* (missing or empty), *damaged* (it is not as the engine wrote it), or *unusable*: not to be
read or trusted for another reason, such as its mode. *both*: the higher mark of each key counts, and nothing is said.
*restored*: the intact file knows the marks and the other is begun anew with them. *lost*: both are begun anew, with the
marks that their bytes still show. *main-alone*: the main file knows the marks, and the copy is not written. *new*: no
mark was ever kept, and nothing is said. *refused*: a person can fix the unusable file; starting without it would forget
its marks. A damaged file is put aside, never deleted.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import StoreDamaged, StoreError
from engine.rules.transitions import table
from engine.store.files import put_aside
from engine.store.reader import read_documents, salvage
from engine.store.writer import Store
from engine.values.dataclass import dataclass

FILE_NAME = "nonces.sqlite"
COPY_NAME = "nonces-copy.sqlite"

Warn = Callable[[str, str], None]
OpenStore = Callable[[Path], Store]

LOST = (
    "{damage} Every mark that either still shows counts; beyond those, nonces start at this machine's clock. Before "
    "you go on: check that the clock is right. If a nonce was ever raised above the clock ('kraken-engine nonce raise' "
    "or 'nonce import'), raise it again. If Kraken answers EAPI:Invalid nonce, make a new API key. Check the disk."
)
RESTORED = "{damage} The nonce marks were taken from {intact}; nonces go on above them. Check the disk."
COPY_FAILS = "{error} Until this is fixed, " + FILE_NAME + " alone keeps the nonce marks."


class FileState(Enum):
    """What opening finds in one file."""

    INTACT = "intact"
    BLANK = "blank"
    DAMAGED = "damaged"
    UNUSABLE = "unusable"


class FilePair(Enum):
    """What follows from both files."""

    BOTH = "both"
    RESTORED = "restored"
    LOST = "lost"
    MAIN_ALONE = "main-alone"
    NEW = "new"
    REFUSED = "refused"


TABLE = table(
    FileState,
    {
        FileState.INTACT: (FilePair.BOTH, FilePair.RESTORED, FilePair.RESTORED, FilePair.MAIN_ALONE),
        FileState.BLANK: (FilePair.RESTORED, FilePair.NEW, FilePair.LOST, FilePair.REFUSED),
        FileState.DAMAGED: (FilePair.RESTORED, FilePair.LOST, FilePair.LOST, FilePair.REFUSED),
        FileState.UNUSABLE: (FilePair.REFUSED, FilePair.REFUSED, FilePair.REFUSED, FilePair.REFUSED),
    },
)


class OpenFiles(NamedTuple):
    """The opened files and the marks by key id that both hold, or are to hold with the next reservation."""

    main: Store
    copy: Store | None
    marks: Mapping[str, int]


def open_files(directory: Path, open_store: OpenStore, warn: Warn) -> OpenFiles:
    """Open both files as the table says and bring them up to the higher marks.

    `warn` is told ``nonces-restored``, ``nonces-lost`` or ``nonces-copy-failing``. Raises `StoreError`.
    """
    main, copy = _look(directory / FILE_NAME), _look(directory / COPY_NAME)
    pair, refusal = TABLE[main.state][copy.state], main.refusal or copy.refusal
    if refusal and pair is FilePair.REFUSED:
        raise refusal
    marks = _highest(main.marks, copy.marks)
    copy_store, copy_damage = _open_copy(main, copy, marks, open_store, warn)  # first: a damaged main file is moved
    try:
        store, damage = _open(main, marks, open_store)
    except BaseException:
        if copy_store is not None:
            copy_store.close()
        raise
    _warn_of(pair, f"{damage} {copy_damage}".strip(), main if main.is_intact else copy, warn)
    return OpenFiles(store, copy_store, marks)


def read_marks(directory: Path) -> dict[str, int]:
    """The marks by key id, the higher of both files. Read-only; works while an engine is running.

    Raises `StoreError` when a file cannot be read and the other is not intact.
    """
    main, copy = _look(directory / FILE_NAME), _look(directory / COPY_NAME)
    error = main.error or copy.error
    if error and not (main.is_intact or copy.is_intact):
        raise error
    return _highest(main.marks, copy.marks)


def document(mark: int) -> dict[str, str]:
    """How a mark is written under its key id."""
    return {"mark": str(mark)}


@dataclass(frozen=True, slots=True)
class _Found:
    """One file before anything changes it.

    `kept` are the marks of an intact file; `marks` are those and every higher one that its bytes still show.
    """

    path: Path
    state: FileState
    kept: Mapping[str, int]
    marks: Mapping[str, int]
    error: StoreError | None

    @property
    def is_intact(self) -> bool:
        return self.state is FileState.INTACT

    @property
    def refusal(self) -> StoreError | None:
        return self.error if self.state is FileState.UNUSABLE else None


def _look(path: Path) -> _Found:
    kept: dict[str, int] = {}
    error: StoreError | None = None
    try:
        kept = _marks(path, read_documents(path))
    except StoreDamaged as damage:
        error = damage
    except StoreError as refusal:
        return _Found(path, FileState.UNUSABLE, {}, {}, refusal)
    state = FileState.DAMAGED if error else FileState.BLANK if _is_blank(path) else FileState.INTACT
    return _Found(path, state, kept, _highest(kept, *_salvaged(path)), error)


def _is_blank(path: Path) -> bool:
    try:
        return os.path.getsize(path) == 0
    except OSError:
        return True


def _open_copy(
    main: _Found, copy: _Found, marks: Mapping[str, int], open_store: OpenStore, warn: Warn
) -> tuple[Store | None, str]:
    """Open the copy; where that fails and an intact main file knows the marks, warn and go on without it."""
    try:
        if copy.refusal:
            raise copy.refusal
        return _open(copy, marks, open_store)
    except StoreError as error:
        if TABLE[main.state][FileState.UNUSABLE] is FilePair.REFUSED:
            raise
        warn("nonces-copy-failing", COPY_FAILS.format(error=error))
        return None, ""


def _open(found: _Found, marks: Mapping[str, int], open_store: OpenStore) -> tuple[Store, str]:
    """Open one file, put aside first when damaged, and bring it up to `marks`; also a sentence on the damage."""
    damage = ""
    if found.state is FileState.DAMAGED:
        damage = f"{found.error} It was put aside as {put_aside(found.path).name}."
    elif found.state is FileState.BLANK and marks:
        damage = f"The store file {found.path} was missing or empty."
    store = open_store(found.path)
    try:
        for key, mark in marks.items():
            if mark > found.kept.get(key, 0):
                store.put(key, document(mark))
    except StoreError:
        if not found.is_intact:  # an intact file gets the mark with its next reservation
            store.close()
            raise
    return store, damage


def _warn_of(pair: FilePair, damage: str, intact: _Found, warn: Warn) -> None:
    """Warn of lost or restored marks; a file that is missing beside one without marks is not damaged."""
    if pair is FilePair.LOST:
        warn("nonces-lost", LOST.format(damage=damage))
    elif pair is FilePair.RESTORED and damage:
        warn("nonces-restored", RESTORED.format(damage=damage, intact=intact.path.name))


def _salvaged(path: Path) -> list[dict[str, int]]:
    found = []
    for name, text in salvage(path):
        try:
            found.append(_marks(path, {name: text}))
        except StoreDamaged:  # an intact document of some other file
            continue
    return found


def _highest(*several: Mapping[str, int]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for marks in several:
        for key, mark in marks.items():
            highest[key] = max(mark, highest.get(key, 0))
    return highest


def _marks(path: Path, documents: Mapping[str, Any]) -> dict[str, int]:
    try:
        return {key: int(each["mark"]) for key, each in documents.items()}
    except (TypeError, KeyError, ValueError):
        raise StoreDamaged(f"The store file {path} holds something that is not a nonce mark.") from None
