"""A pooler in between, which gives each statement any connection it has: nothing may be left behind in a session."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from engine.cluster.backing import LaneBacking
from engine.cluster.database import Database
from engine.cluster.durability import check_durable
from engine.cluster.leases import Leases
from engine.values import SYSTEM_CLOCK
from tests.cluster.lanes import claimed, expire
from tests.cluster.postgresql import Server, as_user, directory, eventually, free_port
from tests.stopwatch import LONG, PATIENCE

PGBOUNCER = shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin") or shutil.which("pgbouncer")


@pytest.fixture(params=["transaction", "statement"])
def pooled(request: pytest.FixtureRequest, server: Server, dsn: str) -> Iterator[Database]:
    """An empty database behind a pooler that has two connections for all."""
    if PGBOUNCER is None:
        pytest.skip("no pgbouncer (Debian: apt-get install pgbouncer)")
    port, name = free_port(), dsn.rpartition("=")[2]
    with directory() as place:
        configuration = place / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n{name} = host=127.0.0.1 port={server.port} user=postgres\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\nunix_socket_dir =\n"
            f"pool_mode = {request.param}\ndefault_pool_size = 2\n",
            encoding="utf-8",
        )
        pooler = subprocess.Popen([PGBOUNCER, "-q", str(configuration)], stderr=subprocess.DEVNULL, **as_user())
        database = Database(f"host=127.0.0.1 port={port} user=anybody dbname={name}", patience=PATIENCE)
        try:
            eventually(lambda: database.run("SELECT 1"))
            yield database
        finally:
            database.close()
            pooler.kill()
            pooler.wait()


def test_lanes_work_through_a_pooler(pooled: Database, tmp_path: Path) -> None:
    leases = Leases(pooled, ttl=LONG)
    leases.prepare()
    check_durable(pooled)
    backing = LaneBacking(claimed(leases), tmp_path)
    owner = backing.own([("MASTER", "key-1")], print)
    marks = backing.open_marks(owner, SYSTEM_CLOCK, print)
    documents, saved, damage = backing.open_documents("limits", owner)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(partial(marks.reserve, "key-1"), range(1, 100)))
        list(pool.map(documents.put, map(str, range(100)), range(100)))
    backing.open_journal().keep_pause("MASTER", 1.0)
    expire(leases)
    successor = LaneBacking(claimed(leases, "b"), tmp_path)
    owner = successor.own([("MASTER", "key-1")], print)
    assert successor.open_marks(owner, SYSTEM_CLOCK, print).durable("key-1") == 99
    assert (saved, damage) == ({}, None)
    assert len(successor.open_documents("limits", owner)[1] or ()) == 100
    assert successor.open_journal().pauses == {"MASTER": 1.0}
