"""G2: a state directory belongs to one engine, and an API key to one engine on the machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from engine.errors import StoreError, StoreInUse
from engine.ownership import LOCK_NAME, Ownership
from tests.ownership.processes import assert_one_wins, running
from tests.stopwatch import Stopwatch


def _own(directory: Path, keys: list[tuple[str, str]], ready: Connection) -> None:
    ownership = Ownership(directory, keys)
    ready.send(os.getpid())
    ready.poll(None)
    ownership.release()


def another_process(directory: Path, keys: list[tuple[str, str]]) -> AbstractContextManager[Any]:
    """A process that owns these until it is killed or the block ends."""
    return running(_own, directory, keys)


def _key() -> str:
    return os.urandom(16).hex()


def test_second_owner_in_this_process_is_refused_with_our_pid(tmp_path: Path) -> None:
    first = Ownership(tmp_path)
    with pytest.raises(StoreInUse, match="this process") as caught:
        Ownership(tmp_path)
    assert caught.value.pid == os.getpid()
    first.release()
    Ownership(tmp_path).release()


def test_second_owner_elsewhere_is_refused_quickly_with_the_pid(tmp_path: Path) -> None:
    with another_process(tmp_path, []) as owner:
        with Stopwatch() as watch, pytest.raises(StoreInUse, match="state directory") as caught:
            Ownership(tmp_path)
        assert watch.seconds < 1.0
        assert caught.value.pid == owner.pid


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a second claim, beside the lock file")
def test_directory_whose_lock_file_was_deleted_still_has_one_owner(tmp_path: Path) -> None:
    """G2: somebody tidies the state directory of a running engine."""
    with another_process(tmp_path, [("MASTER", _key())]) as owner:
        (tmp_path / LOCK_NAME).unlink()
        with pytest.raises(StoreInUse, match="state directory") as refused:
            Ownership(tmp_path, [("MASTER", _key())])
        assert refused.value.pid == owner.pid
    Ownership(tmp_path, [("MASTER", _key())]).release()


def test_key_is_refused_whatever_the_directory(tmp_path: Path) -> None:
    key = _key()
    with another_process(tmp_path / "one", [("MASTER", key)]) as owner:
        with pytest.raises(StoreInUse, match="API key of account OTHER") as caught:
            Ownership(tmp_path / "two", [("OTHER", key)])
        assert caught.value.pid == owner.pid
        Ownership(tmp_path / "two", [("OTHER", _key())]).release()


def test_key_is_refused_within_one_process(tmp_path: Path) -> None:
    key = _key()
    first = Ownership(tmp_path / "one", [("MASTER", key)])
    with pytest.raises(StoreInUse, match="this process"):
        Ownership(tmp_path / "two", [("MASTER", key)])
    first.release()
    Ownership(tmp_path / "two", [("MASTER", key)]).release()


def test_a_refused_owner_holds_nothing(tmp_path: Path) -> None:
    taken, free = _key(), _key()
    first = Ownership(tmp_path / "one", [("A", taken)])
    with pytest.raises(StoreInUse):
        Ownership(tmp_path / "two", [("B", free), ("A", taken)])
    Ownership(tmp_path / "two", [("B", free)]).release()
    first.release()


def test_everything_is_free_again_after_kill_9(tmp_path: Path) -> None:
    key = _key()
    with another_process(tmp_path, [("MASTER", key)]) as owner:
        os.kill(owner.pid, signal.SIGKILL)
        owner.join()
        Ownership(tmp_path, [("MASTER", key)]).release()


def test_forked_child_does_not_keep_a_dead_owners_key(tmp_path: Path) -> None:
    """A child that a host forks inherits the descriptors; it must not own what they stand for."""
    key = _key()
    first = Ownership(tmp_path, [("MASTER", key)])
    reading, writing = os.pipe()
    running, started = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.write(started, b"!")
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    assert os.read(running, 1) == b"!"
    first.release()
    try:
        Ownership(tmp_path, [("MASTER", key)]).release()
    finally:
        for descriptor in (writing, running, started):
            os.close(descriptor)
        os.waitpid(child, 0)


def _race(directory: Path, start: Any, result: Connection) -> None:
    start.wait()
    try:
        Ownership(directory)
    except StoreInUse as error:
        result.send(error.pid)
        return
    result.send("owner")
    result.poll(None)


def test_race_has_exactly_one_winner_and_the_loser_knows_who(tmp_path: Path) -> None:
    """G2: a few races; `tests/crash/test_owners.py` runs a hundred."""
    for turn in range(4):
        assert_one_wins(_race, tmp_path / str(turn))


def test_lock_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be opened"):
        Ownership(tmp_path)


TWO_NAMES = """
import sys
from pathlib import Path
from engine.ownership import Ownership

owner = Ownership(Path(sys.argv[1]), [("MASTER", sys.argv[2])])
owner.verify(sys.argv[2])
owner.release()
"""


def test_a_directory_that_a_mount_gives_a_second_name_does_not_refuse_its_only_owner(tmp_path: Path) -> None:
    """As in a container whose runtime directory is on the volume of its state."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs Linux, and root to mount a directory")
    real, second = tmp_path / "real", tmp_path / "second"
    real.mkdir()
    second.mkdir()
    own = [sys.executable, "-c", TWO_NAMES, str(real / "state"), _key()]
    mount = 'mount --bind "$0" "$1" || exit 77; shift; exec "$@"'
    mounted = ["unshare", "--mount", "sh", "-c", mount, str(real), str(second)]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(second), "PYTHONPATH": str(root)}
    done = subprocess.run([*mounted, *own], env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine allows no mount")
    assert done.returncode == 0, done.stderr
