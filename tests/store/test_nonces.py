"""G1 on disk: the marks are kept twice, the higher one counts, and a damaged file is put aside with a warning."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
import sqlitedict

from engine.actors.balance.archive import FILE_NAME as BALANCES
from engine.actors.balance.archive import ArchiveActor
from engine.actors.events import EngineWarning
from engine.errors import NonceNotDurable, StoreDamaged, StoreError
from engine.rules.lane.nonce import KEPT_FOR_CANCELS, SECOND
from engine.store import Store, read_documents
from engine.store.nonces import COPY_NAME, FILE_NAME, Nonces, read_marks
from tests.crash.torture import DAY, KEYS, NOW, TurnedClock, Warnings, issue, make_marks

KEY = KEYS[0]
FILES = (FILE_NAME, COPY_NAME)


def _aside(directory: Path, name: str) -> list[Path]:
    return sorted(each for each in directory.iterdir() if each.name.startswith(f"{name}.damaged-"))


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 500)


def _flip(path: Path) -> None:
    """One bit of the last digit of every mark."""
    raw = bytearray(path.read_bytes())
    place = raw.find(b'{"mark": "')
    while place >= 0:
        raw[raw.index(b'"}', place) - 1] ^= 1
        place = raw.find(b'{"mark": "', place + 1)
    path.write_bytes(raw)


def _pickle(path: Path) -> None:
    path.unlink()
    planted = sqlitedict.SqliteDict(str(path), tablename="documents", autocommit=True)
    planted[KEY] = {"mark": "1"}
    planted.close()
    path.chmod(0o600)


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _balances(path: Path) -> None:
    path.unlink()
    store = Store(path)
    store.put(KEY, {"endpoint": "Balance"})
    store.close()


@pytest.mark.parametrize("damage", [_garbage, _flip, _pickle, _halve, _balances])
@pytest.mark.parametrize("name", FILES)
def test_damaged_file_is_put_aside_and_the_other_knows_the_marks(
    tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    clock, warnings = TurnedClock(), Warnings()
    highest = make_marks(tmp_path, clock)
    damage(tmp_path / name)
    bytes_before = (tmp_path / name).read_bytes()
    clock.now -= 30 * DAY
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert warnings.codes() == ["nonces-restored"]
    assert _aside(tmp_path, name)[0].read_bytes() == bytes_before, "put aside as it was, not deleted"
    assert _aside(tmp_path, name)[0].name in warnings[0][1]
    assert all(nonces.issue(key) > highest[key] for key in KEYS)
    nonces.close()
    Nonces(tmp_path, warn=warnings).close()
    assert len(warnings) == 1, "the next start has nothing to say"
    assert read_documents(tmp_path / FILE_NAME) == read_documents(tmp_path / COPY_NAME)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("remove", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_file_that_is_gone_is_made_anew_from_the_other(
    tmp_path: Path, name: str, remove: Callable[[Path], None]
) -> None:
    clock, warnings = TurnedClock(), Warnings()
    highest = make_marks(tmp_path, clock)
    remove(tmp_path / name)
    clock.now -= DAY
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert warnings.codes() == ["nonces-restored"]
    assert nonces.issue(KEY) > highest[KEY]
    nonces.close()


def test_both_damaged_goes_on_from_the_clock_and_says_what_to_check(tmp_path: Path) -> None:
    clock, warnings = TurnedClock(), Warnings()
    make_marks(tmp_path, clock)
    for name in FILES:
        _garbage(tmp_path / name)
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert warnings.codes() == ["nonces-lost"]
    for part in (*FILES, "clock", "nonce raise", "new API key", "disk"):
        assert part in warnings[0][1]
    assert all(_aside(tmp_path, name) for name in FILES)
    assert nonces.issue(KEY) >= clock.now
    nonces.close()


def test_what_a_damaged_file_still_shows_counts(tmp_path: Path) -> None:
    """Both lose their first page, without which SQLite reads nothing; the bytes of the marks are still there."""
    clock, warnings = TurnedClock(), Warnings()
    highest = make_marks(tmp_path, clock)
    for name in FILES:
        raw = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"\xff" * 4096 + raw[4096:])
    clock.now -= 300 * DAY
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert warnings.codes() == ["nonces-lost"]
    assert all(nonces.issue(key) > highest[key] for key in KEYS)
    nonces.close()


def test_flipped_mark_is_no_mark(tmp_path: Path) -> None:
    """A mark without its checksum may be too high by years, which would ruin the key: it does not count."""
    clock = TurnedClock()
    make_marks(tmp_path, clock, rounds=1)
    for name in FILES:
        raw = bytearray((tmp_path / name).read_bytes())
        while (place := raw.find(b'{"mark": "17')) >= 0:
            raw[place + len('{"mark": "')] = ord("8")
        (tmp_path / name).write_bytes(raw)
    nonces = Nonces(tmp_path, clock=clock, warn=Warnings())
    assert nonces.issue(KEY) == clock.now
    nonces.close()


@pytest.mark.parametrize("name", FILES)
def test_file_from_a_backup_lowers_nothing(tmp_path: Path, name: str) -> None:
    clock, warnings = TurnedClock(), Warnings()
    make_marks(tmp_path, clock)
    shutil.copy(tmp_path / name, tmp_path / "backup")
    highest = make_marks(tmp_path, clock)
    shutil.copy(tmp_path / "backup", tmp_path / name)
    assert all(read_marks(tmp_path)[key] >= highest[key] for key in KEYS)
    clock.now -= DAY
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert all(nonces.issue(key) > highest[key] for key in KEYS)
    nonces.close()
    assert not warnings
    assert read_documents(tmp_path / FILE_NAME) == read_documents(tmp_path / COPY_NAME)


def test_log_that_was_damaged_costs_no_mark(tmp_path: Path) -> None:
    """SQLite drops the end of a log that it cannot verify without a word, and with it the last marks."""
    clock, warnings = TurnedClock(), Warnings()
    (tmp_path / "live").mkdir()
    nonces = Nonces(tmp_path / "live", clock=clock)
    highest = issue(nonces, clock)
    shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    nonces.close()
    log = tmp_path / "crashed" / f"{FILE_NAME}-wal"
    raw = bytearray(log.read_bytes())
    raw[40] ^= 1
    log.write_bytes(raw)
    clock.now -= DAY
    again = Nonces(tmp_path / "crashed", clock=clock, warn=warnings)
    assert all(again.issue(key) > highest[key] for key in KEYS)
    again.close()


def test_read_marks_repairs_nothing(tmp_path: Path) -> None:
    make_marks(tmp_path, TurnedClock())
    marks = read_marks(tmp_path)
    _garbage(tmp_path / FILE_NAME)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    assert read_marks(tmp_path) == marks
    assert {name: (tmp_path / name).read_bytes() for name in FILES} == before
    assert not _aside(tmp_path, FILE_NAME)
    _garbage(tmp_path / COPY_NAME)
    with pytest.raises(StoreDamaged, match=FILE_NAME):
        read_marks(tmp_path)
    assert read_marks(tmp_path / "nowhere") == {}


class _Failing(Store):
    """A store whose writes fail while `broken` names its file."""

    broken: ClassVar[set[str]] = set()

    def put(self, name: str, document: object) -> None:
        if self.path.name in self.broken:
            raise StoreError(f"{self.path.name} is broken.")
        super().put(name, document)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    monkeypatch.setattr(_Failing, "broken", set())
    return _Failing.broken


def test_copy_that_fails_is_warned_of_once_and_the_engine_goes_on(tmp_path: Path, failing: set[str]) -> None:
    clock, warnings = TurnedClock(), Warnings()
    nonces = Nonces(tmp_path, clock=clock, open_store=_Failing, warn=warnings)
    failing.add(COPY_NAME)
    issue(nonces, clock)
    assert warnings.codes() == ["nonces-copy-failing"]
    failing.clear()
    issue(nonces, clock)
    assert read_documents(tmp_path / COPY_NAME) == read_documents(tmp_path / FILE_NAME)
    failing.add(COPY_NAME)
    issue(nonces, clock)
    assert len(warnings) == 2
    nonces.close()


def test_without_the_main_file_nothing_above_the_mark_is_issued(tmp_path: Path, failing: set[str]) -> None:
    clock, warnings = TurnedClock(), Warnings()
    nonces = Nonces(tmp_path, clock=clock, open_store=_Failing, warn=warnings)
    highest = issue(nonces, clock)[KEY]
    mark = nonces.mark(KEY)
    failing.add(FILE_NAME)
    clock.now += 10 * SECOND
    with pytest.raises(NonceNotDurable, match="broken"):
        nonces.issue(KEY)
    cancels = [nonces.issue(KEY, cancel=True) for _ in range(KEPT_FOR_CANCELS)]
    assert highest < cancels[0] < cancels[-1] <= mark
    failing.clear()
    assert warnings.codes() == ["nonces-failing"], "once, however often it fails"
    assert nonces.issue(KEY) == clock.now
    failing.add(FILE_NAME)
    clock.now += 10 * SECOND
    with pytest.raises(NonceNotDurable, match="broken"):
        nonces.issue(KEY)
    assert warnings.codes() == ["nonces-failing"] * 2, "and again after it had recovered"
    nonces.close()


def test_unusable_copy_does_not_stop_an_intact_main_file(tmp_path: Path) -> None:
    clock, warnings = TurnedClock(), Warnings()
    highest = make_marks(tmp_path, clock)
    (tmp_path / COPY_NAME).unlink()
    (tmp_path / COPY_NAME).mkdir()
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert nonces.issue(KEY) > highest[KEY]
    assert warnings.codes() == ["nonces-copy-failing"]
    nonces.close()


@pytest.mark.parametrize("damage", [Path.unlink, _garbage])
def test_unusable_copy_stops_where_it_alone_could_know(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """A person can fix a link or a mode; starting without the file would forget its marks."""
    make_marks(tmp_path, TurnedClock())
    (tmp_path / COPY_NAME).chmod(0o666)
    damage(tmp_path / FILE_NAME)
    with pytest.raises(StoreError, match="chmod 600"):
        Nonces(tmp_path)
    (tmp_path / COPY_NAME).chmod(0o600)
    warnings = Warnings()
    Nonces(tmp_path, warn=warnings).close()
    assert warnings.codes() == ["nonces-restored"]


def test_copy_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    clock, warnings = TurnedClock(), Warnings()
    make_marks(tmp_path, clock)
    copy = Store(tmp_path / COPY_NAME)
    copy.put(KEY, {"mark": str(NOW + 1000 * DAY)})
    copy.close()
    (tmp_path / COPY_NAME).chmod(0o666)
    nonces = Nonces(tmp_path, clock=clock, warn=warnings)
    assert nonces.issue(KEY) < NOW + DAY
    assert warnings.codes() == ["nonces-copy-failing"]
    nonces.close()


def test_empty_directory_and_first_crash_warn_of_nothing(tmp_path: Path) -> None:
    warnings = Warnings()
    Nonces(tmp_path, warn=warnings).close()
    (tmp_path / FILE_NAME).unlink()
    Nonces(tmp_path, warn=warnings).close()
    assert not warnings


@pytest.mark.parametrize("damage", [_garbage, _flip, _pickle, _halve])
def test_damaged_balances_are_put_aside_and_the_archive_starts(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = Store(tmp_path / BALANCES)
    store.put(KEY, {"mark": "17"})
    store.close()
    damage(tmp_path / BALANCES)
    events: list[EngineWarning] = []
    ref = ArchiveActor.start(tmp_path, publish=events.append)
    ref.stop()
    assert [each.code for each in events] == ["balances-lost"]
    assert _aside(tmp_path, BALANCES)
    assert _aside(tmp_path, BALANCES)[0].name in events[0].message
    assert read_documents(tmp_path / BALANCES) == {}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [18, 19])
def test_flipped_header_is_found_before_the_first_write(tmp_path: Path, name: str, place: int) -> None:
    """A version above 2 says "for reading only"; SQLite opens that and refuses the first write."""
    clock, warnings = TurnedClock(), Warnings()
    highest = make_marks(tmp_path, clock)
    raw = bytearray((tmp_path / name).read_bytes())
    raw[place] ^= 128
    (tmp_path / name).write_bytes(raw)
    nonces = Nonces(tmp_path, clock=TurnedClock(), warn=warnings)
    assert warnings.codes() == ["nonces-restored"]
    assert nonces.issue(KEY) > highest[KEY]
    nonces.close()
