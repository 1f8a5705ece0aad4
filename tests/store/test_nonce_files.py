"""G1 over damage: every combination of what the two files of nonce marks can be found to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import pytest

from engine.errors import StoreError
from engine.rules.lane.nonce import SECOND
from engine.store import Store, nonce_files
from engine.store.nonce_files import COPY_NAME, FILE_NAME, TABLE, FilePair, FileState, open_files, read_marks
from tests.crash.torture import Warnings

KEY = "0123456789abcdef" * 2
MARKS = {FILE_NAME: 5 * SECOND, COPY_NAME: 6 * SECOND}
CODES = {
    FilePair.RESTORED: ["nonces-restored"], FilePair.LOST: ["nonces-lost"],
    FilePair.MAIN_ALONE: ["nonces-copy-failing"],
}  # fmt: skip


def intact(path: Path) -> None:
    store = Store(path)
    store.put(KEY, {"mark": str(MARKS[path.name])})
    store.close()


def markless(path: Path) -> None:
    Store(path).close()


def blank(path: Path) -> None:
    path.write_bytes(b"")
    path.chmod(0o600)


def missing(path: Path) -> None:
    assert not path.exists()


def damaged(path: Path) -> None:
    path.write_bytes(b"no database" * 500)
    path.chmod(0o600)


def damaged_but_legible(path: Path) -> None:
    """Without its first page SQLite reads nothing; the bytes of the mark are still there."""
    intact(path)
    path.write_bytes(b"\xff" * 4096 + path.read_bytes()[4096:])


def unusable(path: Path) -> None:
    intact(path)
    path.chmod(0o666)


WAYS: Mapping[Callable[[Path], None], FileState] = {
    intact: FileState.INTACT,
    markless: FileState.INTACT,
    blank: FileState.BLANK,
    missing: FileState.BLANK,
    damaged: FileState.DAMAGED,
    damaged_but_legible: FileState.DAMAGED,
    unusable: FileState.UNUSABLE,
}
LEGIBLE = (intact, damaged_but_legible)
EVERY_PAIR = list(product(WAYS, WAYS))


def contents(directory: Path) -> dict[str, bytes]:
    """Every file by name, without what SQLite keeps beside a file that it reads."""
    kept = (each for each in directory.iterdir() if not each.name.endswith(("-wal", "-shm")))
    return {each.name: each.read_bytes() for each in kept}


def names(pair: tuple[Callable[[Path], None], Callable[[Path], None]]) -> str:
    return "-".join(way.__name__ for way in pair)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    return tmp_path


def test_the_drawing_is_the_table() -> None:
    lines = [line.split() for line in (nonce_files.__doc__ or "").splitlines()]
    states = [state.value for state in FileState]
    assert ["main", "\\", "copy", *states] in lines
    drawn = {line[0]: line[1:] for line in lines if line and line[0] in states and len(line) == 1 + len(states)}
    assert drawn == {main.value: [row[copy].value for copy in FileState] for main, row in TABLE.items()}


def test_only_intact_files_are_used_as_they_are() -> None:
    for main, copy in product(FileState, FileState):
        pair = TABLE[main][copy]
        assert (pair is FilePair.BOTH) == (main is copy is FileState.INTACT)
        assert pair is not FilePair.NEW or main is copy is FileState.BLANK
        assert (FileState.UNUSABLE in (main, copy)) == (pair in (FilePair.REFUSED, FilePair.MAIN_ALONE))


@pytest.mark.parametrize("pair", EVERY_PAIR, ids=map(names, EVERY_PAIR))
def test_what_is_used_and_what_is_said(
    directory: Path, pair: tuple[Callable[[Path], None], Callable[[Path], None]]
) -> None:
    for name, make in zip((FILE_NAME, COPY_NAME), pair, strict=True):
        make(directory / name)
    before = contents(directory)
    expected = TABLE[WAYS[pair[0]]][WAYS[pair[1]]]
    shown = {name: MARKS[name] for name, make in zip(MARKS, pair, strict=True) if make in LEGIBLE}
    highest = max(shown.values(), default=0)
    warnings = Warnings()
    if expected is FilePair.REFUSED:
        with pytest.raises(StoreError, match="chmod 600"):
            open_files(directory, Store, warnings)
        assert contents(directory) == before, "nothing was changed"
        assert not warnings
        return
    main, copy, marks = open_files(directory, Store, warnings)
    main.close()
    if copy is not None:
        copy.close()
    assert marks.get(KEY, 0) == highest
    assert (copy is None) == (expected is FilePair.MAIN_ALONE)
    for name, make in zip((FILE_NAME, COPY_NAME), pair, strict=True):
        if make is not unusable:
            assert Store(directory / name).documents().get(KEY, {"mark": "0"}) == {"mark": str(highest)}
        aside = [each.read_bytes() for each in directory.glob(f"{name}.damaged-*") if not each.name.endswith("-wal")]
        assert aside == ([before[name]] if WAYS[make] is FileState.DAMAGED else []), "put aside as it was"
    nothing_lost = not highest and FileState.DAMAGED not in (WAYS[pair[0]], WAYS[pair[1]])
    silent = expected is FilePair.RESTORED and nothing_lost
    assert warnings.codes() == ([] if silent else CODES.get(expected, []))


@pytest.mark.parametrize("pair", EVERY_PAIR, ids=map(names, EVERY_PAIR))
def test_reading_changes_nothing_and_needs_one_intact_file(
    directory: Path, pair: tuple[Callable[[Path], None], Callable[[Path], None]]
) -> None:
    for name, make in zip((FILE_NAME, COPY_NAME), pair, strict=True):
        make(directory / name)
    before = contents(directory)
    states = [WAYS[make] for make in pair]
    shown = [MARKS[name] for name, make in zip(MARKS, pair, strict=True) if make in LEGIBLE]
    if FileState.INTACT in states or states == [FileState.BLANK] * 2:
        assert read_marks(directory).get(KEY, 0) == max(shown, default=0)
    else:
        with pytest.raises(StoreError):
            read_marks(directory)
    assert contents(directory) == before
