"""The database of the cluster that the configuration names, for commands that need no node."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.config import ClusterConfig, Config
from engine.errors import ConfigError

if TYPE_CHECKING:
    from engine.cluster.database import Database


def cluster_of(found: Config) -> ClusterConfig:
    """The cluster that the configuration names. Raises `ConfigError` when it names none."""
    if found.cluster is None:
        raise ConfigError("No cluster is named: set KRAKEN_ENGINE_CLUSTER to the DSN of its PostgreSQL, or give dsn in "
                          "[cluster] of a --config FILE.")  # fmt: skip
    return found.cluster


@contextlib.contextmanager
def opened(cluster: ClusterConfig, patience: float) -> Iterator[Database]:
    """Its database; a statement takes `patience` seconds at most. Raises `ConfigError` without the extra."""
    try:
        from engine.cluster.database import Database  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: run pip install '.[cluster]' in the clone.") from None
    with contextlib.closing(Database(cluster.dsn.reveal(), patience=patience)) as database:
        yield database
