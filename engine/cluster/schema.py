"""The tables of a cluster, made and brought up to date by the engine itself. No secret is in them.

One migration after another, each in a transaction, numbered from 1; `kraken_engine.schema_version` has the last one.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.cluster.database import Database
from engine.errors import StoreError

MIGRATIONS = (
    """
    CREATE TABLE kraken_engine.cluster (id uuid NOT NULL);
    INSERT INTO kraken_engine.cluster VALUES (gen_random_uuid());
    CREATE TABLE kraken_engine.lane (
        id text PRIMARY KEY,
        epoch bigint NOT NULL,
        owner text,
        url text,
        lease_until timestamptz NOT NULL,
        claimed_at timestamptz NOT NULL,
        mark bigint NOT NULL DEFAULT 0,
        accounts text[] NOT NULL,
        wanted text
    ) WITH (fillfactor = 50);
    CREATE TABLE kraken_engine.node (
        name text PRIMARY KEY,
        url text,
        lanes text[] NOT NULL,
        seen_at timestamptz NOT NULL,
        draining boolean NOT NULL DEFAULT false
    ) WITH (fillfactor = 50);
    CREATE TABLE kraken_engine.key (
        key_id text PRIMARY KEY,
        lane text REFERENCES kraken_engine.lane,
        account text NOT NULL,
        mark bigint NOT NULL DEFAULT 0
    );
    CREATE INDEX key_of_lane ON kraken_engine.key (lane);
    CREATE TABLE kraken_engine.account (
        name text PRIMARY KEY,
        lane text NOT NULL REFERENCES kraken_engine.lane
    );
    CREATE TABLE kraken_engine.file (
        lane text NOT NULL REFERENCES kraken_engine.lane,
        name text NOT NULL,
        epoch bigint NOT NULL,
        version bigint NOT NULL,
        PRIMARY KEY (lane, name)
    ) WITH (fillfactor = 50);
    CREATE TABLE kraken_engine.document (
        lane text NOT NULL REFERENCES kraken_engine.lane,
        file text NOT NULL,
        name text COLLATE "C" NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (lane, file, name)
    );
    """,
)
"""`lane`: who owns it, until when, and the mark of all its keys. An owner that changes has a higher epoch.
`key`: which lane an API key belongs to, by the hash of the key, and the mark that it has beyond that of its lane.
`account`: which lane has its orders.
`file`: the last write to a group of documents; one that comes later than a newer one changes nothing.
`document`: the journal of orders and what else is kept, by lane, group and name; the body is JSON with a checksum.
`node`: who is there and which lanes it has the keys for. `cluster`: one row, by which a node knows its cluster."""

MIGRATION_PATIENCE = 30.0  # seconds; a large table takes its time, and other nodes wait for it

_LOCK = 0x6B72616B  # any number; held for one transaction
_STEP = """
DO $step$ BEGIN
    PERFORM pg_advisory_xact_lock({lock});
    CREATE SCHEMA IF NOT EXISTS kraken_engine;
    CREATE TABLE IF NOT EXISTS kraken_engine.schema_version (version integer NOT NULL);
    IF (SELECT coalesce(max(version), 0) FROM kraken_engine.schema_version) = {before} THEN
        {migration}
        INSERT INTO kraken_engine.schema_version VALUES ({before} + 1);
    END IF;
END $step$
"""

_NEWER = (
    "The cluster's tables have version {found}, and this engine knows {known}: a newer engine has changed them. "
    "Install that engine on this node as well."
)


def version(database: Database) -> int:
    """The version of the tables; 0 where there are none. Raises `StoreError`."""
    if database.run("SELECT to_regclass('kraken_engine.schema_version')") == [(None,)]:
        return 0
    return int(database.run("SELECT coalesce(max(version), 0) FROM kraken_engine.schema_version")[0][0])


def cluster_id(database: Database) -> str:
    """What tells this cluster from every other one. Raises `StoreError`."""
    return str(database.run("SELECT id FROM kraken_engine.cluster")[0][0])


def prepare(database: Database, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Make the tables, or bring them up to date; any number of nodes may do so at once.

    Raises `StoreError`, also when a newer engine has changed them.
    """
    found, known = version(database), len(migrations)
    if found > known:
        raise StoreError(_NEWER.format(found=found, known=known))
    for before in range(found, known):
        step = _STEP.format(lock=_LOCK, before=before, migration=migrations[before])
        database.run(step, patience=MIGRATION_PATIENCE)
