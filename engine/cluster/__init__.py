"""Several lanes on several machines, with PostgreSQL as the one truth: who owns a lane, its nonce marks, its journal.

Needs the extra ``[cluster]``. `database` ends every statement in time, `schema` makes the tables, `leases` says who
owns a lane, and `backing` keeps what the engine of a lane keeps (`marks`, `documents`, `journal_rows`). `Node` is the
process that takes lanes: `rounds` says which, and `lane_run` runs one.
"""

from engine.cluster.node import Node

__all__ = ["Node"]
