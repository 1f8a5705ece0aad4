"""The README says what is true: the tests it points to exist, its first lines run, its commands are as told."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

from engine.simulator import Simulator
from tests import ROOT
from tests.programs import output_of

README = (ROOT / "README.rst").read_text(encoding="utf-8")
PROMISES = (ROOT / "tests" / "README.rst").read_text(encoding="utf-8")
BENCHMARKS = (ROOT / "tests" / "benchmarks" / "README.rst").read_text(encoding="utf-8")
NAMED = re.findall(r"``([\w/]+\.py)::(\w+)``", PROMISES + BENCHMARKS)


def _tests(file: str) -> set[str]:
    """The names of the tests in a file below `tests`."""
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_test_that_is_named_exists() -> None:
    assert len(NAMED) > 20
    assert [(file, name) for file, name in NAMED if name not in _tests(file)] == []
    files = set(re.findall(r"``([\w/]+\.py)``", PROMISES))
    assert [file for file in files if not (ROOT / "tests" / file).is_file()] == []


def test_every_promise_is_there() -> None:
    assert re.findall(r"^   \* - (G\d+)$", PROMISES, re.MULTILINE) == [f"G{number}" for number in range(1, 15)]


def test_its_commands_are_those_of_a_fresh_clone() -> None:
    """The demo is the first block; the test command is a line of its own, which `.ci/run` looks for."""
    blocks = re.findall(r"::\n\n    (.*)\n", README)
    assert blocks[0].endswith(".venv/bin/kraken-engine demo")
    assert re.search(r"^ *python3 -m venv .*pytest", README, re.MULTILINE)


def test_its_first_lines_run(sim: Simulator, tmp_path: Path) -> None:
    block = README.split(".. code-block:: python\n\n")[1].split("\n\n``engine.place")[0]
    code = textwrap.dedent(block)
    assert len([line for line in code.splitlines() if line]) <= 10
    assert output_of(code, sim, tmp_path).startswith("FRESH 18000")
