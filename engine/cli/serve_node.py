"""What `kraken-engine serve --cluster` serves: a node, and by it every account of the cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.cli.logs import log_event
from engine.cli.options import Options
from engine.cli.output import say
from engine.config import ClusterConfig, Config
from engine.errors import ConfigError
from engine.web.options import WebOptions
from engine.web.subject import Cluster, Subject

if TYPE_CHECKING:
    from engine.cluster import Node

_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - which is no address for others
_NO_CLUSTER = (
    "--cluster needs the DSN of a PostgreSQL and the lanes: set KRAKEN_ENGINE_CLUSTER, or give dsn in [cluster] of a "
    "--config FILE, which has [lanes.NAME] too."
)
_ALONE = (
    "No token of the cluster is set (token_file in [cluster], or KRAKEN_ENGINE_CLUSTER_TOKEN): this node answers for "
    "its own accounts only, and other nodes cannot ask it."
)
_NO_URL = (
    "This node has no URL that others could use: they cannot ask it for its accounts. Give url in [cluster], such as "
    "https://node-a:8710."
)


def node_subject(options: Options, found: Config, shown: WebOptions) -> Subject:
    """The subject of a service that runs a node. Raises `ConfigError`."""
    if found.cluster is None:
        raise ConfigError(_NO_CLUSTER)
    try:
        from engine.cluster import Node  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: run pip install '.[cluster]' in the clone.") from None
    named = found.cluster
    node = Node(
        found.accounts, named.lanes, named.dsn, named.name, named.url, found.settings, options.live,
        kraken_url=found.url, local=found.state_dir,
    )  # fmt: skip
    if options.verbose:
        node.subscribe(log_event)
    if named.url is None and shown.host in _ANY_ADDRESS:
        say(_NO_URL)

    def start(url: str) -> None:
        if node.url is None and shown.host not in _ANY_ADDRESS:
            node.url = url
        node.start()

    return subject_of_node(node, start, found, named, plain=shown.plain)


def subject_of_node(
    node: Node, start: Callable[[str], object], found: Config, named: ClusterConfig, *, plain: bool
) -> Subject:
    """A node, and the others where there is a token for them. Raises `ConfigError`."""
    from engine.cluster.door import Door, Here, PatientDoor  # noqa: PLC0415 - an extra
    from engine.cluster.peer import Peers  # noqa: PLC0415

    here = door = programs = Here(node)
    look, elsewhere = _nothing, here.elsewhere
    if named.token is None:
        say(_ALONE)
    else:
        peers = Peers(named.token, found.settings.call_timeout, ca_file=named.ca_file, plain=plain)
        door, programs = Door(node, peers), PatientDoor(node, peers)
        look, elsewhere = door.neighbours.glance, door.elsewhere
    return Subject(
        engine=door, programs=programs, start=start, own=node.engine, own_status=here.status, served=here.served,
        state_dir=found.state_dir, settings=found.settings,
        cluster=Cluster(status=node.status, look=look, here=here, elsewhere=elsewhere, token=named.token),
    )  # fmt: skip


def _nothing() -> None:
    """There is nobody to look at."""
