"""The tables: made once, whoever comes first, and never touched by an older engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.cluster.database import Database
from engine.cluster.schema import MIGRATIONS, prepare, version
from engine.errors import StoreError
from tests.stopwatch import PATIENCE


@pytest.fixture
def nodes(dsn: str) -> Iterator[list[Database]]:
    """Six nodes of a cluster that has no tables yet."""
    made = [Database(dsn, patience=PATIENCE) for _ in range(6)]
    yield made
    for each in made:
        each.close()


def test_the_tables_are_made_once_by_whoever_comes_first(nodes: list[Database]) -> None:
    assert version(nodes[0]) == 0
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(prepare, nodes))
    applied = nodes[0].run("SELECT version FROM kraken_engine.schema_version ORDER BY version")
    assert applied == [(number + 1,) for number in range(len(MIGRATIONS))]
    assert version(nodes[1]) == len(MIGRATIONS)


def test_tables_of_an_earlier_version_are_brought_up_to_date(nodes: list[Database]) -> None:
    prepare(nodes[0])
    later = (*MIGRATIONS, "ALTER TABLE kraken_engine.node ADD COLUMN a int;", "UPDATE kraken_engine.node SET a = 1;")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda each: prepare(each, later), nodes))
    assert version(nodes[0]) == len(MIGRATIONS) + 2
    assert nodes[0].run("SELECT a FROM kraken_engine.node") == []


def test_a_migration_that_fails_changes_nothing(nodes: list[Database]) -> None:
    prepare(nodes[0])
    broken = (*MIGRATIONS, "ALTER TABLE kraken_engine.node ADD COLUMN a int; PERFORM 1 / 0;")
    with pytest.raises(StoreError):
        prepare(nodes[0], broken)
    assert version(nodes[0]) == len(MIGRATIONS)
    with pytest.raises(StoreError, match='"a" does not exist'):
        nodes[0].run("SELECT a FROM kraken_engine.node")


def test_an_older_engine_refuses_the_tables_of_a_newer_one(nodes: list[Database]) -> None:
    prepare(nodes[0], (*MIGRATIONS, "PERFORM 1;"))
    with pytest.raises(StoreError, match="a newer engine has changed them"):
        prepare(nodes[1])
