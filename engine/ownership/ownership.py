"""The hold of one engine on its state directory and its API keys."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.errors import OwnershipLost, StoreInUse
from engine.ownership.claim import Warn
from engine.ownership.directory_lock import DirectoryLock, owner_of
from engine.ownership.key_claims import KeyClaims, not_claimable
from engine.ownership.key_register import claim_of
from engine.ownership.local_socket import is_served
from engine.ownership.socket_claim import IS_LINUX, SocketClaim, room
from engine.store import MORE_FILES, prepare_directory

LOCK_NAME = "owner.lock"
_FILES = 10  # of the directory, and of the keys in every place

CLAIMS_SHORT = (
    "This process may open too few files to claim each API key by name, so some are guarded by lock files alone: an "
    f"engine that shares none of their directories with this one does not see them: {MORE_FILES}."
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
        self._sockets: dict[str, SocketClaim] = {}  # that of the directory has no name
        self._keys = KeyClaims(self.directory)
        self.is_lost = self._is_released = self._is_short = False
        what = f"The state directory {self.directory} is in use"
        self._lock = self._locked(what)
        try:
            if IS_LINUX:  # a lock file that somebody deletes guards nothing any more
                found = os.stat(self.directory)
                name = f"{found.st_dev}-{found.st_ino}"
                self._sockets[""] = SocketClaim(name, what, "directory", warn)
            self._claim(tuple(keys))
        except BaseException:
            self.release()
            raise

    def claim_key(self, account: str, key_id: str) -> None:
        """Take an API key, named by its hash, for this engine; raises `StoreInUse`."""
        self._claim([(account, key_id)])

    def release_key(self, key_id: str) -> None:
        """Give one key back."""
        self._keys.remove(key_id)
        socket = self._sockets.pop(key_id, None)
        if socket is not None:
            socket.release()

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
            for name in ("", key_id) if key_id else ("",):
                socket = self._sockets.get(name)
                if socket is not None:
                    socket.verify()
            for register in self._keys.registers if key_id else ():
                register.verify(key_id)
        except OwnershipLost as error:
            self._lose(error)
            raise
        self.is_lost = False

    def release(self) -> None:
        """Give everything back, the directory last; a second call does nothing."""
        self.is_lost = self._is_released = True
        self._keys.release()
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            socket.release()
        self._lock.release()

    def _claim(self, keys: Sequence[tuple[str, str]]) -> None:
        """Take keys: all, or none."""
        named = keys[: room()]
        if IS_LINUX and len(named) < len(keys) and not self._is_short:
            self._is_short = True
            self._warn("claims-short", CLAIMS_SHORT)
        sockets: dict[str, SocketClaim] = {}
        try:
            for account, key_id in named:
                sockets[key_id] = SocketClaim(key_id, claim_of(account), "key", self._warn)
            is_locked = self._keys.add(keys) > 0
            for account, key_id in keys:
                if not is_locked and key_id not in sockets:
                    raise not_claimable(account)
        except BaseException:
            for socket in sockets.values():
                socket.release()
            raise
        self._sockets.update(sockets)

    def _locked(self, what: str) -> DirectoryLock:
        try:
            return DirectoryLock(self.directory / LOCK_NAME, what)
        except StoreInUse as error:
            if is_served(self.directory):
                raise StoreInUse(f"{what} by {_served_by(error.pid)}", error.pid) from None
            raise

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


def files_needed(keys: int) -> int:
    """How many descriptors it takes to hold a directory and so many keys."""
    return _FILES + min(keys, room())


def owner_pid(directory: Path) -> int | None:
    """The process that owns a state directory now; `None` when nobody does, 0 when it cannot be named."""
    return owner_of(directory / LOCK_NAME)
