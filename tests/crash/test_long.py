"""G1: millions of nonces from 16 threads. Each is greater than the last, and memory stays flat."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from engine.store.nonces import file_nonces, read_marks
from engine.values import SYSTEM_CLOCK
from tests.crash.torture import KEYS

THREADS = 16


def _resident() -> int:
    """Bytes of memory in use."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Run:
    """Threads that take turns, as the callers of the lane do, and look at the nonce before theirs."""

    def __init__(self, directory: Path) -> None:
        self.nonces = file_nonces(directory, clock=SYSTEM_CLOCK)
        self.last = 0
        self._turn = threading.Lock()
        self._wrong: list[tuple[int, int]] = []

    def issue(self, count: int) -> None:
        """So many nonces, shared out among the threads."""
        threads = [threading.Thread(target=self._caller, args=(count // THREADS,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not self._wrong

    def _caller(self, count: int) -> None:
        for _ in range(count):
            with self._turn:
                nonce = self.nonces.issue(KEYS[0])
                if nonce <= self.last:
                    self._wrong.append((self.last, nonce))
                self.last = nonce


def _run(directory: Path, count: int) -> None:
    run = Run(directory)
    run.issue(count // 10)
    before = _resident()
    run.issue(count)
    grown = _resident() - before
    print(f"{count + count // 10} nonces, {grown / 1e6:.1f} MB more")
    assert grown < 8e6
    assert read_marks(directory)[KEYS[0]] >= run.last
    run.nonces.close()


pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its memory from /proc")


def test_many_nonces_rise_and_leave_nothing_behind(tmp_path: Path) -> None:
    _run(tmp_path, 250_000)


@pytest.mark.torture
def test_ten_million_nonces_rise_and_leave_nothing_behind(tmp_path: Path) -> None:
    _run(tmp_path, 10_000_000)
