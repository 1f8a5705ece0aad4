"""What a person is told who asks a node that is not running, or has another token than the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Account, Engine
from engine.cli.program import main
from engine.doctor import Finding, Level, examine
from engine.errors import CallNotSent, CallUnknown, ConnectFailed, EngineError
from engine.simulator import Simulator
from tests.cluster.test_peer import Node

LANES = '[lanes.one]\naccounts = ["MASTER"]\n'


@pytest.fixture
def config(sim: Simulator, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The configuration of node red, which does not run, with MASTER's key in the environment."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KRAKEN_ENGINE_STATE", "XDG_STATE_HOME", "KRAKEN_ENGINE_CLUSTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KRAKEN_API_KEY", sim.accounts[0].key)
    monkeypatch.setenv("KRAKEN_API_SECRET", sim.accounts[0].secret)
    monkeypatch.setenv("KRAKEN_SPOT_URL", sim.url)
    file = tmp_path / "node.toml"
    file.write_text(f'[cluster]\ndsn = "{dsn}"\nname = "red"\ntoken_file = "{tmp_path}/no-token"\n{LANES}')
    return str(file)


@pytest.mark.parametrize("command", ["status", "balances", "orders", "watch", "call MASTER Balance", "resume MASTER"])
def test_a_command_names_the_node_that_it_looked_for(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([*command.split(), "--config", config]) == 2
    told = capsys.readouterr().err
    assert f"Node red is not running on this machine (nobody uses {tmp_path}/.local/state" in told
    assert "serve --cluster" in told


def test_the_doctor_uses_no_key_of_a_cluster_without_its_node(
    sim: Simulator, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """G2: an engine with a state directory beside the nodes would be a second owner of their keys."""
    assert main(["doctor", "--json", "--config", config]) == 1
    found = {each["check"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert found["postgresql"]["level"] == "ok"
    assert found["node"]["level"] == "bad"
    assert "Node red is not running" in found["node"]["found"]
    assert "token_file names" in found["configuration"]["found"]
    assert found["key"]["level"] == "skipped"
    assert all(call.account is None for call in sim.calls), "no private call was made"
    assert not (tmp_path / ".local").exists(), "no state directory was made"


def test_the_doctor_tells_of_a_postgresql_that_is_away(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KRAKEN_ENGINE_CLUSTER", "host=127.0.0.1 port=1 user=nobody dbname=none")
    main(["doctor", "--json", "--config", config])
    found = {each["check"]: each for each in json.loads(capsys.readouterr().out)["findings"]}
    assert found["postgresql"]["level"] == "bad"
    assert "Connection refused" in found["postgresql"]["found"]
    assert "Start PostgreSQL" in found["postgresql"]["advice"]


def test_who_owns_what_is_told_without_a_token_and_without_the_files_of_keys(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(config).open("a") as file:
        file.write(f'[accounts.ALICE]\nkey_file = "{tmp_path}/none"\nsecret_file = "{tmp_path}/none"\n')
    assert main(["cluster", "status", "--config", config]) == 3
    assert "has no tables of a cluster yet" in capsys.readouterr().err


def test_another_token_is_told_with_the_node_and_what_to_do() -> None:
    def refuse(*_: Any) -> bytes:
        return b"HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"

    with Node(refuse) as node, pytest.raises(CallNotSent) as caught:
        node.engine.service("doctor", account="ALICE")
    told = str(caught.value)
    assert "Node blue at http://127.0.0.1:" in told
    assert "another token" in told
    assert "KRAKEN_ENGINE_CLUSTER_TOKEN" in told


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (CallNotSent("Node blue has another token."), "Do what it says"),
        (ConnectFailed("Node blue cannot be reached."), "cluster status"),
        (CallUnknown("Node blue gave no answer."), "Run this again"),
    ],
)
def test_the_doctor_says_what_to_do_about_a_node_that_does_not_answer(
    sim: Simulator, tmp_path: Path, error: EngineError, advice: str
) -> None:
    """A node with another token is nothing to report to the makers of the engine."""

    def owner(_: str) -> Iterator[Finding]:
        yield from ()
        raise error

    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path):
        found = list(examine(map(Account.of, sim.accounts), url=sim.url, state_dir=tmp_path, owner=owner))
    told = [each for each in found if each.check == "service"]
    assert [each.level for each in told] == [Level.BAD] * 3
    assert all(str(error) in each.found and advice in str(each.advice) for each in told)
