"""G1 with real processes: kill -9 at random moments, with the wall clock moved at every start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.torture import chance

SCRIPT = Path(__file__).with_name("kill9.py")


def _kill(directory: Path, restarts: int) -> dict[str, int]:
    seed = chance().randrange(2**32)
    command = [sys.executable, str(SCRIPT), str(directory), str(restarts), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    assert done.returncode == 0, f"seed {seed}\n{done.stderr}"
    print(done.stdout)
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_every_nonce_rises_over_200_kills_and_moved_clocks(tmp_path: Path) -> None:
    found = _kill(tmp_path, 200)
    assert found["backward"] > 50
    assert found["nonces"] > 10_000
    assert 0 < found["silent"] < 100, "some die while the store is opened, most while they issue"


@pytest.mark.torture
def test_every_nonce_rises_over_1000_kills_and_moved_clocks(tmp_path: Path) -> None:
    assert _kill(tmp_path, 1000)["nonces"] > 50_000
