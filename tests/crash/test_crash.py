"""G1: killed at every system call that changes a file, in every thread; it reopens above all issued nonces."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine.store.nonces import file_nonces, read_marks
from tests import ROOT
from tests.crash.crasher import IDLE, KILL_AT
from tests.crash.issuer import KEY, LateClock
from tests.crash.torture import Warnings, attached, chance, needs_strace


def _crash(directory: Path, step: int, first: int) -> Counter[str]:
    """Crash at each point, reopen each time; the number of points per system call."""
    needs_strace()
    command = [sys.executable, "-m", "tests.crash.crasher", str(directory), str(step), str(first)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crasher:
        assert crasher.stdin is not None
        assert crasher.stdout is not None
        assert crasher.stdout.readline() == "ready\n"
        with attached(crasher.pid, ",".join(IDLE), f"signal=KILL:when={KILL_AT}"):
            points = json.loads(crasher.communicate("go\n", timeout=600)[0])
    for thread, call, number in points:
        _reopens(directory / f"{thread}-{call}-{number}")
    seen = Counter(call for _, call, _ in points)
    print(f"killed at {len(points)} points: {dict(seen)}")
    return seen


def _reopens(directory: Path) -> None:
    said = [int(line) for line in (directory / "said").read_text().split()] if (directory / "said").exists() else []
    assert said == sorted(set(said))
    highest = max(said, default=0)
    assert read_marks(directory).get(KEY, 0) >= highest, directory
    warnings = Warnings()
    nonces = file_nonces(directory, clock=LateClock(), warn=warnings)
    assert nonces.issue(KEY) > highest, directory
    nonces.close()
    assert not warnings, (directory, warnings)


def test_crash_at_a_tenth_of_the_system_calls(tmp_path: Path) -> None:
    assert sum(_crash(tmp_path, 10, chance().randrange(10)).values()) >= 10


@pytest.mark.torture
def test_crash_at_every_system_call(tmp_path: Path) -> None:
    seen = _crash(tmp_path, 1, 0)
    assert set(seen) == set(IDLE)
    assert sum(seen.values()) > 150
