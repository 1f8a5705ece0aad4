"""Statements to a real PostgreSQL: each ends in time, whatever has become of the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from engine.cluster.database import CONNECTIONS, PATIENCE, Database
from engine.errors import ConfigError, StoreError
from tests.cluster.postgresql import Server, eventually, frozen
from tests.stopwatch import Stopwatch, again_if_stalled

MARGIN = 0.7  # seconds


@pytest.fixture
def impatient(dsn: str) -> Iterator[Database]:
    """A database with the usual limit, connected."""
    opened = Database(dsn)
    eventually(lambda: opened.run("SELECT 1"))
    yield opened
    opened.close()


def test_a_statement_returns_its_rows(database: Database) -> None:
    assert database.run("SELECT %s::int + 1, 'a'", [41]) == [(42, "a")]
    assert database.run("CREATE TABLE t (x int)") == []
    assert database.run("INSERT INTO t VALUES (%(x)s) RETURNING x", {"x": 7}) == [(7,)]
    assert database.run("SELECT x FROM t") == [(7,)], "each statement is durable by itself"


def test_an_error_of_a_statement_is_one_sentence_and_the_next_one_works(database: Database) -> None:
    with pytest.raises(StoreError, match=r'^PostgreSQL cannot be used: relation "nothing" does not exist\.$'):
        database.run("SELECT * FROM nothing")
    assert database.run("SELECT 1") == [(1,)]


@again_if_stalled
def test_every_statement_ends_in_time_while_the_server_is_frozen(server: Server, impatient: Database) -> None:
    with frozen(server):
        for _ in range(3):  # over the connection that there is, then over new ones
            with Stopwatch() as watch, pytest.raises(StoreError):
                impatient.run("SELECT 1")
            assert watch.wall < PATIENCE + MARGIN
    assert eventually(lambda: impatient.run("SELECT 2")) == [(2,)], "it recovers by itself"


@again_if_stalled
def test_what_others_have_waited_for_in_vain_is_not_waited_for_again(server: Server, impatient: Database) -> None:
    with frozen(server):
        for _ in range(2):  # over the connection that there is, then for a new one
            with pytest.raises(StoreError):
                impatient.run("SELECT 1")
        with Stopwatch() as watch, pytest.raises(StoreError):
            impatient.run("SELECT 1")
        assert watch.wall < PATIENCE / 2
    assert eventually(lambda: impatient.run("SELECT 2")) == [(2,)]


@again_if_stalled
def test_threads_that_wait_for_a_connection_end_in_time_as_well(server: Server, impatient: Database) -> None:
    def timed(_: int) -> float:
        with Stopwatch() as watch, pytest.raises(StoreError):
            impatient.run("SELECT 1")
        return watch.wall

    with frozen(server), ThreadPoolExecutor(12) as pool:
        assert max(pool.map(timed, range(12))) < PATIENCE + MARGIN
    assert eventually(lambda: impatient.run("SELECT 2")) == [(2,)]


def test_a_statement_that_waits_for_a_lock_ends_in_time(database: Database, impatient: Database, dsn: str) -> None:
    database.run("CREATE TABLE t (x int)")
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE t")
        with pytest.raises(StoreError, match="does not answer"):
            impatient.run("INSERT INTO t VALUES (1)")
        assert eventually(lambda: impatient.run("SELECT 2")) == [(2,)], "others go on"


def test_a_server_that_was_restarted_costs_no_statement(database: Database, dsn: str) -> None:
    database.run("SELECT 1")
    with psycopg.connect(dsn, autocommit=True) as other:
        ended = other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = 'kraken-engine' AND datname = current_database()"
        )
        assert ended.fetchall() == [(True,)]
    assert database.run("SELECT 2") == [(2,)]


def test_no_server_is_an_error_that_says_why_without_the_password() -> None:
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        nobody = Database(f"postgresql://me:hunter2@127.0.0.1:{bound.getsockname()[1]}/d")
        with pytest.raises(StoreError, match=r"^PostgreSQL cannot be used: .*refused") as caught:
            nobody.run("SELECT 1")
    assert "hunter2" not in f"{caught.value}{nobody!r}"
    assert "\n" not in str(caught.value)


@again_if_stalled
def test_a_host_that_accepts_and_says_nothing_does_not_hold_a_statement() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        database = Database(f"host=127.0.0.1 port={silent.getsockname()[1]}")
        with Stopwatch() as watch, pytest.raises(StoreError, match="does not answer"):
            database.run("SELECT 1")
        assert watch.wall < PATIENCE + MARGIN
        database.close()


@pytest.mark.parametrize(
    "dsn", ["postgresql://me:hunter2@host:port:1/", "postgresql://me:hunter2/x@host/d", "postgresql://me:x@hunter2@host/d",
            "pasword=hunter2", "hunter2"],
)  # fmt: skip
def test_a_dsn_that_cannot_be_understood_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(ConfigError, match=r"^The DSN of the cluster cannot be understood") as caught:
        Database(dsn)
    assert "hunter2" not in str(caught.value)


def test_statements_share_few_connections_and_leave_nothing_in_their_sessions(database: Database, dsn: str) -> None:
    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(lambda n: database.run("SELECT %s::int", [n])[0][0], range(200))) == [*range(200)]
    with psycopg.connect(dsn) as other:
        found = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kraken-engine' "
            "AND datname = current_database()"
        ).fetchone()
    assert found is not None
    assert 1 <= found[0] <= CONNECTIONS
    assert database.run("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_a_closed_database_says_so(database: Database) -> None:
    database.run("SELECT 1")
    database.close()
    database.close()
    with pytest.raises(StoreError, match="is closed"):
        database.run("SELECT 1")
