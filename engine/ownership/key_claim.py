"""The claim of an API key by lock files, in every place that takes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from engine.errors import StoreError, StoreInUse
from engine.ownership.key_file import KeyFile, KeySpot, take_key
from engine.store import is_shortage

logger = logging.getLogger(__name__)


class KeyClaim:
    """A key that is held in the lock files of these places; with a `group`, together with others who name the same.

    A process that stands still keeps its claim, and the others of its group come in all the same. Raises `StoreInUse`
    with the owner's pid, and `StoreError` where no place takes its lock.
    """

    def __init__(self, account: str, key_id: str, places: Iterable[Path], group: str | None = None) -> None:
        self._spot = KeySpot.of(key_id)
        self._files: list[KeyFile] = []
        try:
            for place in places:
                self._take(place, claim_of(account), group)
        except BaseException:
            self.release()
            raise
        if not self._files:
            raise StoreError(f"The API key of account {account} cannot be claimed: no directory takes its lock.")

    def verify(self) -> None:
        """Raise `OwnershipLost` when another has the key in one of the places; make anew what was removed."""
        at = self._spot.at
        for file in self._files:
            file.verify(at)

    def release(self) -> None:
        """Give it back; a second call does nothing."""
        files, self._files = self._files, []
        for file in files:
            file.release(self._spot.at)

    def _take(self, place: Path, what: str, group: str | None) -> None:
        try:
            self._files.append(take_key(place, self._spot, what, group))
        except StoreInUse:
            raise
        except StoreError as error:
            if is_shortage(error.__cause__):
                raise
            logger.info("The key is not claimed in %s: %s", place, error)  # the other places guard it


def claim_of(account: str) -> str:
    """The beginning of a sentence on a claim that cannot be had."""
    return f"The API key of account {account} is in use"
