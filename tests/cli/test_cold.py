"""What a command does not need it does not import: most of the time of a new process goes there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import pytest

from engine import Account, Engine
from engine.cli.commands import CommandGroup, Commands
from engine.cli.program import PROGRAM, program
from engine.simulator import Simulator
from tests.cli.test_cli import _environment, _of

CODE = (
    "import json, sys; from engine.__main__ import main; code = main(); "
    "print(json.dumps(sorted(sys.modules)), file=sys.stderr); sys.exit(code)"
)
OTHER_LIBRARIES = ("requests", "urllib3", "http.client", "email", "asyncio", "websockets", "psycopg", "apprise")
DRAWING = ("rich", "engine.cli.drawing")
SERVING = ("starlette", "uvicorn", "prometheus_client", "engine.web.app", "engine.doctor", "engine.simulator")
CLIENT = ("engine.app.remote.remote_engine", "engine.app.remote.codec")
OWN_ENGINE = ("engine.app.engine", "engine.actors.system", "sqlitedict", "engine.transport")


def loaded(arguments: Sequence[str], environment: Mapping[str, str], code: int = 0) -> set[str]:
    """The modules that a command has imported by its end."""
    command = [sys.executable, "-c", CODE, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(environment), timeout=60, check=False
    )
    assert done.returncode == code, done.stderr
    names: list[str] = json.loads(done.stderr.splitlines()[-1])
    return set(names)


def test_balances_load_no_other_way_to_kraken_and_to_people(sim: Simulator, tmp_path: Path) -> None:
    for _ in range(2):  # the second finds the files of the first
        found = loaded(["balances"], _of(sim, tmp_path))
        assert not found & {*OTHER_LIBRARIES, *DRAWING, *SERVING, *CLIENT}
        assert len([name for name in found if name.startswith("engine.")]) < 260


def test_a_private_call_loads_no_more(sim: Simulator, tmp_path: Path) -> None:
    found = loaded(["call", "MASTER", "TradeBalance"], _of(sim, tmp_path))
    assert not found & {*OTHER_LIBRARIES, *DRAWING, *SERVING, *CLIENT}


@pytest.mark.parametrize(("words", "code"), [("balances --help", 0), ("orders --help", 0), ("balances", 2)])
def test_help_and_wrong_usage_load_no_engine(words: str, code: int, tmp_path: Path) -> None:
    found = loaded(words.split(), _environment(tmp_path), code)
    assert not found & {*OTHER_LIBRARIES, *DRAWING, *SERVING, *CLIENT, *OWN_ENGINE}


@pytest.mark.parametrize("arguments", [["status", "--json"], ["balances"], ["orders", "MASTER"]])
def test_a_running_service_is_asked_without_an_engine(arguments: list[str], sim: Simulator, tmp_path: Path) -> None:
    master = sim.accounts[0]
    with Engine([Account(*master)], url=sim.url, state_dir=tmp_path / "state") as engine, engine.serve(port=0):
        engine.balance("MASTER", max_age=60)
        found = loaded(arguments, _of(sim, tmp_path))
    assert not found & {"requests", *SERVING, *OWN_ENGINE}


def test_the_list_of_commands_loads_none_of_them(tmp_path: Path) -> None:
    found = loaded(["--help"], _environment(tmp_path))
    assert not found & {*OTHER_LIBRARIES, *DRAWING, *SERVING, *CLIENT, *OWN_ENGINE}
    assert not found & {f"engine.cli.{name}" for name in ("balances", "demo", "doctor", "serve", "trade")}


def test_the_list_of_commands_is_as_click_writes_it() -> None:
    commands = dict(program.commands)
    context = click.Context(program, info_name=PROGRAM, max_content_width=100)
    ours, of_click = context.make_formatter(), context.make_formatter()
    CommandGroup(commands=Commands()).format_commands(context, ours)
    click.Group(commands=commands).format_commands(context, of_click)
    assert ours.getvalue() == of_click.getvalue()
    assert all(name in ours.getvalue() for name in commands)
