"""The claim of API keys by a node of a cluster: the nodes of a cluster share it, everybody else is kept out."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from engine.errors import StoreError, StoreInUse
from engine.ownership.file_lock import SharedLock, shared_lock
from engine.ownership.key_file import place_of_key, places_of_keys

logger = logging.getLogger(__name__)


class ClusterKeys:
    """API keys, given as account and hash, that belong to a cluster on this machine.

    Within the cluster the database says which node uses a key now, so two of its nodes may have it on one machine: one
    that stands still would keep the other out for ever. An engine with a state directory and a node of another cluster
    are refused, and refuse this one: `StoreInUse`, with the pid. Raises `StoreError` where no lock can be made.
    """

    def __init__(self, cluster: str, keys: Iterable[tuple[str, str]], directory: Path) -> None:
        self._locks: list[SharedLock] = []
        try:
            for account, key_id in keys:
                self._claim(cluster, account, key_id, directory)
        except BaseException:
            self.release()
            raise

    def verify(self) -> None:
        """Make anew what was removed, as cleaners of temporary files do. Raises `OwnershipLost`."""
        for lock in self._locks:
            lock.verify()

    def release(self) -> None:
        """Give them back; a second call does nothing."""
        locks, self._locks = self._locks, []
        for lock in locks:
            lock.release()

    def _claim(self, cluster: str, account: str, key_id: str, directory: Path) -> None:
        what, before = f"The API key of account {account} is in use", len(self._locks)
        for place in places_of_keys(directory):
            try:
                self._locks.append(shared_lock(place_of_key(place, key_id), what, cluster))
            except StoreInUse:
                raise
            except StoreError as error:  # the other places guard it
                logger.info("The key is not claimed in %s: %s", place, error)
        if len(self._locks) == before:
            raise StoreError(f"The API key of account {account} cannot be claimed: no directory takes its lock.")
