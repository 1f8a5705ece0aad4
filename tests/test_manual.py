"""The manual says what is true: its programs run, its commands, settings, errors and topics are those of the code."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import pytest

import engine
from engine import Settings, config, errors
from engine.alerts import AlertSettings
from engine.cli.exits import HELP, Exit
from engine.cli.manual import ORDER, page, readable
from engine.cli.program import main, program
from engine.rules.balance.polling import interval
from engine.simulator import Simulator
from tests import ROOT
from tests.programs import output_of
from tests.web.test_service import METRICS

docutils_core = pytest.importorskip("docutils.core")
docutils_nodes = pytest.importorskip("docutils.nodes")

MANUAL = ROOT / "engine" / "manual"
README = ROOT / "README.rst"
DOCUMENTS = sorted([
    README, *MANUAL.glob("*.rst"), *(ROOT / "tests").rglob("README.rst"), *(ROOT / ".github").glob("*.rst"),
])  # fmt: skip
STRICT = {"halt_level": 2, "report_level": 1, "syntax_highlight": "none"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> Any:
    return docutils_core.publish_doctree(path.read_text(encoding="utf-8"), settings_overrides=STRICT)


def _blocks(language: str) -> Iterator[tuple[str, str]]:
    """The code blocks of that language, each with a name."""
    for path in DOCUMENTS:
        found = [each for each in _tree(path).findall(docutils_nodes.literal_block) if language in each["classes"]]
        for number, block in enumerate(found, 1):
            yield f"{_name(path)}-{number}", block.astext()


def _cases(language: str) -> Any:
    return [pytest.param(text, id=name) for name, text in _blocks(language)]


# What is written

@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_document_is_valid_and_its_files_exist(path: Path) -> None:
    """docutils reads it without a warning, and what it links to or shows is in the repository."""
    tree = _tree(path)
    links = [each.get("refuri", "") for each in tree.findall(docutils_nodes.reference)]
    images = [each["uri"] for each in tree.findall(docutils_nodes.image)]
    local = [link.partition("#")[0] for link in links + images if not re.match(r"[a-z]+:|#|$", link)]
    assert [link for link in local if not (path.parent / link).exists()] == []
    literals = [each.astext() for each in tree.findall(docutils_nodes.literal)]
    named = [text for text in literals if re.fullmatch(r"(examples|\.github)/[\w./-]+", text)]
    assert [text for text in named if not (ROOT / text).exists()] == []


def test_no_row_of_a_table_is_broken_in_two() -> None:
    """A line whose first column is not blank begins a row; one that was meant to continue a row leaves a cell empty."""
    for path in (README, *sorted(MANUAL.glob("*.rst"))):
        cells = _tree(path).findall(docutils_nodes.entry)
        assert [each.parent.astext() for each in cells if not each.astext().strip()] == [], path


def test_documents_cite_nothing_that_is_not_here() -> None:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        assert re.findall(r"KRAKEN\.md|DESIGN\.md|STYLE\.md|TRAPS\.md|§|\bT\d{1,2}\b", text) == [], path


def test_pages_are_short() -> None:
    assert {path.stem for path in MANUAL.glob("*.rst")} == set(ORDER)
    assert [topic for topic in ORDER if len(page(topic).splitlines()) >= 200] == []
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 180


def test_the_manual_is_part_of_the_package() -> None:
    assert "engine = py.typed, manual/*.rst" in (ROOT / "setup.cfg").read_text(encoding="utf-8")


# Its programs

@pytest.mark.parametrize("code", _cases("python"))
def test_python_block_runs(code: str, sim: Simulator, tmp_path: Path) -> None:
    """Each block is a whole program, run here against the simulator in a process of its own."""
    output_of(code, sim, tmp_path)


def test_python_blocks_are_well_typed(tmp_path: Path) -> None:
    """As a user's type checker sees them; a function in them needs no annotation."""
    for number, (_, code) in enumerate(_blocks("python")):
        (tmp_path / f"block_{number}.py").write_text(code, encoding="utf-8")
    command = [
        sys.executable, "-m", "mypy", "--config-file", str(ROOT / "setup.cfg"), "--follow-imports", "silent",
        "--allow-untyped-defs", "--check-untyped-defs", "--cache-dir", str(tmp_path / "cache"), str(tmp_path),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_simulator_s_example_ends_as_it_says(tmp_path: Path) -> None:
    code = next(text for name, text in _blocks("python") if name == "engine/manual/simulator.rst-1")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "open\nclosed\n", "")


@pytest.mark.parametrize("text", _cases("toml"))
def test_toml_block_is_a_configuration(text: str, tmp_path: Path) -> None:
    table = tomllib.loads(text)
    assert table.keys() <= {"url", "state_dir", "accounts", "settings", "alerts", "cluster", "lanes"}
    if "cluster" in table:
        file = tmp_path / "node.toml"
        file.write_text(text)
        assert config.load({}, file, need_accounts=False).cluster
    assert Settings(**table.get("settings", {}))
    addresses = tmp_path / "addresses"
    addresses.write_text("json://localhost")
    assert AlertSettings.read(table.get("alerts", {}) | {"urls_file": str(addresses)})


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _commands(each, (*words, name))


COMMANDS = dict(_commands(program))


def _options(command: click.Command) -> set[str]:
    named = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    return {name for name in named if name.startswith("--")} | {"--help", "--version"}


@pytest.mark.parametrize("text", _cases("console"))
def test_every_command_line_is_one_of_the_program(text: str) -> None:
    lines = re.findall(r"^(?:\.venv/bin/)?kraken-engine +(.*)$", text, re.MULTILINE)
    for line in lines:
        words = line.split()
        known = max((each for each in COMMANDS if tuple(words[: len(each)]) == each), key=len)
        assert known, f"no such command: {line}"
        command = COMMANDS[known]
        context = click.Context(command, parent=click.Context(program, **program.context_settings))
        command.make_parser(context).parse_args(words[len(known) :])


def test_every_option_and_command_it_names_exists() -> None:
    options = set().union(*map(_options, COMMANDS.values()))
    for path in (README, *sorted(MANUAL.glob("*.rst"))):
        for literal in _tree(path).findall(docutils_nodes.literal):
            text = literal.astext()
            found = re.match(r"(--[a-z0-9-]+)", text)
            assert not found or found[1] in options, f"{_name(path)}: {text}"
            command = re.match(r"kraken-engine ([a-z][a-z-]*)", text)
            assert not command or (command[1],) in COMMANDS, f"{_name(path)}: {text}"


def test_every_topic_it_names_exists() -> None:
    for path in DOCUMENTS:
        text = " ".join(path.read_text(encoding="utf-8").split())
        assert set(re.findall(r"(?:``|kraken-engine )help ([a-z0-9-]+)", text)) <= set(ORDER), path


# What it says of the code

def test_the_lanes_that_accounts_need_are_reckoned_as_the_engine_paces_itself() -> None:
    """One lane would fetch each balance as rarely as `interval` says; so many of them do so in time."""
    rows = re.findall(r"^(\d+) +(\d+) +([\d.]+) +(\d+) +(\d+) +(\d+)$", page("cluster-scale"), re.MULTILINE)
    assert len(rows) == 10
    share = Settings().polling_share
    for accounts, every, calls, *lanes in rows:
        assert float(calls) == round(int(accounts) / int(every), 1)
        alone = [interval(0.0, int(accounts), seconds, share, None) for seconds in (0.05, 0.1, 0.2)]
        assert [int(each) for each in lanes] == [math.ceil(round(each / int(every), 6)) for each in alone]


def _told(default: object) -> str:
    """A setting's default as the table has it."""
    return "none" if default is None else str(default) if isinstance(default, Decimal) else json.dumps(default)


def test_its_settings_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^``(\w+)`` +(\[.*?\]|\S+)", page("configuration").split("Commands\n---")[0], re.MULTILINE))
    for each in dataclasses.fields(Settings):
        assert rows.get(each.name) == _told(each.default), each.name


def test_its_commands_are_those_of_the_program() -> None:
    table = page("configuration").split("Commands\n---")[1].split("Options of every command")[0]
    rows = re.findall(r"^``([a-z -]+)[^`]*`` {2,}", table, re.MULTILINE)
    told = {tuple(row.split()) for row in rows}
    leaves = {words for words, command in COMMANDS.items() if not isinstance(command, click.Group)}
    assert told == leaves


def test_its_exit_codes_are_those_of_the_program() -> None:
    lines = {tuple(line.split(maxsplit=1)) for line in HELP.splitlines()[2:]}
    rows = [line.replace("``", "") for line in page("configuration").splitlines() if re.match(r"\d+  +\w", line)]
    assert {tuple(row.split(maxsplit=1)) for row in rows} == lines
    assert {int(code) for code, _ in lines} == set(Exit)


def test_it_names_every_error() -> None:
    classes = {name for name, each in vars(errors).items() if isinstance(each, type) and issubclass(each, Exception)}
    told = set(re.findall(r"\b[A-Z]\w+\b", page("errors")))
    assert classes - told == set()


def test_it_names_every_event() -> None:
    events = {name for name in engine.__all__ if re.search(r"(Changed|Finished|Filled|Acted|Warning)$", name)}
    assert events == set(re.findall(r"^``(\w+)`` {2,}", page("embedding"), re.MULTILINE))


def test_it_names_every_metric() -> None:
    assert set(re.findall(r"``(\w+)", page("service"))) >= METRICS


# In the terminal

def test_help_lists_the_topics(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == Exit.DONE
    listed = re.findall(r"^  ([a-z0-9-]+) +\S", capsys.readouterr().out, re.MULTILINE)
    assert listed == list(ORDER)


@pytest.mark.parametrize("topic", ORDER)
def test_help_prints_a_topic(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", topic]) == Exit.DONE
    out = capsys.readouterr().out
    assert out == readable(page(topic))
    assert ".. code-block" not in out
    assert ">`_" not in out
    assert "::\n" not in out
    assert max(map(len, out.splitlines())) <= 126


def test_help_under_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "--json"]) == Exit.DONE
    assert [each["topic"] for each in json.loads(capsys.readouterr().out)["topics"]] == list(ORDER)
    assert main(["help", "gates", "--json"]) == Exit.DONE
    assert json.loads(capsys.readouterr().out)["text"] == page("gates")


@pytest.mark.parametrize(
    ("topic", "says"), [("gate", "try gates"), ("serve", "kraken-engine serve --help"), ("xyzzy", "first-hour")]
)
def test_help_on_an_unknown_topic_says_what_to_try(topic: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", topic]) == Exit.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert says in said.err
