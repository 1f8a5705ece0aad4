"""What the torture tests share: chance that can be replayed, and a directory of marks to damage."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.rules.lane.nonce import SECOND
from engine.store.nonces import Nonces, file_nonces
from tests import ROOT

NOW = 1_790_000_000 * SECOND
DAY = 86_400 * SECOND
ISSUER = Path(__file__).with_name("issuer.py")
KEYS = ("0123456789abcdef" * 2, "fedcba9876543210" * 2)


def chance() -> random.Random:
    """Chance whose seed is printed; ``TORTURE_SEED=N`` replays it. Without ``-m torture`` it is always the same."""
    seed = int(os.environ.get("TORTURE_SEED") or 20261128)
    print(f"TORTURE_SEED={seed}")
    return random.Random(seed)


class TurnedClock:
    """A wall clock that the test turns."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def wall_ns(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return 0.0


class Warnings(list[tuple[str, str]]):
    """Collects what `Nonces` warns of."""

    def __call__(self, code: str, sentence: str) -> None:
        self.append((code, sentence))

    def codes(self) -> list[str]:
        return [code for code, _ in self]


def issue(nonces: Nonces, clock: TurnedClock, rounds: int = 3) -> dict[str, int]:
    """The highest nonce of each key after some that each needed a reservation of its own."""
    highest = {}
    for _ in range(rounds):
        clock.now += 2 * SECOND
        highest.update({key: nonces.issue(key) for key in KEYS})
    return highest


def make_marks(directory: Path, clock: TurnedClock, rounds: int = 3) -> dict[str, int]:
    """A state directory with marks in it, closed; returns the highest nonce of each key."""
    nonces = file_nonces(directory, clock=clock)
    highest = issue(nonces, clock, rounds)
    nonces.close()
    return highest


class Issuer:
    """The process of ``tests/crash/issuer.py``, obedient to one word at a time."""

    def __init__(self, directory: Path, *, user: int | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ISSUER), str(directory), *([str(user)] if user else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def __call__(self, word: str) -> dict[str, Any]:
        """What became of it. Every answer comes within 2 seconds."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{word}\n".encode())
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert answer["seconds"] < 2, answer
        return answer

    def faulty(self, call: str, fault: str) -> contextlib.AbstractContextManager[None]:
        """Let strace spoil a system call: ``error=EIO``, or ``delay_enter=MICROSECONDS``."""
        return attached(self.process.pid, call, fault)

    def __enter__(self) -> Issuer:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@contextlib.contextmanager
def attached(pid: int, calls: str, fault: str) -> Iterator[None]:
    """Let strace inject a fault into calls of a process, its threads and its children, until the context ends."""
    command = ["strace", "-f", "-p", str(pid), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}"]
    strace = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert strace.stderr is not None
    assert b"attached" in strace.stderr.readline()
    drain = threading.Thread(target=strace.stderr.read)
    drain.start()
    try:
        yield
    finally:
        strace.terminate()
        strace.wait()
        drain.join()
        strace.stderr.close()


def needs_strace() -> None:
    """Skip the test where strace is not installed or not allowed."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace: apt-get install strace")
    tried = subprocess.run(["strace", "-f", "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"strace may not trace here: {tried.stderr.strip()[-100:]}")
