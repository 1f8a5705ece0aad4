"""Programs as the documents print them, run in a process of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.simulator import Simulator
from tests import ROOT


def output_of(code: str, sim: Simulator, directory: Path) -> str:
    """What a Python program prints that finds the simulator in its environment. It has to end well, with no warning."""
    master = sim.accounts[0]
    environment = {
        **os.environ, "HOME": str(directory), "PYTHONPATH": str(ROOT), "KRAKEN_SPOT_URL": sim.url,
        "KRAKEN_API_KEY": master.key, "KRAKEN_API_SECRET": master.secret,
        "KRAKEN_ENGINE_STATE": str(directory / "state"),
        "GATEWAY_URL": sim.url, "GATEWAY_KEY": master.key, "GATEWAY_SECRET": master.secret,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, env=environment, cwd=directory, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def faults_of_unit(unit: Path) -> list[str]:
    """What systemd finds wrong with a unit, but for programs that are not installed here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    command = ["systemd-analyze", "verify", str(unit)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return [line for line in told.stderr.splitlines() if "is not executable" not in line]


def end_process(process: subprocess.Popen[str]) -> None:
    """Kill it if it still runs, and close its pipes."""
    if process.poll() is None:
        process.kill()
        process.communicate()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
