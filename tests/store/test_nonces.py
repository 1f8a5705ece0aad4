"""G1 on disk: the marks are kept twice, the higher one counts, and a damaged file is put aside with a warning."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
import sqlitedict

from engine.actors.balance.archive import FILE_NAME as BALANCES
from engine.actors.balance.archive import ArchiveActor
from engine.actors.events import EngineWarning
from engine.errors import ConfigError, NonceNotDurable, StoreDamaged, StoreError
from engine.rules.lane.nonce import HIGHEST, KEPT_FOR_CANCELS, SECOND
from engine.store import Store, read_documents
from engine.store.nonces import COPY_NAME, FILE_NAME, file_nonces, read_marks
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
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
    assert warnings.codes() == ["nonces-restored"]
    assert _aside(tmp_path, name)[0].read_bytes() == bytes_before, "put aside as it was, not deleted"
    assert _aside(tmp_path, name)[0].name in warnings[0][1]
    assert all(nonces.issue(key) > highest[key] for key in KEYS)
    nonces.close()
    file_nonces(tmp_path, warn=warnings).close()
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
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
    assert warnings.codes() == ["nonces-restored"]
    assert nonces.issue(KEY) > highest[KEY]
    nonces.close()


def test_both_damaged_goes_on_from_the_clock_and_says_what_to_check(tmp_path: Path) -> None:
    clock, warnings = TurnedClock(), Warnings()
    make_marks(tmp_path, clock)
    for name in FILES:
        _garbage(tmp_path / name)
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
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
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
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
    nonces = file_nonces(tmp_path, clock=clock, warn=Warnings())
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
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
    assert all(nonces.issue(key) > highest[key] for key in KEYS)
    nonces.close()
    assert not warnings
    assert read_documents(tmp_path / FILE_NAME) == read_documents(tmp_path / COPY_NAME)


def test_log_that_was_damaged_costs_no_mark(tmp_path: Path) -> None:
    """SQLite drops the end of a log that it cannot verify without a word, and with it the last marks."""
    clock, warnings = TurnedClock(), Warnings()
    (tmp_path / "live").mkdir()
    nonces = file_nonces(tmp_path / "live", clock=clock)
    highest = issue(nonces, clock)
    shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    nonces.close()
    log = tmp_path / "crashed" / f"{FILE_NAME}-wal"
    raw = bytearray(log.read_bytes())
    raw[40] ^= 1
    log.write_bytes(raw)
    clock.now -= DAY
    again = file_nonces(tmp_path / "crashed", clock=clock, warn=warnings)
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
    nonces = file_nonces(tmp_path, clock=clock, open_store=_Failing, warn=warnings)
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
    nonces = file_nonces(tmp_path, clock=clock, open_store=_Failing, warn=warnings)
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
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
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
        file_nonces(tmp_path)
    (tmp_path / COPY_NAME).chmod(0o600)
    warnings = Warnings()
    file_nonces(tmp_path, warn=warnings).close()
    assert warnings.codes() == ["nonces-restored"]


def test_copy_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    clock, warnings = TurnedClock(), Warnings()
    make_marks(tmp_path, clock)
    copy = Store(tmp_path / COPY_NAME)
    copy.put(KEY, {"mark": str(NOW + 1000 * DAY)})
    copy.close()
    (tmp_path / COPY_NAME).chmod(0o666)
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
    assert nonces.issue(KEY) < NOW + DAY
    assert warnings.codes() == ["nonces-copy-failing"]
    nonces.close()


def test_empty_directory_and_first_crash_warn_of_nothing(tmp_path: Path) -> None:
    warnings = Warnings()
    file_nonces(tmp_path, warn=warnings).close()
    (tmp_path / FILE_NAME).unlink()
    file_nonces(tmp_path, warn=warnings).close()
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
    nonces = file_nonces(tmp_path, clock=TurnedClock(), warn=warnings)
    assert warnings.codes() == ["nonces-restored"]
    assert nonces.issue(KEY) > highest[KEY]
    nonces.close()


@pytest.mark.parametrize("name", FILES)
def test_a_file_from_a_backup_is_brought_up_to_the_other_by_a_start_alone(tmp_path: Path, name: str) -> None:
    """Before a nonce is drawn: the other file may be the one that is lost next."""
    clock = TurnedClock()
    make_marks(tmp_path, clock)
    shutil.copy(tmp_path / name, tmp_path / "backup")
    highest = make_marks(tmp_path, clock)
    shutil.copy(tmp_path / "backup", tmp_path / name)
    file_nonces(tmp_path, clock=clock, warn=Warnings()).close()
    other = next(each for each in FILES if each != name)
    (tmp_path / other).unlink()
    marks = read_marks(tmp_path)
    assert all(marks[key] >= highest[key] for key in KEYS)
    assert marks.keys() == set(KEYS)


@pytest.mark.parametrize("name", FILES)
def test_it_is_said_which_file_knew_the_marks(tmp_path: Path, name: str) -> None:
    make_marks(tmp_path, TurnedClock())
    _garbage(tmp_path / name)
    warnings = Warnings()
    file_nonces(tmp_path, warn=warnings).close()
    (other,) = (each for each in FILES if each != name)
    assert f"taken from {other};" in warnings[0][1]


def test_a_renewal_for_which_there_is_no_thread_is_made_up_for_and_asked_for_again(tmp_path: Path) -> None:
    """While the engine stops, its disk thread takes no more work; the nonces go on."""
    clock, asked = TurnedClock(), 0

    def soon(work: Callable[[], None]) -> None:
        nonlocal asked
        asked += 1
        raise RuntimeError("cannot schedule new futures after shutdown")

    nonces = file_nonces(tmp_path, clock=clock, soon=soon)
    issued = []
    for _ in range(8):
        issued.append(nonces.issue(KEY))
        assert nonces.mark(KEY) >= issued[-1]
        clock.now += SECOND * 7 // 10
    assert issued == sorted(set(issued))
    assert asked > 1
    nonces.close()


def test_it_counts_its_reservations_and_what_they_take(tmp_path: Path) -> None:
    clock = TurnedClock()
    nonces = file_nonces(tmp_path, clock=clock)
    assert (nonces.reservations, nonces.write_seconds) == (0, 0.0)
    began = time.monotonic()
    issue(nonces, clock, rounds=3)
    assert nonces.reservations == 3 * len(KEYS)
    assert 0.0 < nonces.write_seconds <= time.monotonic() - began
    nonces.close()


def test_how_far_a_key_is_ahead_of_the_clock(tmp_path: Path) -> None:
    clock = TurnedClock()
    nonces = file_nonces(tmp_path, clock=clock)
    assert nonces.lead(KEY) == 0.0
    nonces.skip_to(KEY, clock.now + 90 * SECOND)
    assert nonces.lead(KEY) == 90.0
    clock.now += 100 * SECOND
    assert nonces.lead(KEY) == 0.0
    nonces.close()
    clock.now -= 40 * SECOND
    again = file_nonces(tmp_path, clock=clock)
    assert again.lead(KEY) == 30.0, "after a restart it is that of the mark"
    again.close()


def test_the_highest_number_that_can_be_skipped_to_leaves_one_nonce(tmp_path: Path) -> None:
    nonces = file_nonces(tmp_path, clock=TurnedClock())
    nonces.skip_to(KEY, HIGHEST - 1)
    with pytest.raises(ConfigError):
        nonces.skip_to(KEY, HIGHEST)
    assert nonces.issue(KEY) == HIGHEST
    with pytest.raises(NonceNotDurable, match="new key"):
        nonces.issue(KEY)
    nonces.skip_to(KEYS[1], 0)
    assert nonces.issue(KEYS[1]) == NOW
    nonces.close()


def test_an_unusable_main_file_stops_although_the_copy_knows_the_marks(tmp_path: Path) -> None:
    """A mode or a link can be fixed; a nonce is only used when the main file has its mark."""
    make_marks(tmp_path, TurnedClock())
    (tmp_path / FILE_NAME).chmod(0o666)
    with pytest.raises(StoreError, match="chmod 600"):
        file_nonces(tmp_path)
    assert not _aside(tmp_path, FILE_NAME)
    (tmp_path / FILE_NAME).chmod(0o600)
    file_nonces(tmp_path).close()


def test_a_main_file_that_does_not_open_leaves_the_copy_closed(tmp_path: Path) -> None:
    """The threads that are left over are looked for after every test."""

    def open_store(path: Path) -> Store:
        if path.name == FILE_NAME:
            raise StoreError("The disk is gone.")
        return Store(path)

    with pytest.raises(StoreError, match="The disk is gone"):
        file_nonces(tmp_path, open_store=open_store)
    file_nonces(tmp_path).close()
