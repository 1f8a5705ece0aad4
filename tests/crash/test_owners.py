"""G2: engines race for one state directory. Exactly one gets it; the others know its pid in under a second."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


def _race(directory: Path, races: int, racers: int) -> None:
    """Each race begins when the winner of the last was killed with -9: the directory is free again at once."""
    command = [sys.executable, "-m", "tests.crash.races", str(directory), str(races), str(racers)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    results = json.loads(done.stdout)
    assert len(results) == races
    slowest = 0.0
    for told in results:
        winners = [each["pid"] for each in told if each["won"]]
        assert len(winners) == 1, told
        assert all(each["owner"] == winners[0] for each in told if not each["won"]), told
        slowest = max(slowest, *(each["seconds"] for each in told))
    print(f"{races} races of {racers}, slowest {slowest:.3f} s")
    assert slowest < 1


def test_one_of_two_owns_the_directory_in_100_races(tmp_path: Path) -> None:
    _race(tmp_path / "state", 100, 2)


def test_one_of_eight_owns_the_directory_in_20_races(tmp_path: Path) -> None:
    _race(tmp_path / "state", 20, 8)


@pytest.mark.torture
def test_one_of_two_owns_the_directory_in_2000_races(tmp_path: Path) -> None:
    _race(tmp_path / "state", 2000, 2)
