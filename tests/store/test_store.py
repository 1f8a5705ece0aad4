"""The store: durable when `put` returns, never a value that was not written, and errors a person understands."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlitedict

from engine.errors import StoreDamaged, StoreError
from engine.store import (
    TABLE,
    Store,
    check_names,
    check_outline,
    prepare_directory,
    read_documents,
    read_group,
    read_named,
    read_range,
)
from tests import ROOT


class Loose(sqlitedict.SqliteDict):
    """sqlitedict as it comes: synchronous=OFF, whatever one asks for."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        execute = connection.execute
        connection.execute = lambda sql, *rest: None if "synchronous=FULL" in sql else execute(sql, *rest)
        return connection


def loose(path: Path) -> Any:
    return Loose(str(path), tablename=TABLE, autocommit=True, journal_mode="WAL", encode=json.dumps)


def no_wal(path: Path) -> Any:
    return sqlitedict.SqliteDict(str(path), tablename=TABLE, autocommit=True, journal_mode="DELETE", encode=json.dumps)


def test_documents_come_back_after_reopening(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.sqlite")
    store.put("a", {"mark": "1", "list": [1, None, "ü"]})
    store.put("a", {"mark": "2"})
    store.close()
    reopened = Store(tmp_path / "x.sqlite")
    assert reopened.documents() == {"a": {"mark": "2"}}
    reopened.close()


def test_reader_sees_what_the_owner_wrote_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = Store(path)
    store.put("a", 1)
    assert read_documents(path) == {"a": 1}
    store.put("b", 2)
    assert read_documents(path) == {"a": 1, "b": 2}
    store.close()
    assert read_documents(tmp_path / "none.sqlite") == {}


@pytest.mark.parametrize("open_dict", [loose, no_wal])
def test_store_that_would_lose_writes_with_the_power_is_refused(tmp_path: Path, open_dict: Any) -> None:
    """G1: `synchronous=FULL` and WAL are read back; without them nothing starts."""
    with pytest.raises(StoreError, match="would not survive a power loss"):
        Store(tmp_path / "x.sqlite", open_dict=open_dict)


def test_modes_are_private_even_with_an_open_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        directory = prepare_directory(tmp_path / "deep" / "state")
        store = Store(directory / "x.sqlite")
        store.put("a", 1)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert set(modes.values()) == {0o600}, modes
    assert len(modes) == 3, "the file, its -wal and its -shm"
    store.close()


def _flip(path: Path, wanted: bytes) -> None:
    raw = bytearray(path.read_bytes())
    raw[raw.index(wanted)] ^= 1
    path.write_bytes(raw)


def test_flipped_bit_in_a_value_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = Store(path)
    store.put("a", {"mark": "1790000000"})
    store.close()
    _flip(path, b"1790000000")
    with pytest.raises(StoreDamaged, match="checksum"):
        read_documents(path)


def test_swapped_documents_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = Store(path)
    store.put("a", 1)
    store.put("b", 2)
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {TABLE} SET value = (SELECT value FROM {TABLE} WHERE key = 'b') WHERE key = 'a'")
    connection.close()
    with pytest.raises(StoreDamaged):
        read_documents(path)


def test_pickled_file_is_refused_and_not_run(tmp_path: Path) -> None:
    """The threat of CVE-2024-35515: what the file holds is never unpickled."""
    path = tmp_path / "x.sqlite"
    witness = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> Any:
            return Path.touch, (witness,)

    planted = sqlitedict.SqliteDict(str(path), tablename=TABLE, autocommit=True)
    planted["a"] = Payload()
    planted.close()
    assert pickle.dumps(Payload())
    path.chmod(0o600)
    with pytest.raises(StoreDamaged, match="JSON"):
        read_documents(path)
    assert not witness.exists()


@pytest.mark.parametrize("check", [read_documents, check_outline])
@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_garbage_is_a_damaged_store(tmp_path: Path, content: bytes, check: Callable[[Path], object]) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(StoreDamaged, match="damaged"):
        Store(path, check=check)
    assert path.read_bytes() == content


def test_a_group_is_read_without_the_others(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    assert read_group(path, "A") == {}
    check_outline(path)
    store = Store(path)
    names = ["A", "A/", "A/1", "A/2/3", "A0", "A-/1", "AB/1", "B/1", "a/1", "0/A/1"]
    store.put_all({name: name for name in names})
    assert read_group(path, "A") == {name: name for name in ("A/", "A/1", "A/2/3")}
    store.close()


def test_of_a_group_only_damaged_documents_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.sqlite"
    store = Store(path)
    store.put_all({"A/1": "good", "A/2": "bad", "A/3": "good", "A/4": "good"})
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute(f"UPDATE {TABLE} SET value = replace(value, 'bad', 'mad')")
        file.execute(f"UPDATE {TABLE} SET value = x'8004' WHERE key = 'A/4'")
    assert read_group(path, "A") == {"A/1": "good", "A/3": "good"}
    assert [record.message.count("left out") for record in caplog.records] == [1, 1]
    with pytest.raises(StoreDamaged):
        Store(path)
    Store(path, check=check_outline).close()


def test_file_replaced_or_removed_while_in_use_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    store = Store(path)
    path.rename(tmp_path / "moved")
    with pytest.raises(StoreError, match="gone"):
        store.put("a", 1)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="replaced"):
        store.put("a", 1)
    store.close()


def test_disk_full_is_a_named_error_and_passes(tmp_path: Path) -> None:
    """A file size limit stands in for a full disk: the error is ours, in time, and writing goes on afterwards."""
    resource = pytest.importorskip("resource")
    store = Store(tmp_path / "x.sqlite")
    store.put("a", "small")
    size = (tmp_path / "x.sqlite-wal").stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        with pytest.raises(StoreError, match=r"Cannot write.* free space on its disk.* without a restart"):
            store.put("b", "x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store.put("c", "again")
    assert store.documents() == {"a": "small", "c": "again"}
    store.close()


def _file(path: Path) -> Path:
    path.write_text("")
    return path


def _link(path: Path) -> Path:
    path.symlink_to(path.parent)
    return path


def _shared(path: Path) -> Path:
    path.mkdir()
    path.chmod(0o770)
    return path


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (_file, "is a file"),
        (_link, "symbolic link"),
        (_shared, "Others may write"),
        (lambda path: _file(path) / "below", "cannot be made"),
    ],
)
def test_unusable_directory_is_one_sentence(tmp_path: Path, make: Any, complaint: str) -> None:
    with pytest.raises(StoreError, match=complaint):
        prepare_directory(make(tmp_path / "state"))


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which nobody can write to")
def test_read_only_directory_is_one_sentence() -> None:
    with pytest.raises(StoreError, match=r"cannot be made|not writable"):
        prepare_directory(Path("/proc/state"))


def test_linked_or_shared_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path / "link")
    (tmp_path / "real").chmod(0o666)
    with pytest.raises(StoreError, match="Others may write"):
        Store(tmp_path / "real")


def test_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.sqlite")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.put("a", 1)


SLOW = """
import sys, threading, time
from pathlib import Path
from engine.store import writer as store

def open_slow(path):
    opened = store._open_dict(path)
    execute = opened.conn.execute
    def execute_late(sql, values=None, done=None):
        def run():
            for _ in range(8):  # each takes as long as a machine that stands still
                time.sleep(0.05)
            execute(sql, values, done)
        if not sql.startswith("REPLACE"):
            return execute(sql, values, done)
        threading.Thread(target=run).start()
        threading.Timer(0.1, print, ["waiting"], {"flush": True}).start()
    opened.conn.execute = execute_late
    return opened

opened = store.Store(Path(sys.argv[1]), open_dict=open_slow)
opened.put("a", 1)
print("written")
opened.close()
"""


def test_a_suspended_process_does_not_take_its_disk_for_dead(tmp_path: Path) -> None:
    """A machine may stop for longer than a write may take: the patience is for time in which the process runs."""
    command = [sys.executable, "-c", SLOW, str(tmp_path / "x.sqlite")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read() == "written\n"
    assert read_documents(tmp_path / "x.sqlite") == {"a": 1}


class FullAtTheEnd(sqlitedict.SqliteDict):
    """One whose last write before closing fails."""

    def _new_conn(self) -> Any:
        connection = super()._new_conn()
        execute = connection.execute

        def fail(sql: str, *rest: Any) -> Any:
            if sql == "PRAGMA user_version=0":
                raise sqlite3.OperationalError("database or disk is full")
            return execute(sql, *rest)

        connection.execute = fail
        return connection


def full_at_the_end(path: Path) -> Any:
    options = {"tablename": TABLE, "autocommit": True, "journal_mode": "WAL", "outer_stack": False}
    return FullAtTheEnd(str(path), encode=json.dumps, decode=json.loads, **options)


def copy_of(path: Path, *suffixes: str) -> Path:
    """The file as a kill -9 would leave it now, with some of what lies beside it."""
    directory = Path(tempfile.mkdtemp(dir=path.parent))
    for suffix in suffixes:
        shutil.copy(f"{path}{suffix}", directory)
    return directory / path.name


def test_a_guarded_file_that_was_not_closed_is_damaged_without_its_log(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    for round_ in range(2):
        store = Store(path, guards_log=True)
        copies = copy_of(path, "", "-wal"), copy_of(path, "", "-wal", "-shm")
        lost = copy_of(path, "")
        store.put("a", round_)
        later, lost_later = copy_of(path, "", "-wal"), copy_of(path, "")
        store.close()
        for each in (*copies, later):
            Store(each, guards_log=True).close()
        assert read_documents(later) == {"a": round_}
        for each in (lost, lost_later):
            with pytest.raises(StoreDamaged, match="its log"):
                Store(each, guards_log=True)
            Store(each).close()  # without the guard nobody notices
        closed = copy_of(path, "")
        Store(closed, guards_log=True).close()
        assert read_documents(closed) == {"a": round_}


def test_a_guarded_file_that_cannot_say_that_it_is_closed_keeps_its_log(tmp_path: Path) -> None:
    """Else SQLite would fold the log in and delete it, and the next start would take that for a loss."""
    path = tmp_path / "x.sqlite"
    store = Store(path, guards_log=True, open_dict=full_at_the_end)
    store.put("a", 1)
    store.close()
    assert Path(f"{path}-wal").exists()
    store = Store(path, guards_log=True)
    assert store.documents() == {"a": 1}
    store.close()
    assert not Path(f"{path}-wal").exists()


def test_documents_are_read_by_name_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    assert read_named(path, ["a"]) == read_range(path, "a", "z") == {}
    store = Store(path)
    store.put_all({f"n/{number}": number for number in (3, 1, 2)} | {"other": None})
    assert read_named(path, ["n/2", "other", "none"]) == {"n/2": 2, "other": None}
    assert read_named(path, []) == {}
    assert list(read_range(path, "n/", "n0")) == ["n/1", "n/2", "n/3"]
    assert list(read_range(path, "n/", "n/3", at_most=1)) == ["n/1"]
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as disk:
        disk.execute(f"UPDATE {TABLE} SET value = replace(value, '2', '4') WHERE key = 'n/2'")
    assert read_named(path, ["n/1"]) == {"n/1": 1}
    reads: tuple[Callable[[], object], ...] = (
        lambda: read_named(path, ["n/2"]),
        lambda: read_range(path, "n/", "n0"),
    )
    for read in reads:
        with pytest.raises(StoreDamaged, match="checksum"):
            read()


def test_a_name_that_was_lost_from_one_of_its_two_places_is_noticed(tmp_path: Path) -> None:
    """SQLite has each name in its table and in an index; a document that the index does not lead to looks absent."""
    path = tmp_path / "x.sqlite"
    store = Store(path)
    store.put("a-name-like-no-other", 1)
    store.close()
    sound = path.read_bytes()
    places = [match.start() for match in re.finditer(b"a-name-like-no-other", sound)]
    assert len(places) == 2
    check_names(path)
    for place in places:
        path.write_bytes(sound[:place] + b"b" + sound[place + 1 :])
        with pytest.raises(StoreDamaged):
            check_names(path)


def test_the_owner_looks_documents_up_by_name_and_in_order(tmp_path: Path) -> None:
    """What was just written is seen, and what is damaged is told, also after the file was closed."""
    path = tmp_path / "x.sqlite"
    store = Store(path)
    assert store.named(["a"]) == store.between("a", "z") == {}
    for number in (3, 1, 2):
        store.put(f"n/{number}", number)
        assert store.named([f"n/{number}", "none"]) == {f"n/{number}": number}
    assert list(store.between("n/", "n0")) == ["n/1", "n/2", "n/3"]
    assert list(store.between("n/", "n/3", at_most=1)) == ["n/1"]
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as disk:
        disk.execute(f"UPDATE {TABLE} SET value = replace(value, '2', '4') WHERE key = 'n/2'")
    for is_open in (True, False):
        assert store.named(["n/1"]) == {"n/1": 1}
        with pytest.raises(StoreDamaged, match="checksum"):
            store.named(["n/2"])
        with pytest.raises(StoreDamaged, match="checksum"):
            store.between("n/", "n0")
        store.close()
        assert not (is_open and Path(f"{path}-wal").exists()), "the writer's connection was not the last"


LOOKS_AGAIN = """
import os, sys
from pathlib import Path
from engine.store import Store

path = Path(sys.argv[1])
store, other = Store(path), Store(path.with_name("other"))
store.put("a", 1)
before = {int(name) for name in os.listdir("/dev/fd")}
assert store.named(["a"]) == {"a": 1}
for name in os.listdir("/dev/fd"):
    if int(name) not in before:
        try:
            link = os.readlink(f"/dev/fd/{name}")
        except OSError:
            continue
        if link.startswith(os.fspath(path)):
            os.dup2(os.open(path.with_name("other"), os.O_RDONLY), int(name))
other.put("b", 2)
store.put("c", 3)
print(store.named(["a", "c"]), flush=True)
store.close()
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/fd are links on Linux alone")
def test_a_look_never_reads_what_other_code_has_put_at_its_descriptors(tmp_path: Path) -> None:
    """Else an id would be taken for one that was never used (promise G9)."""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOOKS_AGAIN, str(tmp_path / "x.sqlite")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.stdout == "{'a': 1, 'c': 3}\n", process.stderr
