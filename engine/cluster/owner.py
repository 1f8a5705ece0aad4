"""The hold of a lane's engine on its lane and its API keys: a key belongs to one lane at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence

from engine.cluster.lease import Lease
from engine.cluster.moved_accounts import bring_along
from engine.errors import OwnershipLost, StoreError, StoreInUse
from engine.store.backing import Warn

_TAKE = """
, asked AS (SELECT * FROM unnest(%(keys)s::text[], %(accounts)s::text[]) AS asked (key_id, account)),
lapsed AS (
    UPDATE kraken_engine.lane AS other SET epoch = other.epoch + 1 FROM fence
    WHERE other.id <> fence.id AND other.lease_until < clock_timestamp()
        AND other.id IN (SELECT key.lane FROM kraken_engine.key JOIN asked USING (key_id))
    RETURNING other.id, other.mark
),
taken AS (
    INSERT INTO kraken_engine.key AS key (key_id, lane, account)
    SELECT asked.key_id, fence.id, asked.account FROM asked, fence ORDER BY asked.key_id
    ON CONFLICT (key_id) DO UPDATE SET lane = excluded.lane, account = excluded.account,
        mark = greatest(key.mark, (SELECT lapsed.mark FROM lapsed WHERE lapsed.id = key.lane),
            (SELECT fence.mark FROM fence WHERE fence.id = key.lane))
    WHERE key.lane IS NULL OR key.lane = excluded.lane OR key.lane IN (SELECT lapsed.id FROM lapsed)
    RETURNING key.key_id, key.mark
)
SELECT (SELECT count(*) FROM fence), (SELECT jsonb_object_agg(taken.key_id, taken.mark) FROM taken)
"""
"""A key keeps the mark that covered it. One whose lane has no owner is taken from it, and that lane's last owner is
fenced, so that it uses the key no more."""

_GIVE_BACK = """
, freed AS (
    UPDATE kraken_engine.key SET lane = NULL, mark = greatest(key.mark, fence.mark) FROM fence
    WHERE key.key_id = %(key_id)s AND key.lane = fence.id
)
SELECT count(*) FROM fence
"""
_HOLDER = """
SELECT lane.id, lane.owner FROM kraken_engine.key JOIN kraken_engine.lane ON lane.id = key.lane WHERE key.key_id = %s
"""

logger = logging.getLogger(__name__)


class LaneOwner:
    """The hold on a lane and its API keys, given as account and hash of the key. Any thread.

    Raises `StoreInUse`, which names the lane and its owner, when a key belongs to another lane that has an owner.
    `warn` is told ``ownership-lost``, once.
    """

    def __init__(self, lease: Lease, keys: Iterable[tuple[str, str]], warn: Warn) -> None:
        self.lease, self._warn = lease, warn
        self._changing = threading.Lock()
        self._is_told = False
        self._take(tuple(keys))

    @property
    def is_lost(self) -> bool:
        """Whether the lane is known to be lost."""
        return self.lease.is_lost

    def claim_key(self, account: str, key_id: str) -> None:
        """Take one more API key for this lane. Raises `StoreInUse`, `OwnershipLost` or `StoreError`."""
        self._take([(account, key_id)])

    def release_key(self, key_id: str) -> None:
        """Give one key back, so that another lane may have it; its mark stays with it."""
        try:
            self.lease.write(_GIVE_BACK, {"key_id": key_id})
        except StoreError as error:  # it is free as soon as this lane has no owner
            logger.info("An API key was not given back: %s", error)
        self.lease.key_marks.pop(key_id, None)

    def check(self) -> None:
        """Raise `OwnershipLost` when the lane may be another node's by now. Asks nobody: before each call."""
        self._told(self.lease.check)

    def verify(self, key_id: str = "") -> None:
        """Raise `OwnershipLost` when the lane is known to be lost. Asks nobody: every write does so by itself."""
        self._told(self.lease.check_held)

    def release(self) -> None:
        """Nothing: the keys are the lane's, and the node gives that back (`Lease.release`)."""

    def _take(self, keys: Sequence[tuple[str, str]]) -> None:
        if not keys:
            return
        accounts = {key_id: account for account, key_id in keys}
        (taken,) = self.lease.write(_TAKE, {"keys": [*accounts], "accounts": [*accounts.values()]})
        self.lease.key_marks |= {key_id: int(mark) for key_id, mark in (taken or {}).items()}
        for key_id, account in accounts.items():
            if key_id not in (taken or {}):
                raise self._in_use(account, key_id)
        bring_along(self.lease, keys)

    def _in_use(self, account: str, key_id: str) -> StoreInUse:
        rows = self.lease.database.run(_HOLDER, [key_id])
        lane, owner = rows[0] if rows else ("of another node", None)
        return StoreInUse(
            f"The API key of account {account} is in use by lane {lane}, owned by node {owner}: configure it in one "
            "lane only, or make another key."
        )

    def _told(self, look: Callable[[], None]) -> None:
        try:
            look()
        except OwnershipLost as error:
            with self._changing:
                was_told, self._is_told = self._is_told, True
            if not was_told:
                self._warn("ownership-lost", str(error))
            raise
