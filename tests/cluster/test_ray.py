"""Nodes that a real Ray runs, on two machines as Ray sees them (two raylets): run with ``-m ray``."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")

from ray.cluster_utils import Cluster  # noqa: E402 - not without Ray

from engine import ConfigError  # noqa: E402
from engine.cluster import ray as runner  # noqa: E402
from engine.cluster.leases import Leases  # noqa: E402
from engine.simulator import Simulator  # noqa: E402
from tests.cluster.machines import LANES, configured  # noqa: E402
from tests.cluster.nodes import eventually  # noqa: E402
from tests.stopwatch import LONG, PATIENCE  # noqa: E402

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("default")]  # what Ray does with its sockets is Ray's

ACCOUNTS = sorted(account for accounts in LANES.values() for account in accounts)
ANYWHERE = runner.Listen(port=0)
MACHINE = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}


class Machines:
    """A Ray on several machines, each with a state directory of its own."""

    def __init__(self, root: Path) -> None:
        self._root, self._numbers = root, itertools.count()
        self._cluster = Cluster()

    def add(self, resource: str) -> Any:
        """One more machine, which offers this resource to one node."""
        environment = {
            "XDG_STATE_HOME": str(self._root / str(next(self._numbers))),
            "PYTHONPATH": os.pathsep.join(["", os.getcwd()]),
        }
        return self._cluster.add_node(env_vars=environment, resources={resource: 1}, **MACHINE)

    def lose(self, machine: Any) -> None:
        """A machine is gone, with all that runs on it."""
        self._cluster.remove_node(machine, allow_graceful=False)

    @property
    def logs(self) -> Path:
        """Where Ray keeps them."""
        return Path(self._cluster.head_node.get_session_dir_path())

    def connect(self) -> None:
        """Connect this process to it."""
        ray.init(address=self._cluster.address, namespace="test", log_to_driver=False)

    def end(self) -> None:
        """All of it."""
        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Two machines."""
    made = Machines(tmp_path_factory.mktemp("machines"))
    try:
        for _ in range(2):
            made.add("kraken")
        made.connect()
        yield made
    finally:
        made.end()


@pytest.fixture
def config_file(machines: Machines, sim: Simulator, dsn: str, tmp_path: Path) -> Iterator[Path]:
    """The file of both machines; what is deployed in the test ends with it."""
    yield configured(tmp_path, sim, dsn)
    runner.undeploy()


def owners(leases: Leases) -> dict[str, str | None]:
    return {lane.id: lane.owner if lane.seconds_left > 0 else None for lane in leases.lanes()}


def served() -> dict[str, str]:
    """The node that serves each account, as the nodes tell."""
    nodes = [each for each in runner.status() if each.node is not None]
    return {account: each.name for each in nodes for account in _served(each.node or {})}


def _served(node: Mapping[str, Any]) -> list[str]:
    return [account for lane in node["lanes"] for account in lane["served"]]


def both_serve() -> bool:
    """Each node has one lane, and all accounts are served."""
    return sorted(served()) == ACCOUNTS and len(set(served().values())) == 2


def tells_the_owners(url: str, leases: Leases) -> bool:
    """Whether the metrics of a node have the owner of each lane."""
    with urllib.request.urlopen(f"{url}metrics", timeout=PATIENCE) as answer:
        text = answer.read().decode()
    told = re.findall(r'^kraken_engine_lane_owner{lane="(\w+)",node="(\w+)"} 1.0$', text, re.MULTILINE)
    return dict(told) == owners(leases)


def pids_of_both() -> dict[str, int]:
    """The process of each node; nothing unless both answer."""
    pids = {each.name: each.pid for each in runner.status() if each.pid is not None}
    return pids if len(pids) == 2 else {}


def test_without_a_connection_to_ray_nothing_is_begun() -> None:
    """Ray would make a cluster of its own on this machine."""
    for ask in (lambda: runner.deploy(["red"]), runner.status, runner.undeploy):
        with pytest.raises(ConfigError, match="no connection to Ray"):
            ask()
    assert not ray.is_initialized()


def test_nodes_are_spread_over_the_machines_and_serve_each_its_lanes(
    config_file: Path, sim: Simulator, leases: Leases
) -> None:
    found = runner.deploy(
        ["red", "blue"], config_file=config_file, listen=ANYWHERE, resources={"kraken": 1}, timeout=LONG
    )
    assert [each.name for each in found] == ["red", "blue"]
    eventually(both_serve)
    assert set(owners(leases).values()) == {"red", "blue"}
    for each in runner.status():
        eventually(partial(tells_the_owners, str(each.url), leases))
    places = {node["node"] for node in _actors()}
    assert len(places) == 2, "one on each machine"
    pids = eventually(pids_of_both)
    runner.deploy(["blue", "red"], config_file="/nowhere", timeout=LONG)
    assert eventually(pids_of_both) == pids, "they stay as they are"
    assert sim.refused_nonces == 0


def _actors() -> list[dict[str, Any]]:
    """The nodes' actors, each with Ray's name of its machine."""
    names = [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]
    return [{"name": name, "node": _machine(ray.get_actor(name, runner.NAMESPACE))} for name in names]


def _machine(handle: Any) -> str:
    return str(ray.get(handle.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())))


def test_a_node_that_is_killed_is_taken_over_and_comes_back_by_itself(
    config_file: Path, sim: Simulator, leases: Leases
) -> None:
    """It cannot start while its configuration is away, so that the other node has all of its lanes in between."""
    runner.deploy(["red", "blue"], config_file=config_file, listen=ANYWHERE, timeout=LONG)
    eventually(both_serve)
    epochs = {lane.id: lane.epoch for lane in leases.lanes()}
    pid = eventually(pids_of_both)["red"]
    away = config_file.rename(config_file.with_name("away.toml"))
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: served() == dict.fromkeys(ACCOUNTS, "blue"))
    assert sum(lane.epoch for lane in leases.lanes()) > sum(epochs.values())
    told = eventually(lambda: next(each for each in runner.status() if each.name == "red" and each.pid))
    assert told.pid != pid, "Ray has begun it again"
    assert "cannot be read" in eventually(lambda: _red().trouble or "")
    away.rename(config_file)
    eventually(both_serve)
    assert sim.refused_nonces == 0


def _red() -> runner.RayNode:
    return next(each for each in runner.status() if each.name == "red")


def test_a_node_that_is_taken_back_hands_its_lanes_over_first(
    config_file: Path, sim: Simulator, leases: Leases
) -> None:
    runner.deploy(["red", "blue"], config_file=config_file, listen=ANYWHERE, timeout=LONG)
    eventually(both_serve)
    assert runner.undeploy(["red"], timeout=LONG) == ()
    assert [each.name for each in runner.status()] == ["blue"]
    eventually(lambda: served() == dict.fromkeys(ACCOUNTS, "blue"))
    assert runner.undeploy(timeout=LONG) == ()
    assert {lane.owner for lane in leases.lanes()} == {None}, "given back in order: an owner that was killed is named"
    assert runner.status() == ()
    assert sim.refused_nonces == 0


def test_a_configuration_that_cannot_be_used_is_refused_and_nothing_is_left(config_file: Path) -> None:
    config_file.write_text(config_file.read_text() + "[settings]\nspeed = 1\n")
    with pytest.raises(ConfigError, match=r"Node red cannot start: \[settings\] has an unknown entry: speed"):
        runner.deploy(["red"], config_file=config_file, listen=ANYWHERE, timeout=LONG)
    assert runner.status() == ()
    with pytest.raises(ConfigError, match="No node red is deployed; there are: none"):
        runner.undeploy(["red"])
    with pytest.raises(ConfigError, match="cannot be a node's name"):
        runner.deploy(["a/b"])


def test_ray_has_no_key(config_file: Path, machines: Machines, sim: Simulator) -> None:
    """Neither in what it was told of a node, nor in what it answers and logs."""
    runner.deploy(["red"], config_file=config_file, listen=ANYWHERE, timeout=LONG)
    eventually(lambda: sorted(served()) == ACCOUNTS)
    answered = json.dumps([each.node for each in runner.status()]).encode()
    logs = {file: file.read_bytes() for file in machines.logs.rglob("*") if file.is_file()}
    assert len(logs) > 5
    for account in sim.accounts:
        for text in (account.key.encode(), account.secret.encode()):
            assert text not in answered
            assert [file for file, content in logs.items() if text in content] == []


def test_a_node_whose_machine_is_lost_begins_again_on_another(
    config_file: Path, machines: Machines, sim: Simulator
) -> None:
    """Here as soon as there is one with the resource that it needs."""
    first = machines.add("spare")
    runner.deploy(["red"], config_file=config_file, listen=ANYWHERE, resources={"spare": 1}, timeout=LONG)
    eventually(lambda: sorted(served()) == ACCOUNTS)
    machines.lose(first)
    assert "does not answer" in str(eventually(lambda: _red().trouble, patience=LONG))
    second = machines.add("spare")
    eventually(lambda: sorted(served()) == ACCOUNTS, patience=LONG)
    assert sim.refused_nonces == 0
    assert runner.undeploy() == ()
    machines.lose(second)
