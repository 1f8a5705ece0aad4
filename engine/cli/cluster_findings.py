"""What `kraken-engine doctor` says of a cluster: its PostgreSQL, and the node of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from engine.cli.cluster_database import opened
from engine.cli.options import node_needed
from engine.config import ClusterConfig, Config
from engine.doctor import Finding
from engine.doctor.finding import bad, ok
from engine.errors import ConfigError, StoreError

PATIENCE = 5.0  # seconds for one statement

BY_NODES = "the nodes of the cluster use the key, and none answers here"
_START = "Start it, and run this again: the node tests its keys itself."
_DATABASE = "Start PostgreSQL, or correct its DSN or its setting, as said here: without it no node sends anything."
_EXTRA = "Do that, and run this again."


def cluster_findings(found: Config, *, is_served: bool) -> Iterator[Finding]:
    """Nothing without a cluster. `is_served`: the node of this machine answers."""
    if found.cluster is None:
        return
    yield _database(found.cluster)
    if is_served:
        yield ok("node", f"Node {found.cluster.name} is running on this machine.")
    else:
        yield bad("node", node_needed(found, found.cluster.name), _START)


def _database(cluster: ClusterConfig) -> Finding:
    """Whether PostgreSQL answers, and keeps what it acknowledges."""
    try:
        with opened(cluster, PATIENCE) as database:
            from engine.cluster.durability import check_durable  # noqa: PLC0415 - an extra

            check_durable(database)
    except ConfigError as error:
        return bad("postgresql", str(error), _EXTRA)
    except StoreError as error:
        return bad("postgresql", str(error), _DATABASE)
    return ok("postgresql", "PostgreSQL answers, and what it acknowledges survives a crash.")
