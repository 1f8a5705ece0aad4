"""What the other nodes of the cluster do, as they said last."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from engine.app.status import EngineStatus
from engine.cluster.node import Node
from engine.cluster.peer import Peers
from engine.errors import EngineError

PATIENCE = 1.0  # seconds for one node, and three more on the way
FRESH_FOR = 2.0  # seconds in which nobody is asked again
AT_ONCE = 8
"""Nodes that are asked at the same time."""


class Neighbours:
    """The statuses of the other nodes that own a lane. Any thread."""

    def __init__(self, node: Node, peers: Peers) -> None:
        self._node, self._peers = node, peers
        self._looking = threading.Lock()
        self._looked = float("-inf")
        self._told: dict[str, EngineStatus] = {}

    def told(self) -> list[EngineStatus]:
        """What they said last; never waits. A node that owns no lane any more, or did not answer, is left out."""
        return list(self._told.values())

    def look(self) -> None:
        """Ask them, unless that was done a moment ago: waits for them, and raises nothing."""
        with self._looking:
            self._look()

    def glance(self) -> None:
        """The same, unless somebody is asking them now."""
        if self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()

    def _look(self) -> None:
        if time.monotonic() - self._looked < FRESH_FOR:
            return
        owners = {each.owner: each.url for each in self._node.status().lanes if each.owner and each.url}
        owners.pop(self._node.name, None)
        with ThreadPoolExecutor(AT_ONCE, "kraken-engine neighbours") as pool:
            answers = list(pool.map(self._status, owners.items()))
        self._told = {name: each for name, each in zip(owners, answers, strict=True) if each is not None}
        self._looked = time.monotonic()

    def _status(self, owner: tuple[str, str | None]) -> EngineStatus | None:
        name, url = owner
        with suppress(EngineError):
            return self._peers.at(name, str(url)).status_within(PATIENCE)
        return None
