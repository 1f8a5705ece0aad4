"""A PostgreSQL with a synchronous standby fails over: nothing that was acknowledged is lost, and the owner goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Order
from engine.cluster.database import PATIENCE as DATABASE_PATIENCE
from engine.cluster.database import Database
from engine.cluster.durability import check_durable
from engine.cluster.journal_rows import LaneJournal
from engine.cluster.lease import TTL
from engine.cluster.leases import Leases
from engine.errors import OwnershipLost, StoreError
from engine.simulator import Simulator
from tests.cluster.conftest import Servers
from tests.cluster.lanes import claimed, expire
from tests.cluster.nodes import eventually as wait_for
from tests.cluster.nodes import node_of
from tests.cluster.postgresql import Server, eventually
from tests.cluster.test_journal_rows import placement
from tests.stopwatch import LONG, PATIENCE

ORDER = Order("XBTUSD", "buy", "limit", "0.01", "30000")
OTHER = Order("XBTUSD", "buy", "limit", "0.02", "30000")


class Writer:
    """The owner of a lane who goes on writing, whatever fails; what was acknowledged is in `acknowledged`."""

    def __init__(self, leases: Leases) -> None:
        self._lease = claimed(leases)
        self._journal = LaneJournal(self._lease)
        self._changed = threading.Condition()
        self._is_over = False
        self.acknowledged: list[int] = []
        self.failed = 0
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for_more(self, count: int) -> None:
        """Wait until so many more writes were acknowledged."""
        with self._changed:
            wanted = len(self.acknowledged) + count
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= wanted or self.error, PATIENCE * 2)
        assert self.error is None

    def stop(self) -> None:
        self._is_over = True
        self._thread.join()

    def _run(self) -> None:
        try:
            number = 0
            while not self._is_over:
                number += 1
                self._write(number)
        except BaseException as error:
            self.error = error
            raise

    def _write(self, number: int) -> None:
        try:
            self._lease.reserve(number)
            self._journal.begin(placement(number, f"{number}"), None)
        except OwnershipLost:
            raise
        except StoreError:
            self.failed += 1
            return
        with self._changed:
            self.acknowledged.append(number)
            self._changed.notify_all()


def pair_of(servers: Servers) -> tuple[Server, Server, str]:
    """A primary, its synchronous standby, and the DSN of whichever is the primary."""
    primary = servers.start()
    standby = servers.follow(primary, "second")
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'second'", "SELECT pg_reload_conf()")
    with contextlib.closing(Database(primary.dsn)) as database:
        eventually(lambda: database.run("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    hosts = f"host=127.0.0.1,127.0.0.1 port={primary.port},{standby.port}"
    return primary, standby, f"{hosts} user=postgres dbname=postgres target_session_attrs=read-write"


@pytest.mark.parametrize("end", [Server.stop, Server.freeze], ids=["crashed", "frozen"])
def test_after_a_failover_no_mark_and_no_placement_is_lost(servers: Servers, end: Callable[[Server], None]) -> None:
    primary, standby, dsn = pair_of(servers)
    leases = Leases(Database(dsn), ttl=LONG)
    database = leases.database
    eventually(lambda: leases.prepare() or check_durable(database) or True)
    writer = eventually(lambda: Writer(leases))
    try:
        writer.wait_for_more(30)
        end(primary)
        standby.promote()
        writer.wait_for_more(30)
    finally:
        writer.stop()
    assert writer.failed
    eventually(lambda: expire(leases) or True)
    successor = eventually(lambda: leases.claim("one", "b", None, []))
    assert successor is not None
    assert successor.mark >= writer.acknowledged[-1]
    kept = {row.id for row in LaneJournal(successor).live}
    assert {f"{number}" for number in writer.acknowledged} <= kept
    database.close()


def test_a_node_goes_on_by_itself_after_a_failover(servers: Servers, sim: Simulator, tmp_path: Path) -> None:
    primary, standby, dsn = pair_of(servers)
    with node_of(sim, dsn, tmp_path, "red", {"one": ["MASTER"]}, ttl=TTL, patience=DATABASE_PATIENCE) as node:
        first = wait_for(lambda: node.engine("MASTER").place("MASTER", ORDER, id="one"))
        primary.stop()
        standby.promote()
        again = wait_for(lambda: node.engine("MASTER").place("MASTER", ORDER, id="one"))
        assert again.txids == first.txids
        assert wait_for(lambda: node.engine("MASTER").place("MASTER", OTHER, id="two")).txids != first.txids
    assert len(sim.placements("MASTER")) == 2
    assert sim.refused_nonces == 0
