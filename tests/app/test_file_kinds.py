"""Whatever somebody has put in the place of a file of the state directory: it is refused, or passed over, at once."""

from __future__ import annotations

import os
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Engine
from engine.errors import StoreError
from engine.simulator import Simulator
from tests.app.test_start_fails import nothing_is_left
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE, SOON, TRIES, Stopwatch


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def _null(path: Path) -> None:
    """A device that takes everything and gives nothing, as ``/dev/null``."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def _endless(path: Path) -> None:
    """A device that gives without end, as ``/dev/zero``."""
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


def _no_mode(path: Path) -> None:
    path.touch(0o000)


def _link_away(path: Path) -> None:
    elsewhere = path.parent.with_name("elsewhere")
    elsewhere.touch(0o600)
    path.symlink_to(elsewhere)


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": lambda path: os.mkfifo(path, 0o600),
    "socket": _socket,
    "null": _null,
    "endless": _endless,
    "directory": Path.mkdir,
    "link": _link_away,
    "loop": lambda path: path.symlink_to(path.name),
    "dangling": lambda path: path.symlink_to("nowhere"),
    "no-mode": _no_mode,
}
FILES = (
    "owner.lock", "nonces.sqlite", "nonces-copy.sqlite", "orders.sqlite", "generations.sqlite", "balances.sqlite",
    "history.sqlite", "catalogue.sqlite", "limits.sqlite", "gateway.sqlite", "gateway.key", "serve.sock",
)  # fmt: skip
BESIDE = ("-wal", "-shm", "-journal")


def _used(sim: Simulator, state: Path) -> None:
    """An engine that uses all that there is, and is served."""
    with Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK, live=True) as engine:
        with engine.serve(port=0):
            engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
        engine.balance("MASTER", max_age=0, timeout=PATIENCE)
        engine.cancel_all("MASTER", timeout=PATIENCE)


def _close_well(sim: Simulator, directory: Path) -> None:
    """Use a new state directory until it was closed: a log stays where the disk takes longer than an engine waits."""
    for _ in range(TRIES):
        _used(sim, directory)
        if not any(directory.glob("*-wal")):
            return


def _refusal(sim: Simulator, state: Path) -> StoreError | None:
    try:
        _used(sim, state)
    except StoreError as error:
        return error
    return None


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_file_in_place_of_each(tmp_path: Path, kind: str, every: int) -> None:
    """G13: in time, with nothing left behind, and nothing is written through a link."""
    sound, state = tmp_path / "sound", tmp_path / "state"
    with Simulator() as sim:
        _close_well(sim, sound)
    assert {each.name for each in sound.iterdir()} <= set(FILES)
    names = [*FILES, *(file + beside for file in FILES if file.endswith("sqlite") for beside in BESIDE)]
    for name in names[list(KINDS).index(kind) % every :: every]:
        shutil.copytree(sound, state)
        (state / name).unlink(missing_ok=True)
        try:
            KINDS[kind](state / name)
        except PermissionError:
            pytest.skip("only root makes devices")
        # Another one each time, which knows no nonce of the other copies.
        again = Simulator([(each.name, each.key, each.secret) for each in sim.accounts])
        with again, nothing_is_left(state), Stopwatch() as watch:
            refused = _refusal(again, state)
        assert refused is None or str(state) in str(refused), name
        assert watch.seconds < SOON, name
        assert not (tmp_path / "elsewhere").exists() or not (tmp_path / "elsewhere").read_bytes(), name
        shutil.rmtree(state)
