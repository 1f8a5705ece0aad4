"""G13: a start that fails, or that Ctrl-C breaks off, leaves nothing: no lock, no thread, no descriptor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from engine import Account, Engine
from engine.app.uninterrupted import uninterrupted
from engine.errors import ConfigError, StoreError
from engine.ownership import Ownership
from engine.simulator import Fault, Simulator
from tests import ROOT
from tests.conftest import QUICK
from tests.stopwatch import PATIENCE


class Interrupted(Exception):
    """What the handler of a signal raises."""


NOWHERE = "http://127.0.0.1:9"
real_start = threading.Thread.start


def new_engine(directory: Path, **more: Any) -> Engine:
    key = os.urandom(8).hex()
    accounts = [Account(name, f"{name}-{key}", "c2VjcmV0") for name in ("MASTER", "ALICE")]
    return Engine(accounts, **{"url": NOWHERE, "state_dir": directory, **more})


def _descriptors(directory: Path) -> list[str]:
    """The files of a state directory that this process has open."""
    found = []
    for name in os.listdir("/dev/fd"):
        path = os.path.realpath(f"/dev/fd/{name}")
        if path.startswith(str(directory)):
            found.append(path)
    return found


def _threads() -> set[threading.Thread]:
    """Those that run: an exception in the middle of `Thread.start` leaves one in Python's list that never will."""
    return {thread for thread in threading.enumerate() if thread.ident is not None}


@contextmanager
def nothing_is_left(directory: Path) -> Iterator[None]:
    before = _threads()
    yield
    patience = time.monotonic() + PATIENCE
    for thread in _threads() - before:
        thread.join(max(0.0, patience - time.monotonic()))
    assert _threads() <= before
    assert not _descriptors(directory)


def _fail_at(position: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the start of the n-th thread fail; the list counts them."""
    count = [0]

    def start(self: threading.Thread) -> None:
        count[0] += 1
        if count[0] == position:
            raise error
        real_start(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    return count


@pytest.mark.parametrize("error", [RuntimeError("no thread"), KeyboardInterrupt()], ids=repr)
def test_a_thread_that_cannot_be_started_whichever_it_is(tmp_path: Path, error: BaseException) -> None:
    position, failed = 0, True
    while failed:
        position += 1
        directory = tmp_path / str(position)
        engine = new_engine(directory)
        with nothing_is_left(directory):
            with pytest.MonkeyPatch.context() as monkeypatch:
                count = _fail_at(position, error, monkeypatch)
                try:
                    engine.start()
                except BaseException:
                    assert count[0] >= position
                failed = count[0] >= position
            engine.stop()
        with nothing_is_left(directory):
            engine.start().stop()
    assert position > 12, "an engine of two accounts has so many threads"


@contextmanager
def _descriptors_left(count: int) -> Iterator[None]:
    """Let this process open only so many more files."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/dev/fd")) - 1  # without the one that lists them
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + count, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize("looks_first", [True, False])
def test_files_that_cannot_be_opened_whichever_it_is(
    tmp_path: Path, every: int, looks_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine looks first whether it may open enough; another thread may open some of them meanwhile."""
    if not looks_first:
        monkeypatch.setattr("engine.app.engine.check_files", lambda *_: None)
    count, failed = 0, True
    while failed:
        directory = tmp_path / str(count)
        engine = new_engine(directory)
        with nothing_is_left(directory):
            with _descriptors_left(count):
                try:
                    engine.start()
                    failed = False
                except StoreError as error:
                    assert "open" in str(error)  # noqa: PT017
            engine.stop()
        with nothing_is_left(directory):
            engine.start().stop()
        count += every
    assert count > 20, "an engine has so many files open"


INTERRUPTED = """
import signal, sys
from pathlib import Path
from engine.ownership import Ownership
from tests.app.test_start_fails import Interrupted
from tests.app.test_start_fails import new_engine
from tests.app.test_start_fails import nothing_is_left

is_on = False

def handler(*_):
    if is_on:
        raise Interrupted

signal.signal(signal.SIGALRM, handler)
interrupted = 0
for turn in range(20):
    directory = Path(sys.argv[1], str(turn))
    engine = new_engine(directory)
    with nothing_is_left(directory):
        if sys.argv[2] == "stop":
            engine.start()
        try:
            is_on = True
            signal.setitimer(signal.ITIMER_REAL, 0.0005 * (turn + 1), 0.002)
            try:
                getattr(engine, sys.argv[2])()
            finally:
                is_on = False
        except Interrupted:
            is_on = False  # it came in the last moment
            interrupted += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        engine.stop()
    Ownership(directory).release()
print(interrupted)
"""


@pytest.mark.parametrize("what", ["start", "stop"])
def test_an_exception_of_a_signal_handler_at_any_moment(tmp_path: Path, what: str) -> None:
    """As a time limit, or Ctrl-C, has it: it comes at some moment, and again while that is undone."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path), what], cwd=ROOT, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_what_cannot_be_used_leaves_nothing(tmp_path: Path) -> None:
    """The directory, one of its files, the CA file; and when it is fixed the same engine starts."""
    for name in ("owner.lock", "nonces.sqlite", "nonces-copy.sqlite", "limits.sqlite", "balances.sqlite",
                 "history.sqlite", "catalogue.sqlite", "orders.sqlite"):  # fmt: skip
        directory = tmp_path / name.partition(".")[0]
        (directory / name).mkdir(parents=True)
        directory.chmod(0o700)
        engine = new_engine(directory)
        with nothing_is_left(directory), pytest.raises(StoreError):
            engine.start()
        (directory / name).rmdir()
        with nothing_is_left(directory):
            engine.start().stop()


def _interrupted_at(position: int, start: Callable[[], object]) -> bool:
    """Raise what Ctrl-C does before the n-th step that Python takes here to start; whether there were so many."""
    steps = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        steps += event == "opcode"
        if event == "opcode" and steps == position:
            raise KeyboardInterrupt
        return step

    def enter(frame: FrameType, *_: object) -> Any:
        frame.f_trace_opcodes = frame.f_code.co_filename == uninterrupted.__code__.co_filename
        return step if frame.f_trace_opcodes else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        start()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.torture)])
def test_ctrl_c_before_each_step_of_a_start(tmp_path: Path, every: int) -> None:
    """Also before the last ones, when all is there already."""
    position, is_interrupted = 1, True
    while is_interrupted:
        directory = tmp_path / str(position)
        engine = new_engine(directory)
        with nothing_is_left(directory):
            is_interrupted = _interrupted_at(position, engine.start)
            if not is_interrupted:
                engine.stop()
        Ownership(directory).release()
        position += every
    assert position > 60


def test_a_ca_file_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    settings = QUICK.__class__(ca_file=str(tmp_path / "none.pem"))
    engine = new_engine(tmp_path / "state", url="https://api.kraken.com", settings=settings)
    with nothing_is_left(tmp_path), pytest.raises(ConfigError):
        engine.start()


def test_a_start_right_after_a_stop_without_time(sim: Simulator, tmp_path: Path) -> None:
    """`stop(0)` waits for nothing: what it leaves has ended when the next start goes on."""
    engine = Engine(sim.accounts, url=sim.url, state_dir=tmp_path / "state", settings=QUICK)
    with nothing_is_left(tmp_path):
        for _ in range(3):
            engine.start()
            with sim.outage(Fault.hang()):
                waiting = engine.submit("MASTER", "TradeBalance", {}, 30)
                sim.wait_for_calls(1, ended=False)
                engine.stop(0)
                assert waiting.exception(PATIENCE) is not None
            engine.start()
            assert engine.call("MASTER", "Balance")
            engine.stop()


def test_work_that_is_interrupted_is_undone_and_an_error_of_its_own_comes_through() -> None:
    done: list[str] = []
    uninterrupted(lambda: done.append("work"), lambda: done.append("undo"))
    assert done == ["work"]
    with pytest.raises(ZeroDivisionError):
        uninterrupted(lambda: done.append(str(1 // 0)), lambda: done.append("undo"))
    assert done == ["work"]

    def work() -> None:
        done.append("work")
        signal.raise_signal(signal.SIGALRM)

    def handler(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with pytest.raises(Interrupted):
            uninterrupted(work, lambda: done.append("undo"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert done == ["work", "work", "undo"]
