"""A private PostgreSQL for the tests of the cluster. Without its programs they are skipped, and say so."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from engine.cluster.database import Database
from engine.cluster.leases import Leases
from tests.cluster.postgresql import WHY_SKIPPED, Server, directory, programs
from tests.stopwatch import LONG

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all these tests; who freezes it thaws it."""
    found = programs()
    if found is None:
        pytest.skip(WHY_SKIPPED)
    with directory() as place:
        made = Server(found, place)
        made.create()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def dsn(server: Server) -> str:
    """An empty database of its own."""
    name = f"test{next(_numbers)}"
    server.program("psql", "-X", "-q", server.dsn, "-c", f"CREATE DATABASE {name}")
    return server.dsn_of(name)


@pytest.fixture
def leases(dsn: str) -> Iterator[Leases]:
    """The lanes of an empty cluster; no lease runs out because the machine is slow."""
    database = Database(dsn)
    made = Leases(database, ttl=LONG)
    made.prepare()
    yield made
    database.close()
