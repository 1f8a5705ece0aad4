"""`kraken-engine init`: from a few answers to a configuration that the other commands can use."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from engine.simulator import Simulator
from tests import ROOT
from tests.cli.test_cli import Environment, _environment, _of, _run

ANSWERS = ("--cash", "zeur, USD", "--accounts", "MASTER,ALICE", "--tier", "pro")


@pytest.fixture
def env(sim: Simulator, tmp_path: Path) -> Environment:
    """Only the simulator's address: the keys come from the files that are written."""
    return _environment(tmp_path, KRAKEN_SPOT_URL=sim.url)


def _init(tmp_path: Path, *more: str) -> tuple[str, ...]:
    return "init", str(tmp_path / "engine.toml"), *ANSWERS, "--secrets", str(tmp_path / "my keys"), *more


def test_a_newcomer_answers_and_every_command_knows_the_accounts(
    sim: Simulator, tmp_path: Path, env: Environment
) -> None:
    ran = _run(*_init(tmp_path, "--unit", "none", "--json"), env=env)
    assert ran.code == 0, ran.err
    told = ran.document
    assert [Path(path).name for path in told["missing"]] == ["MASTER.key", "MASTER.secret", "ALICE.key", "ALICE.secret"]
    for account in sim.accounts[:2]:
        (tmp_path / "my keys" / f"{account.name}.key").write_text(account.key)
        (tmp_path / "my keys" / f"{account.name}.secret").write_text(account.secret)
    shown = _run("balances", "--json", "--config", told["config"], env=env)
    assert [each["account"] for each in shown.document["accounts"]] == ["MASTER", "ALICE"]
    assert 'cash = ["EUR", "USD"]\ntier = "pro"' in (tmp_path / "engine.toml").read_text()


def test_questions_are_asked_on_stderr_and_asked_again(tmp_path: Path, env: Environment) -> None:
    answers = "EUR!\nEUR\n\nbest\nintermediate\n" + str(tmp_path / "keys") + "\nnone\n"
    command = [sys.executable, "-W", "error", "-m", "engine", "init", str(tmp_path / "c.toml"), "--json"]
    done = subprocess.run(
        command, input=answers, capture_output=True, text=True, env=env, cwd=ROOT, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{"), "one document, and nothing else"
    assert "'EUR!' is not a list of assets" in done.stderr
    assert "'best' is not a tier" in done.stderr
    text = (tmp_path / "c.toml").read_text()
    assert 'cash = ["EUR"]\ntier = "intermediate"' in text
    assert "[accounts.MASTER]" in text


def test_without_a_terminal_it_says_that_options_are_wanted(tmp_path: Path, env: Environment) -> None:
    ran = _run("init", str(tmp_path / "c.toml"), "--json", env=env)
    assert ran.code == 2
    assert "give every answer as an option" in ran.document["error"]["message"]
    assert not (tmp_path / "c.toml").exists()


@pytest.mark.parametrize("there", ["engine.toml", "a.service"])
def test_no_file_is_replaced(tmp_path: Path, env: Environment, there: str) -> None:
    (tmp_path / there).write_text("mine")
    ran = _run(*_init(tmp_path, "--unit", str(tmp_path / "a.service")), env=env)
    assert ran.code == 2
    assert f"{tmp_path / there} exists already and is not replaced" in ran.err
    assert (tmp_path / there).read_text() == "mine"
    assert not (tmp_path / "my keys").exists(), "nothing was made"


@pytest.mark.parametrize("wrong", [
    ("--cash", ","), ("--cash", "E€R"), ("--accounts", "A,A"), ("--accounts", "a b"), ("--tier", "gold"),
])  # fmt: skip
def test_an_answer_that_cannot_be_used_is_wrong_usage(tmp_path: Path, env: Environment, wrong: tuple[str, str]) -> None:
    ran = _run(*_init(tmp_path, "--unit", "none", *wrong), env=env)
    assert ran.code == 2
    assert repr(wrong[1]) in ran.err
    assert not (tmp_path / "engine.toml").exists()


def test_what_it_writes_only_this_user_can_read(tmp_path: Path, env: Environment) -> None:
    assert _run(*_init(tmp_path, "--unit", str(tmp_path / "a.service")), env=env).code == 0
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["engine.toml"] == modes["a.service"] == 0o600
    assert modes["my keys"] == modes["state"] == 0o700


def test_a_directory_that_others_can_write_to_gets_no_secret(tmp_path: Path, env: Environment) -> None:
    (tmp_path / "my keys").mkdir()
    (tmp_path / "my keys").chmod(0o777)
    ran = _run(*_init(tmp_path, "--unit", "none"), env=env)
    assert ran.code == 2
    assert "run chmod 700 on it" in ran.err


def test_the_unit_starts_the_service_with_the_keys_as_credentials(tmp_path: Path, env: Environment) -> None:
    unit = tmp_path / "a.service"
    assert _run(*_init(tmp_path, "--unit", str(unit)), env=env).code == 0
    text = unit.read_text()
    assert "RestartPreventExitStatus=2 3" in text
    assert f"LoadCredential=ALICE.secret:{tmp_path / 'my keys' / 'ALICE.secret'}" in text
    assert "Environment=KRAKEN_USER_ALICE_API_SECRET_FILE=%d/ALICE.secret" in text
    if shutil.which("systemd-analyze"):
        verify = ["systemd-analyze", "verify", str(unit)]
        told = subprocess.run(verify, capture_output=True, text=True, timeout=60, check=False)
        assert told.stderr == ""


def test_it_sends_nothing(sim: Simulator, tmp_path: Path) -> None:
    assert _run(*_init(tmp_path, "--unit", "none"), env=_of(sim, tmp_path)).code == 0
    assert sim.calls == []
