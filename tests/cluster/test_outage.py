"""PostgreSQL is gone for a while: calls go on below the durable mark, then none is sent; all of it ends by itself."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import NamedTuple

from engine.cluster import Node
from engine.cluster.database import PATIENCE as DATABASE_PATIENCE
from engine.cluster.lease import TTL
from engine.errors import EngineError
from engine.simulator import Simulator
from tests.cluster.nodes import eventually, node_of
from tests.cluster.postgresql import Server, frozen
from tests.stopwatch import PATIENCE, again_if_stalled

BELOW_THE_MARK = 1.5  # seconds
FROZEN = 4.0  # seconds: longer than a lease
TIMEOUT = 2.0  # seconds, of each call
LATE = 1.0


class Ended(NamedTuple):
    """A call of the client's, by the monotonic clock."""

    started: float
    ended: float
    is_done: bool


class Client:
    """Calls one after another, through the node that it has, and notes how each ends."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.ends: list[Ended] = []

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.01):
            started, is_done = time.monotonic(), True
            try:
                self._node.engine("MASTER").call("MASTER", "Balance", timeout=TIMEOUT)
            except EngineError:
                is_done = False
            self.ends.append(Ended(started, time.monotonic(), is_done))


@again_if_stalled
def test_while_postgresql_is_frozen_calls_go_on_below_the_mark_and_then_none_is_sent(
    server: Server, sim: Simulator, dsn: str, tmp_path: Path
) -> None:
    with node_of(sim, dsn, tmp_path, "red", {"one": ["MASTER"]}, ttl=TTL, patience=DATABASE_PATIENCE) as node:
        eventually(lambda: node.engine("MASTER").call("MASTER", "Balance"))
        with Client(node) as client:
            eventually(lambda: any(each.is_done for each in client.ends))
            with frozen(server):
                began = time.monotonic()
                threading.Event().wait(FROZEN)  # the outage itself
                thawed = time.monotonic()
            eventually(lambda: client.ends[-1].is_done and client.ends[-1].started > thawed, patience=PATIENCE)
    sent = [call.started for call in sim.calls if call.private]
    assert not [each for each in sent if began + BELOW_THE_MARK < each < thawed]
    assert [each for each in sent if each > thawed]
    assert max(each.ended - each.started for each in client.ends) < TIMEOUT + LATE
    assert sim.refused_nonces == 0
