"""G2: the keys that an owner names in a lock file are its own, whatever happens to the file and to other owners."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import sys
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine.errors import OwnershipLost, StoreError, StoreInUse
from engine.ownership.key_places import OWNERS
from engine.ownership.key_register import KeyRegister
from tests.ownership.processes import CONTEXT, assert_one_wins, lock_files_of, running
from tests.stopwatch import Stopwatch


def _hold(place: Path, keys: list[str], ready: Connection) -> None:
    register = KeyRegister(place)
    register.add(dict.fromkeys(keys, "OTHER"))
    ready.send(os.getpid())
    ready.poll(None)


def another_owner(place: Path, *keys: str) -> AbstractContextManager[Any]:
    """A process that holds these keys until it is killed or the block ends."""
    return running(_hold, place, list(keys))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_key_that_another_process_holds_is_refused_with_its_pid_and_the_others_are_not_held(place: Path) -> None:
    ours = KeyRegister(place)
    with another_owner(place, "a", "b") as other:
        with pytest.raises(StoreInUse, match="API key of account MASTER") as refused:
            ours.add({"free": "ALICE", "b": "MASTER"})
        assert refused.value.pid == other.pid
        assert lock_files_of("free", place) == []
        ours.add({"free": "ALICE"})
    ours.add({"b": "MASTER"})  # the kernel has freed it with its process
    ours.release()


def test_a_key_that_was_given_back_is_free(place: Path) -> None:
    ours = KeyRegister(place)
    ours.add({"a": "ALICE", "b": "BOB"})
    ours.remove(["a", "unknown"])
    with another_owner(place, "a"):
        with pytest.raises(StoreInUse):
            ours.add({"a": "ALICE"})
        ours.verify("b")
    ours.release()


def test_keys_come_and_go_while_a_cleaner_has_removed_the_directory(place: Path) -> None:
    """A key that could not be given back could not be taken again, and one that could not be added is not guarded."""
    ours = KeyRegister(place)
    ours.add({"a": "ALICE", "b": "BOB"})
    shutil.rmtree(place)
    ours.remove(["a"])
    ours.add({"c": "CAROL"})
    assert [len(lock_files_of(key, place)) for key in "abc"] == [0, 1, 1]
    shutil.rmtree(place)
    ours.remove(["c"])
    with another_owner(place, "a", "c"):
        ours.verify("b")
    ours.release()


def test_owners_that_come_and_go_leave_one_file(place: Path) -> None:
    for _ in range(3):
        with another_owner(place, "a") as other:
            os.kill(other.pid, signal.SIGKILL)
            other.join()
    assert len(list(place.rglob("keys-*"))) == 1


def _race(place: Path, start: Any, result: Connection) -> None:
    register = KeyRegister(place)
    start.wait()
    try:
        register.add({"a": "MASTER"})
    except StoreInUse as error:
        result.send(error.pid)
        return
    result.send("owner")
    result.poll(None)


def test_of_two_at_the_same_moment_one_gets_the_key_and_the_other_knows_who(place: Path) -> None:
    for turn in range(8):
        place.mkdir(0o700, exist_ok=True)
        assert_one_wins(_race, place / str(turn))


def test_one_that_stands_still_while_it_looks_keeps_nobody_out_and_lets_nobody_in(place: Path) -> None:
    """G2: a refusal comes in under a second also then."""
    with another_owner(place, "a") as other:
        turn = os.open(place / OWNERS, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(turn, fcntl.LOCK_EX)
        os.kill(other.pid, signal.SIGSTOP)
        with Stopwatch() as watch, pytest.raises(StoreInUse) as refused:
            KeyRegister(place).add({"a": "MASTER"})
        assert watch.seconds < 1.0
        assert refused.value.pid == other.pid
        KeyRegister(place).add({"b": "MASTER"})
        os.close(turn)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has locks that closing another descriptor leaves")
def test_a_host_that_copies_the_files_does_not_lose_the_keys(place: Path, tmp_path: Path) -> None:
    ours = KeyRegister(place)
    ours.add({"a": "MASTER"})
    shutil.copytree(place, tmp_path / "backup")
    with another_owner(place, "b"):
        assert len(lock_files_of("a", place)) == 1
        ours.verify("a")
    _refused_elsewhere(place, "a", os.getpid())
    ours.release()


def _refused_elsewhere(place: Path, key: str, owner: int) -> None:
    ours, theirs = CONTEXT.Pipe()
    process = CONTEXT.Process(target=_try, args=(place, key, theirs))
    process.start()
    assert ours.recv() == owner
    process.join()
    process.close()
    ours.close()
    theirs.close()


def _try(place: Path, key: str, result: Connection) -> None:
    try:
        KeyRegister(place).add({key: "MASTER"})
    except StoreInUse as error:
        result.send(error.pid)
        return
    result.send(None)


def test_who_took_a_key_while_its_file_was_gone_has_it_until_he_ends(place: Path) -> None:
    """The other keys stay ours, and that one is ours again as soon as it is free."""
    ours = KeyRegister(place)
    ours.add({"a": "ALICE", "b": "BOB"})
    for file in place.rglob("keys-*"):
        file.unlink()
    with another_owner(place, "a") as other:
        for _ in range(2):
            with pytest.raises(OwnershipLost, match=f"account ALICE .*process {other.pid}"):
                ours.verify("a")
        ours.verify("b")
        _refused_elsewhere(place, "b", os.getpid())
    ours.verify("a")
    _refused_elsewhere(place, "a", os.getpid())
    ours.release()


def test_a_file_that_another_has_written_to_meanwhile_is_begun_anew(place: Path) -> None:
    """Where closing a descriptor drops the lock, another owner may have come and gone: its keys are not ours."""
    ours = KeyRegister(place)
    ours.add({"a": "ALICE"})
    (file,) = place.rglob("keys-*")
    file.write_text("f" * 32 + "\n\nother\n")
    ours.verify("a")
    assert [each for each in place.rglob("keys-*") if each.read_text().split()[1:] == ["a"]]
    ours.verify("a")  # reading the file has dropped the lock that names us
    _refused_elsewhere(place, "a", os.getpid())
    ours.release()


def test_a_place_that_is_gone_for_good_is_a_lost_claim_until_it_is_back(place: Path) -> None:
    ours = KeyRegister(place)
    ours.add({"a": "ALICE"})
    shutil.rmtree(place)
    place.write_text("a file")
    with pytest.raises(OwnershipLost, match="claim of an API key is lost"):
        ours.verify("a")
    place.unlink()
    ours.verify("a")
    _refused_elsewhere(place, "a", os.getpid())
    ours.release()
    with pytest.raises(OwnershipLost, match="given back"):
        ours.verify("a")


def test_a_forked_child_holds_nothing(place: Path) -> None:
    ours = KeyRegister(place)
    ours.add({"a": "ALICE"})
    child = os.fork()
    if child == 0:
        try:
            KeyRegister(place).add({"a": "ALICE"})
        except StoreInUse as error:
            os._exit(0 if error.pid == os.getppid() else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    ours.verify("a")
    ours.release()


def test_a_lock_file_that_is_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    (place / OWNERS).mkdir(0o700, parents=True)
    place.chmod(0o700)
    (place / OWNERS / "keys-0.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be opened"):
        KeyRegister(place)
    assert not (tmp_path / "elsewhere").exists()
