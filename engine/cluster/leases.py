"""Who owns a lane and until when, as PostgreSQL tells: only its clock counts, and every owner has an epoch of its own.

Anybody may look, and say where a lane is wanted, without a node. A node claims lanes and keeps each by its `Lease`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from engine.cluster import schema
from engine.cluster.database import Database
from engine.cluster.lease import TTL, Lease
from engine.errors import ConfigError

_LANES = """
SELECT id, epoch, owner, url,
    greatest(0, extract(epoch FROM lease_until - clock_timestamp()))::float8, accounts, wanted, claimed_at,
    extract(epoch FROM clock_timestamp() - claimed_at)::float8,
    greatest(0, extract(epoch FROM clock_timestamp() - lease_until))::float8
FROM kraken_engine.lane ORDER BY id
"""
_NODES = """
SELECT name, url, lanes, extract(epoch FROM clock_timestamp() - seen_at)::float8, draining
FROM kraken_engine.node ORDER BY name
"""
_CLAIM = """
INSERT INTO kraken_engine.lane AS lane (id, epoch, owner, url, lease_until, claimed_at, accounts)
VALUES (%(lane)s, 1, %(owner)s, %(url)s, clock_timestamp() + %(ttl)s * interval '1 second', clock_timestamp(),
    %(accounts)s)
ON CONFLICT (id) DO UPDATE SET epoch = lane.epoch + 1, owner = excluded.owner, url = excluded.url,
    lease_until = clock_timestamp() + %(ttl)s * interval '1 second', claimed_at = clock_timestamp(),
    accounts = excluded.accounts
WHERE lane.lease_until NOT BETWEEN clock_timestamp() AND clock_timestamp() + (600 + 10 * %(ttl)s) * interval '1 second'
RETURNING epoch, mark
"""
"""A lease that ends later than any can was given by another clock: the database's was put back, or its standby has
another one. An owner that is there renews it by the present one."""
_MOVE = "UPDATE kraken_engine.lane SET wanted = %s WHERE id = %s RETURNING id"
_ATTEND = """
INSERT INTO kraken_engine.node (name, url, lanes, seen_at) VALUES (%s, %s, %s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET url = excluded.url, lanes = excluded.lanes, seen_at = clock_timestamp()
"""
_DRAIN = "UPDATE kraken_engine.node SET draining = %s WHERE name = %s RETURNING name"
_LEAVE = "DELETE FROM kraken_engine.node WHERE name = %s AND NOT draining"


class LaneRow(NamedTuple):
    """A lane as the database tells. `owner` has it while `seconds_left` is above 0; one that was given back has none.

    `wanted` is the node where somebody wants it. `claimed_at` is when the owner took it over, by the database's clock,
    which is `seconds_held` ago; `seconds_over` is how long ago the lease ran out.
    """

    id: str
    epoch: int
    owner: str | None
    url: str | None
    seconds_left: float
    accounts: Sequence[str]
    wanted: str | None
    claimed_at: datetime
    seconds_held: float
    seconds_over: float


class NodeRow(NamedTuple):
    """A node: the lanes it has the keys for, and how long ago it said so. One that is draining takes no lane."""

    name: str
    url: str | None
    lanes: Sequence[str]
    seconds_since_seen: float
    draining: bool


class Leases:
    """The lanes and nodes of a cluster. Any thread. Everything raises `StoreError` while PostgreSQL does not answer.

    Making it needs no database; `prepare` does. `ttl` is for how many seconds a lease is given and renewed.
    """

    def __init__(self, database: Database, *, ttl: float = TTL) -> None:
        self.database, self.ttl = database, ttl

    def prepare(self) -> None:
        """Make the tables or bring them up to date."""
        schema.prepare(self.database)

    def lanes(self) -> list[LaneRow]:
        """Every lane that was ever claimed, by its id."""
        return [LaneRow(*row) for row in self.database.run(_LANES)]

    def nodes(self) -> list[NodeRow]:
        """Every node that has said that it is there, by its name, also long ago."""
        return [NodeRow(*row) for row in self.database.run(_NODES)]

    def claim(self, lane: str, owner: str, url: str | None, accounts: Sequence[str]) -> Lease | None:
        """Take a lane that nobody has a lease of, under a new epoch; `None` when somebody has.

        From then on every write of an earlier epoch fails. What the earlier owner has under way to Kraken is fenced
        by the first accepted call of each key only.
        """
        asked = time.monotonic()
        values = {"lane": lane, "owner": owner, "url": url, "ttl": self.ttl, "accounts": list(accounts)}
        rows = self.database.run(_CLAIM, values)
        return Lease(self.database, lane, int(rows[0][0]), int(rows[0][1]), asked, ttl=self.ttl) if rows else None

    def move(self, lane: str, node: str | None) -> None:
        """Say at which node a lane is wanted; `None` lets it be anywhere. Raises `ConfigError` for no such lane."""
        if not self.database.run(_MOVE, [node, lane]):
            raise ConfigError(f"There is no lane {lane!r} in the cluster: {_known(self.lanes, 'id')}.")

    def attend(self, name: str, url: str | None, lanes: Sequence[str]) -> None:
        """A node says that it is there, and which lanes it has the keys for."""
        self.database.run(_ATTEND, [name, url, list(lanes)])

    def leave(self, name: str) -> None:
        """A node says that it is not there any more. One that is draining stays listed as such."""
        self.database.run(_LEAVE, [name])

    def drain(self, node: str) -> None:
        """Have a node hand over all its lanes and take no other. Raises `ConfigError` for no such node."""
        self._set_draining(node, True)

    def undrain(self, node: str) -> None:
        """Let a node take lanes again. Raises `ConfigError` for no such node."""
        self._set_draining(node, False)

    def _set_draining(self, node: str, draining: bool) -> None:
        if not self.database.run(_DRAIN, [draining, node]):
            raise ConfigError(f"There is no node {node!r} in the cluster: {_known(self.nodes, 'name')}.")


def _known(rows: Callable[[], Sequence[LaneRow] | Sequence[NodeRow]], field: str) -> str:
    names = ", ".join(str(getattr(each, field)) for each in rows())
    return f"it has {names}" if names else "it has none"
