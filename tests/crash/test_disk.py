"""The disk fails while nonces are issued. A named error within 2 seconds, never a nonce above the mark."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine
from engine.errors import NonceNotDurable, StoreError
from engine.rules.lane.nonce import KEPT_FOR_CANCELS, SECOND
from engine.simulator import Simulator
from engine.store import Store
from engine.store import writer as store_module
from engine.store.nonces import COPY_NAME, FILE_NAME, Nonces, file_nonces, read_marks
from tests.conftest import QUICK
from tests.crash.torture import KEYS, Issuer, TurnedClock, Warnings, issue, make_marks, needs_strace
from tests.stopwatch import PATIENCE, Stopwatch

KEY = KEYS[0]
FILES = (FILE_NAME, COPY_NAME)
NOBODY = 65534


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of half a megabyte."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root on Linux")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", str(disk)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@contextlib.contextmanager
def _filled(disk: Path) -> Iterator[None]:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as opened, contextlib.suppress(OSError):
        while True:
            opened.write(b"x" * 4096)
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def _small_files(disk: Path) -> Iterator[None]:
    resource = pytest.importorskip("resource")
    size = max((disk / f"{name}-wal").stat().st_size for name in FILES)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _starve(disk: Path, full: Callable[[Path], contextlib.AbstractContextManager[None]]) -> None:
    clock, warnings = TurnedClock(), Warnings()
    nonces = file_nonces(disk, clock=clock, warn=warnings)
    highest = issue(nonces, clock)[KEY]
    with full(disk):
        highest = _until_refused(nonces, clock, highest)
        mark = nonces.mark(KEY)
        cancels = [nonces.issue(KEY, cancel=True) for _ in range(KEPT_FOR_CANCELS)]
        assert highest < cancels[0] < cancels[-1] <= mark <= read_marks(disk)[KEY]
        assert cancels == sorted(set(cancels))
        _no_transaction_is_left(disk)
    assert nonces.issue(KEY) >= clock.now, "it recovers by itself"
    assert set(warnings.codes()) - {"nonces-copy-failing"} == {"nonces-failing"}
    highest = nonces.issue(KEY)
    nonces.close()
    again = file_nonces(disk, clock=TurnedClock(), warn=warnings)
    assert again.issue(KEY) > highest
    again.close()


def _until_refused(nonces: Nonces, clock: TurnedClock, highest: int) -> int:
    for _ in range(1000):
        clock.now += 2 * SECOND
        nonce = None
        with Stopwatch() as watch, contextlib.suppress(NonceNotDurable):
            nonce = nonces.issue(KEY)
        if nonce is None:
            assert watch.seconds < 2
            return highest
        assert nonce > highest
        highest = nonce
    raise AssertionError("the disk never was full")


def _no_transaction_is_left(disk: Path) -> None:
    for name in FILES:
        with contextlib.closing(sqlite3.connect(disk / name, timeout=0.1, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")


def test_full_disk_refuses_in_time_lets_cancels_go_and_recovers(small_disk: Path) -> None:
    _starve(small_disk, _filled)


def test_limited_file_size_does_the_same(tmp_path: Path) -> None:
    _starve(tmp_path, _small_files)


def test_engine_on_a_full_disk_still_cancels(sim: Simulator, small_disk: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=small_disk, settings=QUICK) as engine:
        engine.call("MASTER", "Balance")
        with _filled(small_disk):
            deadline = time.monotonic() + PATIENCE
            with pytest.raises(NonceNotDurable):  # noqa: PT012 - some calls still fit
                while time.monotonic() < deadline:
                    engine.submit("MASTER", "Balance").result(PATIENCE)
                    time.sleep(0.05)
            assert engine.call("MASTER", "CancelAll") == {"count": 0}
        assert engine.call("MASTER", "Balance")


# --- I/O errors ----------------------------------------------------------------------------------------------------


def _rises(directory: Path, answers: list[dict[str, Any]]) -> None:
    """Every nonce given rises, and the next engine starts above them all, with a clock far behind."""
    given = [answer["nonce"] for answer in answers if answer.get("nonce")]
    assert given == sorted(set(given))
    with Issuer(directory) as again:
        again("open")
        assert again("issue")["nonce"] > max(given)


@pytest.mark.parametrize(("call", "fault"), [("fdatasync", "EIO"), ("pwrite64", "EIO"), ("pwrite64", "EROFS")])
def test_io_error_is_refused_and_passes(tmp_path: Path, call: str, fault: str) -> None:
    """Also of a disk that the system has made read-only, as it does after errors."""
    needs_strace()
    with Issuer(tmp_path) as issuer:
        answers = [issuer("open"), issuer("issue")]
        with issuer.faulty(call, f"error={fault}"):
            refused = [issuer("issue") for _ in range(10)]
            answers += [issuer("cancel") for _ in range(10)]
        _no_transaction_is_left(tmp_path)
        assert {answer["error"] for answer in refused} == {"NonceNotDurable"}
        assert "disk I/O error" in refused[0]["text"] or fault == "EROFS"
        assert all("nonce" in answer for answer in answers)
        answers.append(issuer("issue"))
        assert "nonce" in answers[-1], "it recovers by itself"
        assert sorted(answers[-1]["warnings"]) == ["nonces-copy-failing", "nonces-failing"]
        assert "error" not in issuer("close")
    _rises(tmp_path, answers)


def test_disk_that_does_not_answer_is_refused_in_time(tmp_path: Path) -> None:
    """Every sync takes 3 seconds for a while: `put` does not wait for it, and neither does `close`."""
    needs_strace()
    with Issuer(tmp_path) as issuer:
        answers = [issuer("open"), issuer("issue")]
        with issuer.faulty("fdatasync", "delay_enter=3000000"):
            refused = [issuer("issue") for _ in range(5)]
            answers += [issuer("cancel") for _ in range(5)]
        assert {answer["error"] for answer in refused} == {"NonceNotDurable"}
        assert "does not answer" in refused[0]["text"]
        assert all("nonce" in answer for answer in answers)
        answers.append(_recovered(issuer))
        with issuer.faulty("fdatasync", "delay_enter=3000000"):
            issuer("issue")
            assert "error" not in issuer("close")
    _rises(tmp_path, answers)


def _recovered(issuer: Issuer) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        answer = issuer("issue")
        if "nonce" in answer:
            return answer
        time.sleep(0.05)
    raise AssertionError("it does not recover by itself")


@pytest.fixture
def nobodys(tmp_path: Path) -> Iterator[Path]:
    """A directory whose owner is not root, since root may do everything."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    directory = Path(tempfile.mkdtemp(prefix="kraken-engine-test-"))
    try:
        os.chown(directory, NOBODY, NOBODY)
        yield directory
    finally:
        directory.chmod(0o700)
        shutil.rmtree(directory)


def _as_nobody(directory: Path) -> Issuer:
    return Issuer(directory, user=NOBODY if os.geteuid() == 0 else None)


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_directory_that_loses_its_mode_lowers_nothing(nobodys: Path, mode: int) -> None:
    with _as_nobody(nobodys) as issuer:
        answers = [issuer("open"), issuer("issue")]
        nobodys.chmod(mode)
        answers += [issuer("issue"), issuer("cancel")]
        if mode == 0:
            assert answers[2]["error"] == "NonceNotDurable"
            assert "Permission denied" in answers[2]["text"]
        assert "nonce" in answers[3]
        nobodys.chmod(0o700)
        answers.append(issuer("issue"))
        assert answers[-1]["nonce"]
    _rises(nobodys, answers)


@pytest.mark.parametrize("mode", [0o000, 0o500])
def test_directory_or_file_of_that_mode_at_the_start_is_one_sentence(nobodys: Path, mode: int) -> None:
    with _as_nobody(nobodys) as issuer:
        answers = [issuer("open"), issuer("issue"), issuer("close")]
        for place in (nobodys, nobodys / FILE_NAME):
            place.chmod(mode & ~0o111 if place.is_file() else mode)
            refused = issuer("open")
            assert refused["error"] == "StoreError"
            assert str(nobodys) in refused["text"]
            place.chmod(0o700 if place.is_dir() else 0o600)
        answers += [issuer("open"), issuer("issue")]
        assert answers[-1]["nonce"]
        assert not answers[-1]["warnings"]
    _rises(nobodys, answers)


@pytest.mark.parametrize("name", FILES)
def test_path_that_is_a_directory_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match="move it away"):
        file_nonces(tmp_path)


@pytest.mark.parametrize("name", [FILE_NAME, f"{FILE_NAME}-wal"])
def test_file_taken_away_is_refused_until_it_is_back(tmp_path: Path, name: str) -> None:
    clock = TurnedClock()
    nonces = file_nonces(tmp_path, clock=clock)
    highest = issue(nonces, clock)[KEY]
    (tmp_path / name).rename(tmp_path / "elsewhere")
    clock.now += 2 * SECOND
    with pytest.raises(NonceNotDurable, match="is gone"):
        nonces.issue(KEY)
    assert highest < nonces.issue(KEY, cancel=True) <= nonces.mark(KEY)
    (tmp_path / "elsewhere").rename(tmp_path / name)
    assert nonces.issue(KEY) == clock.now
    nonces.close()


@pytest.mark.parametrize("replace", [Path.touch, lambda path: make_marks(path.parent, TurnedClock())])
def test_file_replaced_is_refused_and_the_next_start_knows_the_marks(
    tmp_path: Path, replace: Callable[[Path], object]
) -> None:
    clock, warnings = TurnedClock(), Warnings()
    nonces = file_nonces(tmp_path, clock=clock)
    highest = issue(nonces, clock)[KEY]
    (tmp_path / FILE_NAME).unlink()
    (tmp_path / f"{FILE_NAME}-wal").unlink()
    replace(tmp_path / FILE_NAME)
    clock.now += 2 * SECOND
    with pytest.raises(NonceNotDurable, match="restart the engine"):
        nonces.issue(KEY)
    highest = max(highest, nonces.issue(KEY, cancel=True))
    nonces.close()
    again = file_nonces(tmp_path, clock=TurnedClock(), warn=warnings)
    assert again.issue(KEY) > highest
    again.close()


def test_copy_that_is_deleted_is_warned_of_and_the_next_start_makes_it_anew(tmp_path: Path) -> None:
    clock, warnings = TurnedClock(), Warnings()
    nonces = file_nonces(tmp_path, clock=clock, warn=warnings)
    (tmp_path / COPY_NAME).unlink()
    highest = issue(nonces, clock)[KEY]
    assert warnings.codes() == ["nonces-copy-failing"]
    nonces.close()
    file_nonces(tmp_path, clock=clock, warn=warnings).close()
    (tmp_path / FILE_NAME).unlink()
    assert read_marks(tmp_path)[KEY] >= highest


def test_locked_file_is_refused_in_time_and_passes(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.sqlite")
    with contextlib.closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with Stopwatch() as watch, pytest.raises(StoreError, match="locked"):
            store.put("a", 1)
        assert watch.seconds < 1
    store.put("a", 2)
    assert store.documents() == {"a": 2}
    store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_dead_writer_is_a_named_error_and_no_hang(tmp_path: Path) -> None:
    opened: list[Any] = []

    def open_dict(path: Path) -> Any:
        opened.append(store_module._open_dict(path))
        return opened[0]

    store = Store(tmp_path / "x.sqlite", open_dict=open_dict)
    store.put("a", 1)
    opened[0].conn.reqs.put("no request")
    with Stopwatch() as watch:
        for _ in range(2):
            with pytest.raises(StoreError):
                store.put("b", 2)
        with pytest.raises(StoreError, match="has ended"):
            store.put("b", 2)
        store.close()
    assert watch.seconds < 2
