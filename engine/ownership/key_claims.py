"""The API keys that one owner holds, in the lock files of every place that takes them."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.errors import StoreError, StoreInUse
from engine.ownership.claim import in_use
from engine.ownership.key_places import places_of_keys
from engine.ownership.key_register import KeyRegister, claim_of
from engine.store import is_shortage

logger = logging.getLogger(__name__)


class KeyClaims:
    """API keys, named by their hashes, that one owner holds on this machine; owners of the same `group` share them.

    They cost a descriptor for each place, however many they are. A process that stands still keeps them. A place that
    cannot be used is passed over, since the others guard as well.
    """

    def __init__(self, directory: Path, group: str = "") -> None:
        self._directory, self._group = directory, group
        self.registers: list[KeyRegister] = []
        """One for each place, from the first key on: to be verified."""
        self._is_open = False

    def add(self, keys: Iterable[tuple[str, str]]) -> int:
        """Hold these, each as account and hash, and say in how many places they are held.

        Raises `StoreInUse` with the owner's pid when another has one of them; none of them is held then.
        """
        wanted: dict[str, str] = {}
        for account, key_id in keys:
            if key_id in wanted and not self._group:
                raise in_use(claim_of(account), os.getpid())
            wanted[key_id] = account
        held: list[KeyRegister] = []
        try:
            for register in self._places() if wanted else ():
                with _passing_over(register.place):
                    register.add(wanted)
                    held.append(register)
        except BaseException:
            for register in held:
                register.remove(wanted)
            raise
        return len(held)

    def remove(self, key_id: str) -> None:
        """Give one key back."""
        for register in self.registers:
            register.remove([key_id])

    def release(self) -> None:
        """Give them all back; a second call does nothing."""
        registers, self.registers, self._is_open = self.registers, [], False
        for register in registers:
            register.release()

    def _places(self) -> list[KeyRegister]:
        if not self._is_open:
            self._is_open = True
            for place in places_of_keys(self._directory):
                with _passing_over(place):
                    self.registers.append(KeyRegister(place, self._group))
        return self.registers


def not_claimable(account: str) -> StoreError:
    """The error where nothing guards a key."""
    return StoreError(f"The API key of account {account} cannot be claimed: no directory takes its lock.")


@contextlib.contextmanager
def _passing_over(place: Path) -> Iterator[None]:
    try:
        yield
    except StoreInUse:
        raise
    except StoreError as error:
        if is_shortage(error.__cause__):
            raise
        logger.info("No key is claimed in %s: %s", place, error)
