"""A file system that the kernel makes read-only under a running engine, as after an error of the disk, for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from engine import BalanceState, Engine, Order, OrderState
from engine.errors import CallNotSent, NonceNotDurable, StoreError
from engine.simulator import Simulator
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE, SOON, Stopwatch

ORDER = Order("XBTUSD", "buy", "limit", "0.01", "30000")


def _ran(*command: str) -> str:
    """What a command said. A test that may not do what it needs is skipped."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"'{command[0]}' is not allowed here: {done.stderr.strip()[-100:]}")
    return done.stdout


class Ext4:
    """A small file system of its own in a file, mounted at `path`."""

    def __init__(self, directory: Path) -> None:
        if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            pytest.skip("needs Linux, root to mount a file system, and mkfs.ext4")
        self.path, self._image = directory / "disk", directory / "image"
        self.path.mkdir()
        with self._image.open("wb") as made:
            made.truncate(16 << 20)
        _ran("mkfs.ext4", "-q", str(self._image))

    def mount(self, options: str = "errors=remount-ro") -> None:
        _ran("mount", "-o", f"loop,{options}", str(self._image), str(self.path))

    def discard(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.path)], capture_output=True, check=False)

    def fail(self) -> None:
        """Let the kernel find an error in it: it takes no more writes from then on, also to files that are open."""
        device = Path(_ran("findmnt", "-no", "SOURCE", str(self.path)).strip()).name
        trigger = Path("/sys/fs/ext4", device, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel triggers no error of a file system")
        trigger.write_text("test")

    def repair(self) -> None:
        """Check it, as is done before it is mounted again."""
        subprocess.run(["umount", str(self.path)], capture_output=True, check=True)  # fails while a file is open
        subprocess.run(["e2fsck", "-fy", str(self._image)], capture_output=True, check=False)
        self.mount()


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Ext4]:
    made = Ext4(tmp_path)
    with ExitStack() as undo:
        undo.callback(made.discard)
        made.mount()
        made.path.joinpath("state").mkdir(0o700)
        yield made


def test_a_file_system_that_becomes_read_only_under_orders(sim: Simulator, ext4: Ext4) -> None:
    """G1, G6, G8, G9, G13: nothing new is sent, open orders can be canceled, and after a repair nothing is lost."""
    state = ext4.path / "state"
    with Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK, live=True) as engine:
        engine.place("MASTER", ORDER, id="one", timeout=PATIENCE)
        cash = engine.balance("MASTER", max_age=60, timeout=PATIENCE).cash
        ext4.fail()
        for number in range(3):
            with pytest.raises(CallNotSent, match="could not be written down"):
                engine.place("MASTER", ORDER, id=f"later-{number}", timeout=PATIENCE)
        until = time.monotonic() + PATIENCE
        with pytest.raises(NonceNotDurable):  # noqa: PT012 - those below the mark that is durable still go
            while time.monotonic() < until:
                engine.submit("MASTER", "TradeBalance").result(PATIENCE)
        assert engine.balance("MASTER").cash == cash
        assert engine.call("MASTER", "CancelAll", timeout=PATIENCE) == {"count": 1}
        with Stopwatch() as watch:
            engine.stop()
        assert watch.seconds < SOON
    assert len(sim.placements("MASTER")) == 1
    with pytest.raises(StoreError, match=str(ext4.path)):
        Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK).start()

    ext4.repair()
    with Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK, live=True) as engine:
        assert engine.balance("MASTER").state is not BalanceState.UNKNOWN
        again = engine.place("MASTER", ORDER, id="one", timeout=PATIENCE)
        assert again.state in (OrderState.PLACED, OrderState.CANCELED)
        assert engine.place("MASTER", ORDER, id="later-0", timeout=PATIENCE).state is OrderState.PLACED
        assert not [each for each in engine.status().warnings if "journal" in each.code or "nonces" in each.code]
    assert len(sim.placements("MASTER")) == 2
    assert sim.refused_nonces == 0


@pytest.mark.parametrize("had_engine", [True, False])
def test_a_start_on_a_read_only_file_system_is_one_sentence(sim: Simulator, ext4: Ext4, had_engine: bool) -> None:
    state = ext4.path / "state"
    if had_engine:
        with Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK) as engine:
            engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
    _ran("mount", "-o", "remount,ro", str(ext4.path))
    with pytest.raises(StoreError, match="read-only") as caught:
        Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK).start()
    assert str(ext4.path) in str(caught.value)
    _ran("mount", "-o", "remount,rw", str(ext4.path))
    with Engine(sim.accounts, url=sim.url, state_dir=state, settings=QUICK) as engine:
        assert engine.call("MASTER", "TradeBalance", timeout=PATIENCE)
