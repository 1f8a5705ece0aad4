"""The tests of the tests: what the stopwatch leaves out, and what is made again."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests import ROOT
from tests.stopwatch import TRIES, Stopwatch, again_if_stalled

STOPPED = """
import os, signal, subprocess, sys, time
from tests.stopwatch import Stopwatch
wake = f"import os, signal, time\\nwhile True: time.sleep(1.5); os.kill({os.getpid()}, signal.SIGCONT)"
with subprocess.Popen([sys.executable, "-c", wake]) as waker:
    with Stopwatch() as watch:
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)
    waker.kill()
assert 0.2 < watch.seconds < watch.wall - 0.1, (watch.wall, watch.seconds)
"""


def test_the_time_of_a_suspension_is_not_counted() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STOPPED], cwd=ROOT, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_what_takes_its_time_is_measured() -> None:
    with Stopwatch() as watch:
        time.sleep(0.3)
    assert watch.wall > 0.29


class Stalled(AssertionError):
    """A check failed."""


@pytest.mark.parametrize("stalls", [0.0, 1.0])
def test_a_check_that_always_fails_fails(monkeypatch: pytest.MonkeyPatch, stalls: float) -> None:
    """At once where the machine ran, after some tries where it did not."""
    tries: list[int] = []

    @again_if_stalled
    def check() -> None:
        tries.append(1)
        raise Stalled

    clock = Stopwatch.clock

    def stalling(watch: Stopwatch) -> float:
        now = clock(watch)
        watch.stalled = stalls
        return now

    monkeypatch.setattr(Stopwatch, "clock", stalling)
    with pytest.raises(Stalled):
        check()
    assert len(tries) == (TRIES if stalls else 1)


def test_a_check_that_passes_is_made_once() -> None:
    tries: list[int] = []
    again_if_stalled(lambda: tries.append(1))()
    assert tries == [1]
