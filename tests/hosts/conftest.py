"""Virtual environments for the programs; what cannot be installed is skipped, with pip's reason."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

FREQTRADE = "freqtrade==2026.9"
CCXT = "ccxt==4.5.90"
NAUTILUS_TRADER = "nautilus_trader==1.231.0"
INSTALLS_WITHIN = 120.0  # seconds
_NEWEST = ("python3.14", "python3.13", "python3.12")


@pytest.fixture(scope="session")
def freqtrade(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Python with freqtrade, and with what the engine needs to run beside it."""
    needed = importlib.metadata.requires("kraken-engine") or []
    ours = [each for each in needed if "extra ==" not in each]
    packages = [FREQTRADE, CCXT, *ours]
    directory = tmp_path_factory.mktemp("freqtrade")
    with _environment(directory, sys.executable, packages, "freqtrade.freqtradebot") as python:
        yield python


@pytest.fixture(scope="session")
def nautilus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Python with NautilusTrader."""
    python = _at_least_3_12()
    if python is None:
        pytest.skip(f"{NAUTILUS_TRADER} needs Python 3.12, and there is none")
    packages = [NAUTILUS_TRADER]
    with _environment(tmp_path_factory.mktemp("nautilus"), python, packages, "nautilus_trader.core") as found:
        yield found


@contextmanager
def _environment(directory: Path, python: str, packages: Sequence[str], module: str) -> Iterator[str]:
    """A virtual environment with these packages, until it is left. Skips when they cannot be installed or loaded."""
    inside = str(directory / "bin" / "python")
    install = [inside, "-m", "pip", "install", "-q", "--prefer-binary", "--retries", "1", *packages]
    try:
        for command in ([python, "-m", "venv", str(directory)], install, [inside, "-c", f"import {module}"]):
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLS_WITHIN, check=False)
            if done.returncode:
                told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
                pytest.skip(f"{packages[0]} cannot be installed here: {told[:300]}")
        yield inside
    except subprocess.TimeoutExpired:
        pytest.skip(f"{packages[0]} was not installed within {INSTALLS_WITHIN:.0f} seconds")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _at_least_3_12() -> str | None:
    if sys.version_info >= (3, 12):
        return sys.executable
    for name in _NEWEST:
        python = shutil.which(name)
        if python and not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
            return python
    return None
