"""Which API keys one owner holds, written into a lock file of its own in a directory that several owners share."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.errors import OwnershipLost, StoreError, StoreInUse
from engine.ownership.claim import in_use
from engine.ownership.key_places import files_of
from engine.ownership.lock_file import TOKEN, LockFile, holder_of
from engine.store import cause

_PREFIX, _SUFFIX = "keys-", ".lock"
_OWNERS = 10_000  # at one time in one place
_TURN = 0.3  # seconds that one waits for another to have looked
_PAUSE = 0.005

_guard = threading.RLock()
_open: list[KeyRegister] = []  # in this process


class _Held(NamedTuple):
    """A key of ours: its account, and where it is in the file."""

    account: str
    at: int


class KeyRegister:
    """The keys that one owner holds in one place, such as ``/tmp/kraken-engine-keys-1000``. Thread-safe.

    The file is locked for as long as its owner lives, and what it names is held while it is. Whoever adds a key writes
    it down first and then looks into the files of the others, so of two at the same moment at least one sees the other;
    they take turns, so that it is exactly one. Owners of the same `group`, if any, hold a key together.

    Cleaners of temporary files may come by: a file that is gone is made anew. Raises `StoreError` for a place that
    cannot be used.
    """

    def __init__(self, place: Path, group: str = "") -> None:
        self._base, self.place, self.group = place, files_of(place), group
        self._keys: dict[str, _Held] = {}
        self._end = 0  # of the file
        self._lost: dict[str, StoreInUse] = {}
        self._is_released = False
        with _guard, _turn(self.place):
            self._file = self._begun()
            _open.append(self)

    def add(self, keys: Mapping[str, str]) -> None:
        """Hold these keys, each with its account. Raises `StoreInUse` or `StoreError`; none of them is held then."""
        with _guard:
            for key_id in keys.keys() & self._keys.keys():
                raise in_use(claim_of(keys[key_id]), os.getpid())
            self._find_again()  # the directory of the turns as well
            with _turn(self.place):
                try:
                    self._append(keys)
                    for error in self._taken(keys).values():
                        raise error
                except BaseException:
                    self.remove(keys)
                    raise

    def remove(self, keys: Iterable[str]) -> None:
        """Give keys back; one that is not held is passed over."""
        with _guard:
            for key_id in keys:
                self._lost.pop(key_id, None)
                held = self._keys.pop(key_id, None)
                if held is not None:
                    with contextlib.suppress(OSError, OwnershipLost):  # of a file that is gone
                        self._file.check()
                        os.pwrite(self._file.descriptor, b" " * len(key_id.encode()), held.at)

    def verify(self, *keys: str) -> None:
        """Raise `OwnershipLost` when another has one of these."""
        with _guard:
            self._find_again()
            if self._lost:  # unless it is free again
                self._lost = self._taken({each: self._keys[each].account for each in self._lost})
                for key_id in self._lost.keys() & set(keys):
                    raise OwnershipLost(str(self._lost[key_id]))

    def release(self) -> None:
        """Give everything back; a second call does nothing."""
        with _guard:
            if not self._is_released:
                self._is_released = True
                _open.remove(self)
                self._file.close()

    def forget(self) -> None:
        """In a forked child: the file stays the parent's."""
        self._is_released = True
        self._file.close()

    def _find_again(self) -> None:
        """Make the file anew when it is gone, or was another's meanwhile. Raises `OwnershipLost`."""
        if self._is_released:
            raise OwnershipLost("The claim of an API key was given back: nothing more is sent with it.")
        try:
            self._file.verify()
        except OwnershipLost:
            self._begin_again()

    def _begin_again(self) -> None:
        keys = {key_id: held.account for key_id, held in self._keys.items()}
        try:
            files_of(self._base)
            with _turn(self.place):
                self._file.close()
                self._file = self._begun()
                self._append(keys)
                self._lost = self._taken(keys)
        except StoreError as error:
            self._file.close()
            raise OwnershipLost(f"The claim of an API key is lost: {error}") from error.__cause__

    def _begun(self) -> LockFile:
        """A file that nobody has, without a key in it: the first of those that are there, or a new one."""
        ours = self._ours()
        for number in range(_OWNERS):
            path = self.place / f"{_PREFIX}{number}{_SUFFIX}"
            if path in ours:
                continue
            with contextlib.suppress(StoreInUse):
                file = LockFile(path, f"{path} is in use")
                try:
                    os.ftruncate(file.descriptor, TOKEN)
                    self._end = TOKEN + _write(file, TOKEN, f"\n{self.group}\n".encode())
                except BaseException:
                    file.close()
                    raise
                return file
        raise StoreError(f"{self.place} is full of lock files that are in use.")

    def _append(self, keys: Mapping[str, str]) -> None:
        at, lines = self._end, []
        for key_id, account in keys.items():
            self._keys[key_id] = _Held(account, at)
            lines.append(key_id.encode() + b"\n")
            at += len(lines[-1])
        _write(self._file, self._end, b"".join(lines))
        self._end = at

    def _taken(self, keys: Mapping[str, str]) -> dict[str, StoreInUse]:
        """Those of these keys that another owner holds, in this process or another."""
        taken: dict[str, StoreInUse] = {}
        for other in _open:
            if other is not self and other.place == self.place and not self._shares_with(other.group):
                for key_id in keys.keys() & other._keys.keys():
                    taken[key_id] = in_use(claim_of(keys[key_id]), os.getpid())
        ours = self._ours()
        for path in _files_in(self.place):
            found = None if path in ours else _read(path)
            if found is not None and not self._shares_with(found.group):
                where = " in another cluster" if self.group and found.group else ""
                for key_id in keys.keys() & found.keys:
                    taken[key_id] = in_use(claim_of(keys[key_id]) + where, found.pid or None)
        return taken

    def _shares_with(self, group: str) -> bool:
        return bool(group) and group == self.group

    def _ours(self) -> set[Path]:
        """The files of this process in this place, which must not be opened again."""
        found = set()
        for each in _open:
            with contextlib.suppress(OwnershipLost):
                each._file.check()
                found.add(each._file.path)
        return found


class _Found(NamedTuple):
    """What another process holds; `pid` is 0 where it cannot be named."""

    pid: int
    group: str
    keys: frozenset[str]


def claim_of(account: str) -> str:
    """The beginning of a sentence on a key that another has."""
    return f"The API key of account {account} is in use"


def _files_in(place: Path) -> list[Path]:
    try:
        names = os.listdir(place)
    except OSError as error:
        raise StoreError(f"{place} cannot be read: {cause(error)}.") from error
    return [place / name for name in sorted(names) if name.startswith(_PREFIX) and name.endswith(_SUFFIX)]


def _read(path: Path) -> _Found | None:
    """What is held by a file of another process; `None` while nobody has it. Raises `StoreError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            if holder_of(descriptor) is None:
                return None
            with open(descriptor, "rb", closefd=False) as file:
                lines = file.read()[TOKEN + 1 :].decode(errors="replace").split("\n")
            pid = holder_of(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be read: {cause(error)}.") from error
    return None if pid is None else _Found(pid, lines[0], frozenset(lines[1:]))


def _write(file: LockFile, at: int, text: bytes) -> int:
    """Write it there; returns its length. Raises `StoreError`."""
    try:
        written = os.pwrite(file.descriptor, text, at)
    except OSError as error:
        raise StoreError(f"The lock file {file.path} cannot be written: {cause(error)}.") from error
    if written < len(text):
        raise StoreError(f"The lock file {file.path} cannot be written: the disk is full.")
    return written


@contextlib.contextmanager
def _turn(place: Path) -> Iterator[None]:
    """One at a time in one place, and not for long: a process that stands still must not keep others out."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(f"{place} cannot be opened: {cause(error)}.") from error
    try:
        end = time.monotonic() + _TURN
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _forget_after_fork() -> None:
    """A forked child owns nothing."""
    global _guard  # noqa: PLW0603
    _guard = threading.RLock()
    for register in _open:
        register.forget()
    _open.clear()


os.register_at_fork(after_in_child=_forget_after_fork)
