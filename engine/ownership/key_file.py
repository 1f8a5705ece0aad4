"""The lock files of API keys: a few in each place, each with the locks of many keys."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from pathlib import Path
from typing import NamedTuple

from engine.errors import OwnershipLost, StoreError
from engine.ownership import record_lock
from engine.ownership.claim import in_use
from engine.ownership.key_places import make_place
from engine.ownership.lock_file import LockFile
from engine.values.dataclass import dataclass

FILES = 16  # in each place: the kernel looks through all locks of a file to set one
_SPAN = 2**18  # bytes of a key in its file: its lock, and from `_GROUPS` on those of the groups that share it
_KEYS = 2**44  # how many keys a file has room for
_GROUPS = 16

_guard = threading.RLock()
_open: dict[Path, KeyFile] = {}


class KeySpot(NamedTuple):
    """Where the lock of a key is, in every place: the name of the file, and the first byte."""

    file: str
    at: int

    @classmethod
    def of(cls, key_id: str) -> KeySpot:
        """The spot of a key. That two of ten thousand have the same is as likely as 1 to 5,000,000."""
        digest = hashlib.sha256(key_id.encode()).digest()
        number = int.from_bytes(digest[1:9], "big") % _KEYS
        return cls(f"keys-{digest[0] % FILES:02}.lock", number * _SPAN)


@dataclass(slots=True)
class _Hold:
    """A key that this process holds in a file; `group`: together with others who name it, else alone."""

    what: str
    group: str | None
    holders: int = 1
    is_missing: bool = False  # it could not be taken again in a file that replaced the first


class KeyFile:
    """One lock file and the keys that this process holds in it. A process has each file open once. Thread-safe.

    Cleaners of temporary files may come by: a file that is gone is made anew, and every key is locked in it again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _opened(path)
        self._held: dict[int, _Hold] = {}

    def verify(self, at: int) -> None:
        """Raise `OwnershipLost` when another has the key."""
        with _guard:
            self._find_again()
            hold = self._held.get(at)
            if hold is None:
                raise OwnershipLost("The claim of an API key was given back: nothing more is sent with it.")
            try:
                if hold.is_missing:
                    self._lock(at, hold)
                elif hold.group is None:
                    record_lock.take_again(self._file.descriptor, at)
            except StoreError as error:
                raise OwnershipLost(str(error)) from None
            except OSError as error:
                if not record_lock.is_taken(error):
                    raise OwnershipLost(f"The lock file {self._path} cannot be locked: {error.strerror}.") from None
                owner = record_lock.holder(self._file.descriptor, at)
                raise OwnershipLost(str(in_use(hold.what, owner or None))) from None

    def take(self, at: int, what: str, group: str | None) -> None:
        """Hold a key, once more where this group of this process has it. Raises `StoreInUse` or `StoreError`."""
        held = self._held.get(at)
        if held is None:
            self._find_again()
            self._lock(at, made := _Hold(what, group))
            self._held[at] = made
        elif group is not None and held.group == group:
            held.holders += 1
        else:
            raise in_use(what, os.getpid())

    def release(self, at: int) -> None:
        """One holder less of a key; the last one unlocks it, and with the last key the file is closed."""
        with _guard:
            hold = self._held.get(at)
            if hold is None:
                return
            hold.holders -= 1
            if not hold.holders:
                del self._held[at]
                self._unlock(at, hold)
                self.close_unless_needed()

    def forget(self) -> None:
        """In a forked child: nothing is held here."""
        self._held.clear()
        self._file.close()

    def close_unless_needed(self) -> None:
        """Close it when no key is held."""
        if not self._held:
            _open.pop(self._path, None)
            self._file.close()

    def _lock(self, at: int, hold: _Hold) -> None:
        if hold.group is None:
            self._file.take(at, hold.what)
        else:
            self._share(at, hold.what, hold.group)
        hold.is_missing = False

    def _unlock(self, at: int, hold: _Hold) -> None:
        record_lock.free(self._file.descriptor, at)
        if hold.group is not None:
            record_lock.free(self._file.descriptor, _byte_of(hold.group, at), 1)

    def _share(self, at: int, what: str, group: str) -> None:
        """Whoever locks its byte later than another sees that one's, and of two at the same moment none gets in."""
        first, own, end = at + _GROUPS, _byte_of(group, at), at + _SPAN
        self._file.share(at, own, what)
        other = record_lock.holder_within(self._file.descriptor, ((first, own - first), (own + 1, end - own - 1)))
        if other is not None:
            self._unlock(at, _Hold(what, group))
            raise in_use(f"{what} in another cluster", other or None)

    def _find_again(self) -> None:
        """Open the file that is there now, when another was removed, and lock the keys in it."""
        try:
            self._file.check()
            return
        except OwnershipLost:
            pass
        try:
            found = _opened(self._path)
        except StoreError as error:
            raise OwnershipLost(f"The claim of an API key is lost: {error}") from error.__cause__
        self._file.close()
        self._file = found
        for at, hold in self._held.items():
            hold.is_missing = True
            with contextlib.suppress(StoreError):  # `verify` of that key says it
                self._lock(at, hold)


def take_key(place: Path, spot: KeySpot, what: str, group: str | None = None) -> KeyFile:
    """The file of a key in one place, in which it is held now. Raises `StoreInUse` or `StoreError`."""
    path = place / spot.file
    with _guard:
        file = _open.get(path)
        if file is None:
            file = _open[path] = KeyFile(path)
        try:
            file.take(spot.at, what, group)
        except BaseException:
            file.close_unless_needed()
            raise
        return file


def _opened(path: Path) -> LockFile:
    make_place(path.parent)
    return LockFile(path)


def _byte_of(group: str, at: int) -> int:
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:7], "big")
    return at + _GROUPS + number % (_SPAN - _GROUPS)


def _forget_after_fork() -> None:
    """A forked child owns nothing: the locks stayed with the parent."""
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()
    for file in _open.values():
        file.forget()
    _open.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
