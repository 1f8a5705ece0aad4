"""A node as Ray runs it: in a process of its own, which begins again by itself for as long as it is wanted."""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import config
from engine.cluster.node import STOP_PATIENCE, Node
from engine.errors import ConfigError, EngineError
from engine.rules.backoff import Backoff

AGAIN = Backoff(first=0.5, longest=15.0)

logger = logging.getLogger(__name__)


class NodeActor:
    """One node in this process, from the configuration of this machine. Any thread.

    `config_file` is a file of this machine, read as ``kraken-engine serve --cluster`` reads it, after the environment
    of this process, which is that of the machine's Ray. Nobody sends a key here, or the password of a database. `name`
    is the node's, whatever the file says.

    The constructor raises nothing, because Ray gives up an actor for good whose constructor raises. What prevents the
    node from starting is told by `status`, and it is tried again, with the configuration read anew.
    """

    def __init__(self, name: str, config_file: str | None = None, live: bool = False) -> None:
        self._make: Callable[[], Node] = lambda: node_of(name, config_file, live)
        self._node: Node | None = None
        self._trouble: EngineError | None = None
        self._tried, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="kraken-engine node actor", daemon=True)
        self._thread.start()

    def status(self) -> dict[str, Any]:
        """What it does, JSON-ready: its `pid` and `machine`, the `node` when it has started, and its `trouble`."""
        node, trouble = self._node, self._trouble
        return {
            "pid": os.getpid(), "machine": platform.node(), "trouble": None if trouble is None else str(trouble),
            "node": None if node is None else node.status().to_dict(),
        }  # fmt: skip

    def tried(self) -> str | None:
        """Wait until the first start has ended; what is wrong with the configuration, when that is why it failed."""
        self._tried.wait()
        trouble = self._trouble
        return str(trouble) if isinstance(trouble, ConfigError) else None

    def stop(self, timeout: float = STOP_PATIENCE) -> None:
        """Hand every lane over in order, leave the cluster, and start no more."""
        self._is_over.set()
        self._thread.join()
        if self._node is not None:
            self._node.stop(timeout)

    def _run(self) -> None:
        failures = 0
        while not self._is_over.is_set() and not self._starts():
            self._is_over.wait(AGAIN.pause(failures))
            failures += 1

    def _starts(self) -> bool:
        try:
            self._node = self._make().start()
            self._trouble = None
        except EngineError as error:
            logger.warning("The node does not start, and tries again: %s", error)
            self._trouble = error
        except Exception as error:
            logger.exception("The node does not start, and tries again.")
            self._trouble = EngineError(f"The node does not start ({type(error).__name__}); its log has more.")
        self._tried.set()
        return self._trouble is None


def node_of(name: str, config_file: str | None, live: bool) -> Node:
    """The node of this name that this machine's configuration describes, not started. Raises `ConfigError`."""
    found = config.load(file=None if config_file is None else Path(config_file), node=name)
    if found.cluster is None:
        raise ConfigError(
            "There is no cluster in the configuration of this machine: name its PostgreSQL with dsn in [cluster], or "
            "with KRAKEN_ENGINE_CLUSTER in the environment of Ray."
        )
    return Node(
        found.accounts, found.cluster.lanes, found.cluster.dsn, name, found.cluster.url, found.settings, live,
        kraken_url=found.url, local=found.state_dir,
    )  # fmt: skip
