"""Nodes with their services in processes of their own, on one PostgreSQL, before a simulator in this one.

They are as `kraken-engine serve --cluster` makes them, but that no lease runs out because the machine is slow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from engine.cli.serve_node import subject_of_node
from engine.cluster import Node
from engine.cluster.database import Database
from engine.cluster.leases import Leases
from engine.config import load
from engine.simulator import Simulator
from engine.web.options import WebOptions
from engine.web.serving import serve
from tests.programs import end_process
from tests.served import Served, until
from tests.stopwatch import LONG, PATIENCE

TOKEN = "a-token-that-all-nodes-of-this-cluster-share"
LANES: Mapping[str, Sequence[str]] = {"one": ["MASTER"], "two": ["ALICE", "BOB"]}
SETTINGS = "[settings]\nrefresh_every = 0.3\nmax_age = 5.0\nlocal_limits = false\ncall_timeout = 5.0\n"


class ServedNode(Served):
    """A node's service, and what it says of its cluster."""

    name = ""

    def lanes(self) -> dict[str, dict[str, Any]]:
        """The lanes by the page's data: owner and state as it shows them."""
        rows = self.ask("/api/state").json["rows"]["lanes"]
        return {row["k"]: row for row in rows}

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of one metric."""
        wanted = ",".join(f'{label}="{value}"' for label, value in labels.items())
        line = f"kraken_engine_{name}{{{wanted}}} " if labels else f"kraken_engine_{name} "
        found = [each for each in self.ask("/metrics").text.splitlines() if each.startswith(line)]
        return float(found[0].rpartition(" ")[2]) if found else None

    def serves(self, lane: str) -> bool:
        """Whether it serves all accounts of a lane."""
        return self.metric("lane_served_accounts", lane=lane) == len(LANES[lane])


NODE = ("-m", "tests.cluster.served_nodes")
COMMAND = ("-m", "engine", "serve", "--cluster", "--live", "--json", "--port", "0")


def start_node(
    sim: Simulator, dsn: str, tmp_path: Path, name: str, undo: ExitStack, program: Sequence[str] = NODE
) -> ServedNode:
    """Start one, and end it with `undo` when the test has not."""
    home = tmp_path / name
    home.mkdir()
    secret = home / "token"
    secret.touch(0o600)
    secret.write_text(TOKEN)
    lanes = "".join(f"[lanes.{lane}]\naccounts = {json.dumps(list(accounts))}\n" for lane, accounts in LANES.items())
    config = home / "node.toml"
    config.write_text(f'[cluster]\nname = "{name}"\ntoken_file = "{secret}"\n{lanes}{SETTINGS}')
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("KRAKEN", "XDG_STATE"))},
        "HOME": str(home), "KRAKEN_SPOT_URL": sim.url, "KRAKEN_ENGINE_CLUSTER": dsn,
    }  # fmt: skip
    for account in sim.accounts:
        prefix = "KRAKEN_API" if account.name == "MASTER" else f"KRAKEN_USER_{account.name}_API"
        environment |= {f"{prefix}_KEY": account.key, f"{prefix}_SECRET": account.secret}
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *program, "--config", str(config)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    undo.callback(end_process, process)
    told = ""
    assert process.stdout is not None
    while not told.endswith("\n}\n"):
        line = process.stdout.readline()
        assert line, f"it did not start: {process.communicate(timeout=PATIENCE)[1]}"
        told += line
    ready = json.loads(told)
    assert "url" in ready, f"it did not start: {process.communicate(timeout=PATIENCE)[1]}"
    node = ServedNode(process, int(ready["url"].rstrip("/").rpartition(":")[2]), Path(ready["state_dir"]), environment)
    node.name = name
    return node


def pair(sim: Simulator, dsn: str, tmp_path: Path, undo: ExitStack) -> tuple[ServedNode, ServedNode]:
    """Two nodes: the first serves lane one, the second lane two, and each knows where the other's is."""
    first = start_node(sim, dsn, tmp_path, "red", undo)
    second = start_node(sim, dsn, tmp_path, "blue", undo)
    with closing(Database(dsn, patience=PATIENCE)) as database:
        leases = Leases(database)
        until(lambda: len(leases.lanes()) == len(LANES))
        leases.move("one", "red")
        leases.move("two", "blue")
    until(lambda: first.serves("one") and second.serves("two"))
    for node in (first, second):
        until(partial(_knows_owners, node))
    return first, second


def _knows_owners(node: ServedNode) -> bool:
    owners = (("one", "red"), ("two", "blue"))
    return all(node.metric("lane_owner", lane=lane, node=owner) for lane, owner in owners)


def _main(file: str) -> None:
    """A node and its service, until SIGTERM."""
    found = load(file=file)
    named = found.cluster
    assert named is not None
    node = Node(found.accounts, named.lanes, named.dsn, named.name, settings=found.settings, live=True, ttl=LONG,
                patience=PATIENCE, kraken_url=found.url, local=found.state_dir)  # fmt: skip

    def start(url: str) -> None:
        node.url = url
        node.start()

    def ready(url: str) -> None:
        print(json.dumps({"url": url, "state_dir": str(found.state_dir)}, indent=2), flush=True)

    serve(subject_of_node(node, start, found, named, plain=False), WebOptions(port=0), ready=ready)


if __name__ == "__main__":
    _main(sys.argv[-1])
