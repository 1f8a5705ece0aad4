"""The claim of API keys by a node of a cluster: the nodes of a cluster share it, everybody else is kept out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.ownership.key_claims import KeyClaims, not_claimable


class ClusterKeys:
    """API keys, given as account and hash, that belong to a cluster on this machine.

    Within the cluster the database says which node uses a key now, so two of its nodes may have it on one machine: one
    that stands still would keep the other out for ever. An engine with a state directory and a node of another cluster
    are refused, and refuse this one: `StoreInUse`, with the pid. Raises `StoreError` where no lock can be made.
    """

    def __init__(self, cluster: str, keys: Iterable[tuple[str, str]], directory: Path) -> None:
        keys = tuple(keys)
        self._keys = [key_id for _, key_id in keys]
        self._claims = KeyClaims(directory, group=cluster)
        try:
            if not self._claims.add(keys) and keys:
                raise not_claimable(keys[0][0])
        except BaseException:
            self.release()
            raise

    def verify(self) -> None:
        """Make anew what was removed, as cleaners of temporary files do. Raises `OwnershipLost`."""
        for register in self._claims.registers:
            register.verify(*self._keys)

    def release(self) -> None:
        """Give them back; a second call does nothing."""
        self._claims.release()
