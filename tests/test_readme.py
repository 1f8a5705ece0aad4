"""The README says what is true: its tests exist, its exit codes are those of the program, its first lines run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.cli.exits import HELP, Exit
from engine.simulator import Simulator

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text(encoding="utf-8")


def _tests(file: str) -> set[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_it_names_exists() -> None:
    named = re.findall(r"``(test_\w+\.py)::(\w+)``", README)
    assert len(named) > 20
    assert [(file, name) for file, name in named if name not in _tests(file)] == []


def test_every_promise_is_there() -> None:
    assert re.findall(r"^   \* - (G\d+)$", README, re.MULTILINE) == [f"G{number}" for number in range(1, 14)]


def test_its_exit_codes_are_those_of_the_program() -> None:
    lines = {tuple(line.split(maxsplit=1)) for line in HELP.splitlines()[2:]}
    rows = [line.replace("``", "") for line in README.splitlines() if re.match(r"\d+  +\w", line)]
    told = {tuple(row.split(maxsplit=1)) for row in rows}
    assert told == lines
    assert {int(code) for code, _ in lines} == set(Exit)


def test_its_first_lines_run(sim: Simulator, tmp_path: Path) -> None:
    block = README.split(".. code-block:: python\n\n")[1].split("\n\nWatch")[0]
    code = "\n".join(line[4:] for line in block.splitlines())
    assert len([line for line in code.splitlines() if line]) <= 10
    master = sim.accounts[0]
    environment = {
        **os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "KRAKEN_SPOT_URL": sim.url,
        "KRAKEN_API_KEY": master.key, "KRAKEN_API_SECRET": master.secret,
        "KRAKEN_ENGINE_STATE": str(tmp_path / "state"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("FRESH 18000")


def test_its_lines_on_the_simulator_run(tmp_path: Path) -> None:
    block = README.split("\nThe simulator\n===")[1].split(".. code-block:: python\n\n")[1].split("\n=====")[0]
    code = textwrap.dedent(block)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "open\nclosed\n", "")


def test_it_is_valid_restructuredtext() -> None:
    core = pytest.importorskip("docutils.core")
    core.publish_string(README, writer="html5", settings_overrides={"halt_level": 2, "report_level": 1})
