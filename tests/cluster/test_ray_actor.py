"""A node as Ray runs it, without Ray: it starts from its machine's configuration, and goes on trying when it cannot."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from engine.cluster.leases import Leases
from engine.cluster.ray_actor import Listen, NodeActor
from engine.simulator import Simulator
from tests.cluster.conftest import Servers
from tests.cluster.machines import LANES, configured
from tests.cluster.nodes import eventually
from tests.stopwatch import PATIENCE

ANYWHERE = Listen(port=0)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the environment but a place of its own."""
    for name in tuple(os.environ):
        if name.startswith("KRAKEN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "machine"))


def served(actor: NodeActor) -> list[str]:
    """The accounts that it says it serves."""
    node = actor.status()["node"]
    return sorted(account for lane in (node or {"lanes": ()})["lanes"] for account in lane["served"])


def test_it_serves_what_its_machine_is_configured_for_and_hands_over_at_the_end(
    sim: Simulator, dsn: str, tmp_path: Path, leases: Leases
) -> None:
    actor = NodeActor("red", str(configured(tmp_path, sim, dsn)), listen=ANYWHERE)
    try:
        assert actor.tried() is None
        eventually(lambda: served(actor) == ["ALICE", "BOB", "MASTER"])
        status = actor.status()
        assert (status["pid"], status["trouble"], status["node"]["name"]) == (os.getpid(), None, "red")
        assert {lane.id: lane.owner for lane in leases.lanes()} == dict.fromkeys(LANES, "red")
        with urllib.request.urlopen(f"{status['url']}healthz", timeout=PATIENCE) as answer:
            assert answer.status == 200
        said = json.dumps(status)
        assert not [each for each in sim.accounts if each.key in said or each.secret in said]
    finally:
        actor.stop()
    assert {lane.owner for lane in leases.lanes()} == {None}, "given back, so that nobody waits for the leases"
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{status['url']}healthz", timeout=PATIENCE)


def test_a_configuration_that_cannot_be_used_is_told_and_read_again(sim: Simulator, dsn: str, tmp_path: Path) -> None:
    missing = tmp_path / "red" / "node.toml"
    actor = NodeActor("red", str(missing), listen=ANYWHERE)
    try:
        assert "cannot be read" in (actor.tried() or "")
        assert actor.status()["node"] is None
        configured(missing.parent, sim, dsn)
        eventually(lambda: served(actor) == ["ALICE", "BOB", "MASTER"])
        assert actor.status()["trouble"] is None
    finally:
        actor.stop()


def test_a_database_that_does_not_answer_is_a_trouble_that_passes(
    sim: Simulator, servers: Servers, tmp_path: Path
) -> None:
    server = servers.start()
    server.stop()
    actor = NodeActor("red", str(configured(tmp_path, sim, server.dsn)), listen=ANYWHERE)
    try:
        assert actor.tried() is None, "the configuration is right"
        assert "PostgreSQL" in actor.status()["trouble"]
        server.start()
        eventually(lambda: served(actor) == ["ALICE", "BOB", "MASTER"])
    finally:
        actor.stop()


def test_a_configuration_without_a_cluster_is_refused(sim: Simulator, dsn: str, tmp_path: Path) -> None:
    file = configured(tmp_path, sim, dsn)
    text = file.read_text()
    file.write_text(text[: text.index("[cluster]")] + text[text.index("[accounts") :])
    actor = NodeActor("red", str(file), listen=ANYWHERE)
    actor.stop()
    assert "needs the DSN of a PostgreSQL" in (actor.tried() or "")


def test_where_it_listens_is_checked_as_the_service_does(sim: Simulator, dsn: str, tmp_path: Path) -> None:
    file = str(configured(tmp_path, sim, dsn))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {
            Listen(port=taken.getsockname()[1]): "cannot be listened on",
            Listen("0.0.0.0", 0): "a token is mandatory",
            Listen(port=0, token_file=str(tmp_path / "none")): "that token_file names",
        }
        for listen, complaint in places.items():
            actor = NodeActor("red", file, listen=listen)
            assert complaint in (actor.tried() or "")
            actor.stop()
