"""A PostgreSQL that could lose what it has acknowledged is refused, in one sentence that says what to set."""

from __future__ import annotations

import pytest

from engine.cluster.database import Database
from engine.cluster.durability import check_durable
from engine.errors import StoreError
from tests.cluster.conftest import Servers
from tests.cluster.postgresql import Server, eventually
from tests.stopwatch import PATIENCE


def test_a_single_server_with_its_usual_settings_is_durable(database: Database) -> None:
    check_durable(database)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("synchronous_commit = off", "= off, so that a crash or a failover would lose .*set it to on"),
        ("synchronous_commit = local", "synchronous_commit = local"),
        ("synchronous_commit = remote_write", "synchronous_commit = remote_write"),
        ("default_transaction_isolation = serializable", "default_transaction_isolation = serializable"),
    ],
)
def test_a_database_that_acknowledges_too_early_is_refused(
    server: Server, database: Database, setting: str, sentence: str
) -> None:
    name = str(database.run("SELECT current_database()")[0][0])
    server.sql(f"ALTER DATABASE {name} SET {setting}")
    new = Database(server.dsn_of(name), patience=PATIENCE)
    with pytest.raises(StoreError, match=sentence):
        check_durable(new)
    new.close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_does_not_write_through_is_refused(servers: Servers, setting: str) -> None:
    database = Database(servers.start(f"{setting} = off").dsn, patience=PATIENCE)
    with pytest.raises(StoreError, match=f"has {setting} = off, so that a power loss .*: set it to on"):
        check_durable(database)
    database.close()


def test_a_standby_that_follows_asynchronously_is_refused(servers: Servers) -> None:
    primary = servers.start()
    primary.sql("CREATE ROLE plain LOGIN")
    plain = primary.dsn.replace("user=postgres", "user=plain")
    databases = [Database(each, patience=PATIENCE) for each in (primary.dsn, plain)]
    servers.follow(primary, "second")
    assert eventually(lambda: databases[0].run("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
    for each in databases:
        with pytest.raises(StoreError, match=r"has a standby \(second\) .* name it in synchronous_standby_names"):
            check_durable(each)
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'second'", "SELECT pg_reload_conf()")
    assert eventually(lambda: databases[0].run("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
    for each in databases:
        check_durable(each)
        each.close()
