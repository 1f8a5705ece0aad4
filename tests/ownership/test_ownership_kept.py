"""G2: ownership is not only taken but kept; an engine that has lost it sends and writes nothing more."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Account, Engine, Order
from engine.actors.backing.file_backing import FileBacking
from engine.errors import CallNotSent, OwnershipLost, StoreError, StoreInUse
from engine.ownership import LOCK_NAME, Ownership
from engine.simulator import Simulator
from engine.store.nonces import file_nonces
from engine.web.health import LOST, no_work, troubles
from engine.web.page.headline import headline
from tests import ROOT
from tests.conftest import QUICK, Events, private_calls
from tests.crash.torture import TurnedClock, Warnings
from tests.ownership.processes import lock_files_of

IS_LINUX = sys.platform.startswith("linux")
ELSEWHERE = """
import sys
from pathlib import Path
from engine.errors import StoreInUse
from engine.ownership import Ownership
try:
    Ownership(Path(sys.argv[1]), [("MASTER", sys.argv[2])]).release()
    print("taken")
except StoreInUse as error:
    print("in use", error.pid)
"""


def elsewhere(directory: Path, key: str, *before: str) -> str:
    """What becomes of an owner in another process, which `before` may put somewhere else."""
    command = [*before, sys.executable, "-c", ELSEWHERE, str(directory), key]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def _key() -> str:
    return os.urandom(16).hex()


def _unlink(directory: Path) -> None:
    (directory / LOCK_NAME).unlink()


def _replace(directory: Path) -> None:
    shutil.copy(directory / LOCK_NAME, directory / "copy")
    (directory / "copy").rename(directory / LOCK_NAME)


def _move_away(directory: Path) -> None:
    directory.rename(directory.with_name("moved"))


def _have_another_owner(directory: Path) -> None:
    """What a second engine leaves that came while the lock was dropped, and has gone again."""
    with (directory / LOCK_NAME).open("r+b") as file:
        file.write(b"f" * 32)


@pytest.mark.parametrize("harm", [_unlink, _replace, _move_away, _have_another_owner])
def test_what_is_not_ours_any_more_is_said_once(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    warnings = Warnings()
    directory = tmp_path / "state"
    backing = FileBacking(directory)
    owner = backing.own([], warnings)
    owner.verify()
    journal = backing.open_journal()
    harm(directory)
    for _ in range(3):
        with pytest.raises(OwnershipLost):
            owner.verify()
        with pytest.raises(OwnershipLost):
            owner.check()
        with pytest.raises(OwnershipLost):
            journal.keep_pause("MASTER", 1.0)
    assert warnings.codes() == ["ownership-lost"]
    journal.close()
    owner.release()


def test_a_directory_that_is_moved_away_and_back_is_ours_again(tmp_path: Path) -> None:
    owner = Ownership(tmp_path / "state")
    (tmp_path / "state").rename(tmp_path / "moved")
    with pytest.raises(OwnershipLost):
        owner.check()
    (tmp_path / "moved").rename(tmp_path / "state")
    owner.check()
    owner.release()


def test_a_host_that_copies_the_state_directory_does_not_lose_it(tmp_path: Path) -> None:
    """The copy closes a descriptor of the lock file, and with it goes this process's POSIX lock."""
    key, directory = _key(), tmp_path / "state"
    owner = Ownership(directory, [("MASTER", key)])
    shutil.copytree(directory, tmp_path / "backup")
    if IS_LINUX:
        assert elsewhere(directory, _key()).startswith("in use")
    owner.verify(key)
    assert elsewhere(directory, _key()) == f"in use {os.getpid()}"
    owner.verify(key)
    owner.release()


def test_a_key_whose_lock_file_was_tidied_away_is_claimed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    key = _key()
    owner = Ownership(tmp_path / "state", [("MASTER", key)])
    (place,) = tmp_path.glob("kraken-engine-keys-*")
    (lock,) = lock_files_of(key, place)
    lock.unlink()
    owner.verify(key)
    assert lock_files_of(key, place) == [lock]
    owner.release()


@pytest.mark.skipif(not IS_LINUX or os.geteuid() != 0, reason="needs Linux, and root to make a network namespace")
@pytest.mark.parametrize("where", ["machine", "session", "volume"])
def test_a_key_is_one_over_network_namespaces(tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers: they do not see each other's abstract sockets."""
    apart = ["unshare", "-n"]
    if where == "volume":  # their /tmp is another one
        hidden = f"/tmp/kraken-engine-keys-{os.getuid()}"
        apart = ["unshare", "-nm", "sh", "-c", f'mount -t tmpfs -o mode=0700 tmpfs {hidden} && exec "$@"', "sh"]
    key = _key()
    volume = tmp_path / "volume"
    ours, theirs = volume / "ours", (volume if where == "volume" else tmp_path / "other") / "theirs"
    owner = Ownership(ours, [("MASTER", key)])
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        owner.release()
        pytest.skip("this machine lets nobody make such a namespace")
    if where != "machine":  # a service has no directory of a login session, or another one
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(volume))
    assert elsewhere(theirs, key, *apart) == f"in use {os.getpid()}"
    assert elsewhere(theirs, _key(), *apart) == "taken"
    assert elsewhere(ours, _key(), *apart) == f"in use {os.getpid()}"
    owner.release()


@pytest.mark.skipif(not IS_LINUX or os.geteuid() != 0, reason="needs Linux, and root to mount")
def test_a_state_directory_is_one_under_all_its_names(tmp_path: Path) -> None:
    """A bind mount, as of a volume in two containers, and a directory that is renamed while its engine runs."""
    ours, mounted = tmp_path / "ours", tmp_path / "mounted"
    apart = ["unshare", "-nm", "sh", "-c", f'mount --bind {tmp_path}/$0 {mounted} && exec "$@"']
    mounted.mkdir(0o700)
    ours.mkdir(0o700)
    owner = Ownership(ours)
    if subprocess.run([*apart, "ours", "true"], capture_output=True, check=False).returncode:
        owner.release()
        pytest.skip("this machine lets nobody mount a directory")
    assert elsewhere(mounted, _key(), *apart, "ours") == f"in use {os.getpid()}"
    ours.rename(tmp_path / "renamed")
    assert elsewhere(tmp_path / "renamed", _key()) == f"in use {os.getpid()}"
    assert elsewhere(mounted, _key(), *apart, "renamed") == f"in use {os.getpid()}"
    with pytest.raises(OwnershipLost):
        owner.verify()
    owner.release()
    assert elsewhere(tmp_path / "renamed", _key()) == "taken"


def _squat(names: list[str], *, listens: bool) -> int:
    """Another user's process that holds these names until it is killed; its pid."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(65534)
            os.setuid(65534)
            held = []
            for name in names:
                held.append(socket.socket(socket.AF_UNIX))
                held[-1].bind("\0" + name)
                if listens:
                    held[-1].listen(1)
            os.write(writing, b"!")
            signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    return child


@pytest.mark.skipif(not IS_LINUX or os.geteuid() != 0, reason="needs Linux, and root to become another user")
@pytest.mark.parametrize("listens", [True, False])
def test_a_name_that_another_user_holds_keeps_nobody_out(tmp_path: Path, listens: bool) -> None:
    key, directory = _key(), tmp_path / "state"
    directory.mkdir(0o700)
    found = directory.stat()
    names = [f"kraken-engine/directory/{found.st_dev}-{found.st_ino}", f"kraken-engine/key/{key}"]
    squatter = _squat(names, listens=listens)
    warnings = Warnings()
    try:
        owner = Ownership(directory, [("MASTER", key)], warn=warnings)
        assert warnings.codes() == ["claim-taken", "claim-taken"]
        assert elsewhere(directory, _key()) == f"in use {os.getpid()}"
        assert elsewhere(tmp_path / "other", key) == f"in use {os.getpid()}"
        owner.release()
    finally:
        os.kill(squatter, 9)
        os.waitpid(squatter, 0)


def test_no_mark_is_made_durable_by_who_is_not_the_owner(tmp_path: Path) -> None:
    clock, is_ours = TurnedClock(), True

    def verify(key_id: str) -> None:
        if not is_ours:
            raise OwnershipLost("Somebody else has it.")

    nonces = file_nonces(tmp_path, clock=clock, verify=verify)
    nonces.issue("key")
    before, is_ours = nonces.mark("key"), False
    clock.now += 10**10
    for is_cancel in (False, True):
        with pytest.raises(OwnershipLost):
            nonces.issue("key", cancel=is_cancel)
    assert nonces.mark("key") == before
    is_ours = True
    assert nonces.issue("key") > before
    nonces.close()


def test_nothing_is_sent_without_the_lock(sim: Simulator, tmp_path: Path) -> None:
    """Calls, cancels and placements end as not sent, and the sentence says why; the engine says so once."""
    directory, events = tmp_path / "state", Events()
    order = Order("XBTUSD", "buy", "limit", "0.01", "30000")
    with Engine(sim.accounts, url=sim.url, state_dir=directory, live=True, settings=QUICK) as engine:
        engine.subscribe(events)
        receipt = engine.place("MASTER", order)
        for name in ("MASTER", "ALICE", "BOB"):
            engine.balance(name, max_age=0)
        _replace(directory)
        events.wait_for(lambda event: getattr(event, "code", "") == "ownership-lost")
        before = len(private_calls(sim))
        for ask in (
            lambda: engine.call("MASTER", "TradeBalance"),
            lambda: engine.place("MASTER", order, timeout=2),
            lambda: engine.cancel("MASTER", receipt, timeout=2),
            lambda: engine.cancel_all("ALICE", timeout=2),
        ):
            with pytest.raises(CallNotSent, match="replaced"):
                ask()
        assert len(private_calls(sim)) == before
        warned = [each.code for each in engine.status().warnings]
        assert [code for code in warned if code != "kraken-changed"] == ["ownership-lost"]
        seen = engine.status()
        assert troubles(seen) == [LOST], "a supervisor restarts it"
        assert no_work(seen, None) == LOST
        assert headline(seen, ()).title == "restart the engine"
    assert sum(getattr(event, "code", "") == "ownership-lost" for event in events.seen) == 1


CLOSED = """
import os, sys, tempfile
from pathlib import Path
from engine.errors import OwnershipLost
from engine.errors import StoreError
from engine.ownership import Ownership
from engine.store import Store

directory = Path(sys.argv[1])
owner = Ownership(directory, [("MASTER", os.urandom(16).hex())])
store = Store(directory / "some.sqlite")
store.put("name", 1)
os.closerange(3, 200)
files = [open(directory.parent / f"host-{n}", "w+b", buffering=0) for n in range(60)]
for file in files:
    file.write(b"H" * 100)
for ask in (owner.check, owner.verify, lambda: store.put("name", 2)):
    try:
        ask()
    except StoreError as error:
        print(type(error).__name__)
owner.release()
store.close()
for file in files:
    file.seek(0)
    assert file.read() == b"H" * 100, file.name  # neither written to nor closed
try:
    Store(directory / "some.sqlite")
except StoreError as error:
    print("restart" in str(error))
"""


def test_descriptors_that_the_host_has_closed_are_not_used_and_not_closed_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLOSED, str(tmp_path / "state")], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["OwnershipLost", "OwnershipLost", "StoreError", "True"]), done


def test_a_key_directory_of_another_user_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may make a directory of that name where all may write."""
    runtime = tmp_path / "runtime"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    foreign = runtime / f"kraken-engine-keys-{os.getuid()}"
    foreign.mkdir(parents=True)
    foreign.chmod(0o777)
    key = _key()
    owner = Ownership(tmp_path / "volume" / "one", [("MASTER", key)])
    assert not list(foreign.iterdir())
    with pytest.raises(StoreInUse):
        Ownership(tmp_path / "volume" / "two", [("MASTER", key)])
    owner.release()


@pytest.mark.parametrize("kind", ["lock", "wal", "shm", "main"])
def test_a_pipe_in_the_state_directory_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    name = {"lock": LOCK_NAME, "main": "nonces.sqlite"}.get(kind, f"nonces.sqlite-{kind}")
    os.mkfifo(tmp_path / name, 0o600)
    account = Account("MASTER", f"key-{_key()}", "c2VjcmV0")
    with pytest.raises(StoreError, match="regular file"):
        Engine([account], url="http://127.0.0.1:9", state_dir=tmp_path).start()


@pytest.mark.parametrize("levels", [1, 3])
def test_a_directory_above_that_all_may_write_to_needs_the_sticky_bit(tmp_path: Path, levels: int) -> None:
    above = tmp_path / "above"
    above.mkdir()
    directory = above.joinpath(*"abc"[:levels])
    above.chmod(0o777)
    with pytest.raises(StoreError, match="all may write"):
        Ownership(directory)
    above.chmod(0o1777)
    Ownership(directory).release()
