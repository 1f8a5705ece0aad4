"""Small things that cost an operator time: voided gateway secrets, a port that is taken, half a key."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from engine.simulator import Simulator
from tests.cli.test_cli import Ran, _of, _run, cli  # noqa: F401 - `cli` is a fixture

Cli = Callable[..., Ran]


def test_a_gateway_secret_is_not_voided_without_a_word(sim: Simulator, tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    issue = ("gateway-key", "MASTER", "--label", "bot", "--trading")
    env = _of(sim, tmp_path)
    assert "void" not in cli(*issue, env=env).err
    again = cli(*issue, env=env)
    assert again.code == 0
    assert "The old secret of MASTER.bot is void" in again.err
    assert cli("gateway-key", "MASTER", "--label", "bot", "--revoke", env=env).code == 0
    assert "void" not in cli(*issue, env=env).err, "a revoked one is refused already"


def test_revoking_names_an_account(sim: Simulator, tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    env = _of(sim, tmp_path)
    cli("gateway-key", "MASTER", "--label", "bot", env=env)
    assert cli("gateway-key", "--revoke", env=env).code == 2
    assert "MASTER.bot  read-only" in cli("gateway-key", env=env).out


def test_a_port_that_is_taken_is_told_before_any_call(sim: Simulator, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ran = _run("serve", "--port", port, env=_of(sim, tmp_path))
    assert ran.code == 2
    assert f"port {port} cannot be listened on: Address already in use. Give another port or host" in ran.err
    assert sim.calls == []


def test_half_a_key_is_one_of_the_findings(sim: Simulator, tmp_path: Path, cli: Cli) -> None:  # noqa: F811
    """The accounts that are whole are tested."""
    ran = cli("doctor", "--json", env={**_of(sim, tmp_path), "KRAKEN_USER_CAROL_API_KEY": "only-half"})
    assert ran.code == 1
    first, *others = ran.document["findings"]
    assert (first["check"], first["level"]) == ("configuration", "bad")
    assert "KRAKEN_USER_CAROL_API_SECRET is not set" in first["found"]
    assert {each["account"] for each in others} == {None, "MASTER", "ALICE", "BOB"}
    assert cli("balances", env={**_of(sim, tmp_path), "KRAKEN_USER_CAROL_API_KEY": "only-half"}).code == 2
