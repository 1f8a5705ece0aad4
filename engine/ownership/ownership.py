"""The hold of one engine on its state directory and its API keys."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from engine.errors import OwnershipLost, StoreInUse
from engine.ownership.claim import Claim, Warn
from engine.ownership.directory_lock import DirectoryLock, holder_of
from engine.ownership.key_claim import KeyClaim, claim_of
from engine.ownership.key_places import places_of_keys
from engine.ownership.local_socket import is_served
from engine.ownership.socket_claim import SocketClaim, has_room
from engine.store import MORE_FILES, prepare_directory

LOCK_NAME = "owner.lock"
_IS_LINUX = sys.platform.startswith("linux")

CLAIMS_SHORT = (
    "This process may open too few files to claim each API key by name, so some are guarded by lock files alone: an "
    f"engine that shares none of their directories with this one does not see them. {MORE_FILES}"
)

logger = logging.getLogger(__name__)


def _log_warning(code: str, sentence: str) -> None:
    logger.warning("%s: %s", code, sentence)


class Ownership:
    """The hold of one engine on its state directory and its API keys. Thread-safe.

    `Ownership(directory, keys)` raises `StoreInUse` with the owner's pid in well under a second when another engine, in
    this process or another, holds the directory or one of the keys; nothing is held then. `warn(code, sentence)` is
    told of ``ownership-lost``, once until it is held again, and of claims that cannot be made. `is_lost`: the last look
    found it lost.
    """

    def __init__(
        self, directory: Path, keys: Iterable[tuple[str, str]] = (), *, warn: Warn = _log_warning
    ) -> None:
        self.directory = prepare_directory(directory)
        self._warn = warn
        self._changing = threading.Lock()
        self._places = places_of_keys(self.directory)
        self._claims: dict[str, tuple[Claim, ...]] = {}
        self.is_lost = self._is_released = self._is_short = False
        what = f"The state directory {self.directory} is in use"
        self._lock = self._locked(what)
        try:
            if _IS_LINUX:  # a lock file that somebody deletes guards nothing any more
                found = os.stat(self.directory)
                name = f"{found.st_dev}-{found.st_ino}"
                self._claims[""] = (SocketClaim(name, what, "directory", warn),)
            for account, key_id in keys:
                self.claim_key(account, key_id)
        except BaseException:
            self.release()
            raise

    def claim_key(self, account: str, key_id: str) -> None:
        """Take an API key, named by its hash, for this engine; raises `StoreInUse`."""
        taken: list[Claim] = []
        try:
            if _IS_LINUX and self._may_open_socket():
                taken.append(SocketClaim(key_id, claim_of(account), "key", self._warn))
            taken.append(KeyClaim(account, key_id, self._places))
        except BaseException:
            for claim in taken:
                claim.release()
            raise
        self._claims[key_id] = tuple(taken)

    def release_key(self, key_id: str) -> None:
        """Give one key back."""
        for claim in self._claims.pop(key_id, ()):
            claim.release()

    def check(self) -> None:
        """Raise `OwnershipLost` when the directory is visibly not this engine's any more. Costs two system calls."""
        try:
            self._lock.check()
        except OwnershipLost as error:
            self._lose(error)
            raise
        if self.is_lost:
            self.verify()

    def verify(self, key_id: str = "") -> None:
        """Raise `OwnershipLost` unless the directory, and that key, are still this engine's and nobody else had them.

        For before whatever must not be done by two: making a nonce mark durable, and writing an order down.
        """
        if self._is_released:
            raise OwnershipLost(f"{self.directory} was given back: nothing is written to it any more.")
        try:
            self._lock.verify()
            for name in {"", key_id}:
                for claim in self._claims.get(name, ()):
                    claim.verify()
        except OwnershipLost as error:
            self._lose(error)
            raise
        self.is_lost = False

    def release(self) -> None:
        """Give everything back, the directory last; a second call does nothing."""
        self.is_lost = self._is_released = True
        for key_id in tuple(self._claims):
            self.release_key(key_id)
        self._lock.release()

    def _locked(self, what: str) -> DirectoryLock:
        try:
            return DirectoryLock(self.directory / LOCK_NAME, what)
        except StoreInUse as error:
            if is_served(self.directory):
                raise StoreInUse(f"{what} by {_served_by(error.pid)}", error.pid) from None
            raise

    def _may_open_socket(self) -> bool:
        if has_room():
            return True
        if not self._is_short:
            self._is_short = True
            self._warn("claims-short", CLAIMS_SHORT)
        return False

    def _lose(self, error: OwnershipLost) -> None:
        with self._changing:
            was_lost, self.is_lost = self.is_lost, True
        if not was_lost:
            self._warn("ownership-lost", str(error))


def _served_by(pid: int | None) -> str:
    return f"a service ({f'process {pid}' if pid else 'another process'}): {_WAYS_IN}."


_WAYS_IN = (
    "go through it, with Engine.connect() from Python or with its gateway from any other program, or stop it first"
)


def owner_pid(directory: Path) -> int | None:
    """The process that owns a state directory now; `None` when nobody does, 0 when it cannot be named."""
    return holder_of(directory / LOCK_NAME)
