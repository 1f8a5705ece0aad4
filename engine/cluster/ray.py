"""Ray as the runner of a cluster's nodes: it places them on machines, and starts again those that end.

Needs the extra ``[ray]``. Nothing depends on Ray for safety: PostgreSQL alone decides who owns a lane. What Ray keeps
of a node is its name, the name of its configuration file, where it listens and whether it may trade; keys are read on
the machine where it runs.

Connect to Ray first, as in ``ray.init(address="auto")``::

    from engine.cluster import ray as nodes

    nodes.deploy(["red", "blue"], config_file="/etc/kraken-engine/node.toml", live=True)
    nodes.status()
    nodes.undeploy()
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import ray
import ray.exceptions
import ray.util

from engine.cluster.node import STOP_PATIENCE
from engine.cluster.ray_actor import Listen, NodeActor
from engine.config import node_name
from engine.errors import ConfigError

__all__ = ["Listen", "RayNode", "deploy", "status", "undeploy"]

NAMESPACE = "kraken-engine"
PLACED_WITHIN = 60.0  # seconds
ANSWERS_WITHIN = 5.0  # seconds
THREADS = 8  # of an actor: a question for its status does not wait for a stop
_PREFIX = "kraken-engine-node-"

_SILENT = {
    "pid": None, "machine": None, "url": None, "node": None,
    "trouble": "It does not answer: Ray has not placed it yet, or starts it again, or its machine is not there.",
}  # fmt: skip


@dataclass(frozen=True)
class RayNode:
    """A node that is deployed.

    pid, machine: where it runs; `None` while it does not answer.
    url: of its service; `None` until it has started.
    trouble: why it does not serve, in a sentence; `None` when it does.
    node: `NodeStatus.to_dict` of it; `None` until it has started.
    """

    name: str
    pid: int | None
    machine: str | None
    url: str | None
    trouble: str | None
    node: Mapping[str, Any] | None


def deploy(
    names: Iterable[str], *, config_file: str | PurePath | None = None, live: bool = False,
    listen: Listen | None = None, namespace: str = NAMESPACE, resources: Mapping[str, float] | None = None,
    timeout: float = PLACED_WITHIN,
) -> tuple[RayNode, ...]:  # fmt: skip
    """Run a node under each of these names, for good: what ends is started again, on another machine if need be.

    Each reads `config_file` and the environment on the machine where it is placed, as `serve --cluster` does, and has
    the same service, which listens where `listen` says (`None`: on port 8710 of loopback). Nodes are spread over the
    machines; with `resources` such as ``{"kraken": 1}`` each takes so much of what the machines offer
    (``ray start --resources '{"kraken": 1}'``), so that no two are on one machine. A node that is deployed already
    stays as it is. Nothing is ever sent a second time by Ray.

    Returns their status once each has tried to start, or `timeout` seconds are over. A node with a `trouble` that may
    pass, such as a database that does not answer, goes on trying. Raises `ConfigError` when there is no connection to
    Ray, or a configuration cannot be used; the nodes that this call began are taken back then.
    """
    _check_connected()
    there = _deployed(namespace)
    chosen = [node_name(name) for name in names]
    arguments = (None if config_file is None else str(config_file), live, listen)
    handles = {name: _placed(name, arguments, namespace, resources) for name in chosen}
    new = {name: handle for name, handle in handles.items() if name not in there}
    told = _answers({name: handle.tried.remote() for name, handle in new.items()}, timeout)
    wrong = next((f"Node {name} cannot start: {said}" for name, said in told.items() if said is not None), None)
    if wrong is None:
        return _statuses(handles)
    for name, handle in new.items():
        _end(name, handle, namespace, STOP_PATIENCE)
    raise ConfigError(wrong)


def status(*, namespace: str = NAMESPACE) -> tuple[RayNode, ...]:
    """The nodes that are deployed, by name. Raises `ConfigError` when there is no connection to Ray."""
    _check_connected()
    return _statuses(_deployed(namespace))


def undeploy(
    names: Iterable[str] | None = None, *, namespace: str = NAMESPACE, timeout: float = STOP_PATIENCE
) -> tuple[str, ...]:
    """End these nodes, or all, one after another: each hands its lanes over in order first, within `timeout` seconds.

    Orders stay on the exchange. Returns the names of those that did not do so in time: they are ended as well, and
    their lanes are taken over when their leases are over. Raises `ConfigError` when there is no connection to Ray, or
    no node of such a name.
    """
    _check_connected()
    there = _deployed(namespace)
    chosen = list(there) if names is None else list(names)
    if unknown := sorted(set(chosen) - there.keys()):
        raise ConfigError(f"No node {unknown[0]} is deployed; there are: {', '.join(there) or 'none'}.")
    return tuple(name for name in chosen if not _end(name, there[name], namespace, timeout))


def _check_connected() -> None:
    """Ray would start a cluster of its own on this machine otherwise."""
    if not ray.is_initialized():
        raise ConfigError('There is no connection to Ray: call ray.init(address="auto") before.')


def _deployed(namespace: str) -> dict[str, Any]:
    """The actors of the nodes, by the nodes' names."""
    found = ray.util.list_named_actors(all_namespaces=True)
    names = sorted(each["name"] for each in found if each["namespace"] == namespace)
    handles = {}
    for name in names:
        if name.startswith(_PREFIX):
            with contextlib.suppress(ValueError):  # it was taken back meanwhile
                handles[name.removeprefix(_PREFIX)] = ray.get_actor(name, namespace)
    return handles


def _placed(
    name: str, arguments: tuple[Any, ...], namespace: str, resources: Mapping[str, float] | None
) -> Any:
    options = ray.remote(NodeActor).options(
        name=_PREFIX + name, namespace=namespace, lifetime="detached", get_if_exists=True, max_restarts=-1,
        max_task_retries=0, max_concurrency=THREADS, num_cpus=0, resources=dict(resources or {}),
        scheduling_strategy="SPREAD",
    )  # fmt: skip
    return options.remote(name, *arguments)


def _statuses(handles: Mapping[str, Any]) -> tuple[RayNode, ...]:
    told = _answers({name: handle.status.remote() for name, handle in handles.items()}, ANSWERS_WITHIN)
    return tuple(RayNode(name, **told.get(name, _SILENT)) for name in handles)


def _answers(asked: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """What the actors answer that do so in time."""
    done = set(ray.wait(list(asked.values()), num_returns=len(asked), timeout=timeout)[0]) if asked else set()
    answers = {}
    for name, each in asked.items():
        if each in done:
            with contextlib.suppress(ray.exceptions.RayError):
                answers[name] = ray.get(each)
    return answers


def _end(name: str, handle: Any, namespace: str, timeout: float) -> bool:
    """End a node, in order where it answers in time; whether it did. Its name is free then."""
    try:
        ray.get(handle.stop.remote(timeout), timeout=timeout + ANSWERS_WITHIN)
        return True
    except ray.exceptions.RayError:
        return False
    finally:
        ray.kill(handle, no_restart=True)
        end = time.monotonic() + ANSWERS_WITHIN
        while name in _deployed(namespace) and time.monotonic() < end:
            time.sleep(0.05)
