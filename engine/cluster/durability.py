"""Whether what PostgreSQL has acknowledged survives a crash, a power loss and a failover."""

from __future__ import annotations

from engine.cluster.database import Database
from engine.errors import StoreError

_SETTINGS = """
SELECT name, setting FROM pg_settings WHERE name = ANY(%s)
"""
_FOLLOWERS = """
SELECT application_name FROM pg_stat_replication
WHERE coalesce(state, '') <> 'backup' AND coalesce(application_name, '') <> 'pg_receivewal'
    AND pid NOT IN (SELECT active_pid FROM pg_replication_slots WHERE slot_type = 'logical' AND active_pid IS NOT NULL)
"""

_NEEDED = {
    "fsync": ({"on"}, "a power loss would lose what it has acknowledged"),
    "full_page_writes": ({"on"}, "a power loss could damage what it has acknowledged"),
    "synchronous_commit": ({"on", "remote_apply"}, "a crash or a failover would lose what it has acknowledged"),
    "default_transaction_isolation": ({"read committed"}, "writes beside a renewal of the lease would fail"),
    "server_encoding": ({"UTF8"}, "it cannot hold every name"),
}
_SYNCHRONOUS = "synchronous_standby_names"

_WRONG = "PostgreSQL has {name} = {found}, so that {harm}: set it to {wanted} for the database of the cluster."
_ASYNCHRONOUS = (
    "PostgreSQL has a standby ({name}) that follows asynchronously, so that a failover to it would lose the newest "
    "nonce marks and orders: name it in synchronous_standby_names, or detach it."
)


def check_durable(database: Database) -> None:
    """Raise `StoreError`, with what to set, when a crash or a failover could lose what was acknowledged.

    A single server is durable, and so is one with a synchronous standby. A standby that follows asynchronously beside
    a synchronous one is none to fail over to. Base backups, archiving and logical replication are no standbys.
    """
    found = {str(name): str(setting) for name, setting in database.run(_SETTINGS, [[*_NEEDED, _SYNCHRONOUS]])}
    for name, (wanted, harm) in _NEEDED.items():
        if found[name] not in wanted:
            raise StoreError(_WRONG.format(name=name, found=found[name], harm=harm, wanted=sorted(wanted)[0]))
    followers = [] if found[_SYNCHRONOUS] else database.run(_FOLLOWERS)
    if followers:
        raise StoreError(_ASYNCHRONOUS.format(name=followers[0][0] or "without a name"))
