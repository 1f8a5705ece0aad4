"""A private PostgreSQL for the tests of the cluster. Without its programs they are skipped, and say so."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest

from engine.cluster.database import Database
from engine.cluster.leases import Leases
from tests.cluster.postgresql import WHY_SKIPPED, Server, directory, programs
from tests.stopwatch import LONG, PATIENCE

_numbers = itertools.count(1)


class Servers:
    """Makes servers, each in a directory of its own; all of them end with it."""

    def __init__(self) -> None:
        found = programs()
        if found is None:
            pytest.skip(WHY_SKIPPED)
        self._programs = found
        self._ends = contextlib.ExitStack()

    def start(self, *settings: str) -> Server:
        """A new server with these lines in its configuration."""
        made = self._new()
        made.create(*settings)
        made.start()
        return made

    def follow(self, primary: Server, name: str) -> Server:
        """A standby of a server, under this name."""
        made = self._new()
        made.create_as_standby_of(primary, name)
        made.start()
        return made

    def stop(self) -> None:
        """End them all."""
        self._ends.close()

    def _new(self) -> Server:
        made = Server(self._programs, self._ends.enter_context(directory()))
        self._ends.callback(made.stop)
        return made


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers for one test, which may change their settings and end them."""
    made = Servers()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """One server for all these tests; who freezes it thaws it."""
    made = Servers()
    yield made.start()
    made.stop()


@pytest.fixture
def dsn(server: Server) -> str:
    """An empty database of its own."""
    name = f"test{next(_numbers)}"
    server.sql(f"CREATE DATABASE {name}")
    return server.dsn_of(name)


@pytest.fixture
def database(dsn: str) -> Iterator[Database]:
    """An empty database whose statements do not end because the machine is slow."""
    opened = Database(dsn, patience=PATIENCE)
    yield opened
    opened.close()


@pytest.fixture
def leases(database: Database) -> Leases:
    """The lanes of an empty cluster; no lease runs out because the machine is slow."""
    made = Leases(database, ttl=LONG)
    made.prepare()
    return made
