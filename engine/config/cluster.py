"""What a node of a cluster is built from."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.config.entries import check_entries
from engine.config.secret_file import read_private_secret
from engine.errors import ConfigError
from engine.values import Secret, shown
from engine.values.dataclass import dataclass

CLUSTER, _TOKEN = "KRAKEN_ENGINE_CLUSTER", "KRAKEN_ENGINE_CLUSTER_TOKEN"
_ENTRIES = {"dsn", "name", "url", "token_file", "ca_file"}
_NODE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # what a host name may be; also the name of a directory


@dataclass(frozen=True)
class ClusterConfig:
    """What a node of a cluster is built from, besides accounts and settings.

    `dsn` is PostgreSQL's address and may hold a password. `name` is that of the node, `url` where others reach its
    gateway; in a file that nodes share, ``{name}`` in it stands for the name. `lanes` has the accounts of each lane,
    also those without keys here. `token` is what nodes show each other, the same at all of them; without one this node
    answers for its own accounts only. `ca_file` is by what it verifies the certificates of the others (`None`: the
    usual ones).
    """

    dsn: Secret
    name: str
    url: str | None
    lanes: Mapping[str, tuple[str, ...]]
    token: Secret | None = None
    ca_file: str | None = None


ReadToken = Callable[[Mapping[str, str], Mapping[str, str]], Secret | None]
"""Reads the token, from ``[cluster]`` and the environment."""


def cluster_of(
    table: Mapping[str, Any], environ: Mapping[str, str], node: str | None, read_token: ReadToken
) -> ClusterConfig | None:
    """What a file and the environment say of a cluster; `None` when they name none. Raises `ConfigError`.

    `node` is the node's name, in place of the file's.
    """
    row, lanes = table.get("cluster", {}), table.get("lanes", {})
    if not isinstance(row, Mapping) or not all(isinstance(value, str) for value in row.values()):
        raise ConfigError("In the configuration file [cluster] is a table of dsn, name, url and so on, each of them a "
                          "text in quotes.")  # fmt: skip
    check_entries("[cluster]", row, _ENTRIES)
    dsn = environ.get(CLUSTER) or row.get("dsn")
    if not dsn:
        if row or lanes:
            raise ConfigError(f"[cluster] has no dsn, and {CLUSTER} is not set: one of them names the PostgreSQL.")
        return None
    name = node_name(node or row.get("name"))
    url = row["url"].replace("{name}", name) if "url" in row else None
    return ClusterConfig(Secret(dsn), name, url, _lanes(lanes), read_token(row, environ), row.get("ca_file"))


def token_of(row: Mapping[str, str], environ: Mapping[str, str], faults: list[str] | None = None) -> Secret | None:
    """The token, from the environment or from a file that only its owner may read.

    Raises `ConfigError`; with `faults` there is no token then, and the sentence is added to them.
    """
    try:
        return _token(row, environ)
    except ConfigError as error:
        if faults is None:
            raise
        faults.append(str(error))
        return None


def _token(row: Mapping[str, str], environ: Mapping[str, str]) -> Secret | None:
    if text := environ.get(_TOKEN, "").strip():
        return Secret(text)
    for path, named_by in ((environ.get(f"{_TOKEN}_FILE"), f"{_TOKEN}_FILE"), (row.get("token_file"), "token_file")):
        if path:
            return Secret(read_private_secret(Path(path), named_by))
    return None


def _lanes(table: Any) -> Mapping[str, tuple[str, ...]]:
    rows = table.values() if isinstance(table, Mapping) else [None]
    if not all(isinstance(row, Mapping) and row.keys() == {"accounts"} and _are_names(row["accounts"]) for row in rows):
        raise ConfigError('In the configuration file a lane is a table such as [lanes.one] with accounts = ["MASTER"].')
    return {name: tuple(row["accounts"]) for name, row in table.items()}


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def node_name(given: str | None = None) -> str:
    """The name of a node; `None` is that of its machine. Raises `ConfigError` for one that cannot be used."""
    name = given or platform.node()
    if not _NODE_NAME.fullmatch(name):
        raise ConfigError(f"{shown(name)} cannot be a node's name: use letters, digits, '.', '_' and '-', 63 at most.")
    return name
