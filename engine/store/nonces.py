"""The nonces of every API key: the pure sequence of `rules.nonce` joined to marks on disk, which are kept twice."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import ConfigError, StoreDamaged, StoreError
from engine.rules.lane.nonce import HIGHEST, NonceSequence, Renew, Reserve
from engine.store import Store, put_aside, read_documents, salvage
from engine.values import SYSTEM_CLOCK, Clock

FILE_NAME = "nonces.sqlite"
COPY_NAME = "nonces-copy.sqlite"

logger = logging.getLogger(__name__)

Warn = Callable[[str, str], None]
Soon = Callable[[Callable[[], None]], object]

LOST = (
    "{damage} Every mark that either still shows counts; beyond those, nonces start at this machine's clock. Before "
    "you go on: check that the clock is right. If a nonce was ever raised above the clock ('kraken-engine nonce raise' "
    "or 'nonce import'), raise it again. If Kraken answers EAPI:Invalid nonce, make a new API key. Check the disk."
)
FAILS = (
    "{error} Until this is mended no nonce above the mark is used: calls end as not sent, and cancels go while the "
    "nonces that are kept for them last."
)
COPY_FAILS = "{error} Until this is mended, " + FILE_NAME + " alone keeps the nonce marks."


def log_warning(code: str, sentence: str) -> None:
    """A `warn` for those who have nobody to tell."""
    logger.warning("%s: %s", code, sentence)


class Nonces:
    """Durable nonces by key id (`Account.key_id`). One owner, one thread at a time.

    Guarantees (G1): for each key, every nonce issued is greater than every nonce ever issued from this directory,
    whatever was killed in between and wherever the wall clock jumps; the mark on disk is at least the last one issued.

    The marks are kept in two files and the higher one counts, so one of them may be lost, damaged or restored from a
    backup. The copy is written first, and a nonce is used only when the main file has its mark; while the copy alone
    fails, the engine goes on. A damaged file is put aside and begun anew with what the other knows.

    `warn(code, sentence)` is told of ``nonces-restored`` (one file was damaged or gone, the other knows the marks),
    ``nonces-lost`` (both were), ``nonces-failing`` and ``nonces-copy-failing`` (the main file and the copy cannot be
    written; once, until they can be again).

    Raises `StoreError` when the main file cannot be used for another reason than damage, or when the copy cannot be and
    the main file does not know the marks: then somebody has to mend that first.

    `soon` runs an callback in another thread. With it, a key in use has its mark renewed there while its nonces go on
    below the present one, so that none waits for the disk; an idle key is not written. Should that fail or come too
    late, `issue` reserves by itself, and raises what goes wrong.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        open_store: Callable[[Path], Store] = Store,
        warn: Warn = log_warning,
        soon: Soon | None = None,
    ) -> None:
        self._clock = clock
        self._warn = warn
        self._soon = soon
        main, copy = _look(directory / FILE_NAME), _look(directory / COPY_NAME)
        if main.error and not main.damaged:
            raise main.error
        marks = _highest(main.marks, copy.marks)
        self._lines: dict[str, _Line] = {}
        self._marks, damage = _open_marks(main, copy, marks, open_store, warn)
        self._tell(main, copy, damage)

    def issue(self, key_id: str, *, cancel: bool = False) -> int:
        """The next nonce of a key. Raises `NonceNotDurable`; `cancel` may then use the nonces kept for cancels."""
        sequence, reserve, renew = self._lines.get(key_id) or self._line(key_id)
        return sequence.issue(self._clock.wall_ns(), reserve, renew, cancel=cancel)

    def skip_to(self, key_id: str, nonce: int) -> None:
        """Let the next nonce of a key be above `nonce`. Upwards only: a lower number changes nothing.

        Raises `ConfigError` for a number that no nonce of Kraken's can be, `StoreError` when it cannot be kept.
        """
        if not 0 <= nonce < HIGHEST:
            raise ConfigError(f"{nonce} cannot be a nonce: use a whole number from 0 to 2**63 - 2.")
        line = self._line(key_id)
        line.sequence.skip_to(nonce, line.reserve)

    def mark(self, key_id: str) -> int:
        """The durable mark of a key; 0 when it never had one."""
        return self._marks.durable(key_id)

    def lead(self, key_id: str) -> float:
        """Seconds by which the next nonce of a key is above the clock; 0 when it follows the clock. Any thread."""
        line = self._lines.get(key_id)
        last = self._marks.durable(key_id) if line is None else line.sequence.last
        return max(0.0, (last - self._clock.wall_ns()) / 1e9)

    @property
    def reservations(self) -> int:
        """How often a mark was made durable since the start."""
        return self._marks.reservations

    @property
    def write_seconds(self) -> float:
        """What that took in all, both files together."""
        return self._marks.write_seconds

    def close(self) -> None:
        """Close both files. A second call does nothing."""
        self._marks.close()

    def _line(self, key_id: str) -> _Line:
        if key_id not in self._lines:
            renew = None if self._soon is None else partial(self._marks.renew, self._soon, key_id)
            sequence = NonceSequence.above(self._marks.durable(key_id))
            self._lines[key_id] = _Line(sequence, partial(self._marks.reserve, key_id), renew)
        return self._lines[key_id]

    def _tell(self, main: _Found, copy: _Found, damage: str) -> None:
        """Warn of what was found at opening. A directory in which nothing ever was is no damage."""
        if not main.damaged and not copy.damaged and not main.marks and not copy.marks:
            return
        if not main.intact and not copy.intact:
            self._warn("nonces-lost", LOST.format(damage=damage))
        elif damage:
            known = main if main.intact else copy
            self._warn(
                "nonces-restored",
                f"{damage} The nonce marks were taken from {known.path.name}; nonces go on above them. Check the disk.",
            )


class _Line(NamedTuple):
    """What issues the nonces of one key."""

    sequence: NonceSequence
    reserve: Reserve
    renew: Renew | None


class _Marks:
    """The durable marks in their two files. Any thread may ask; one at a time writes.

    Guarantees: `durable` and `renew` return only marks that the main file has; a mark on disk is never lowered.
    """

    def __init__(self, store: Store, copy: Store | None, marks: Mapping[str, int], warn: Warn, fails: bool) -> None:
        self._store, self._copy, self._warn, self._copy_fails = store, copy, warn, fails
        self._fails = False
        self._durable = dict(marks)
        self._writing = threading.Lock()
        self._renewing: set[str] = set()
        self.reservations = 0
        self.write_seconds = 0.0

    def durable(self, key_id: str) -> int:
        """The highest durable mark of a key; 0 when it has none."""
        return self._durable.get(key_id, 0)

    def reserve(self, key_id: str, mark: int) -> None:
        """Return when `mark` is durable. Raises `StoreError`."""
        with self._writing:
            if mark > self._durable.get(key_id, 0):
                began = time.monotonic()
                self._write_copy(key_id, mark)
                self._write(key_id, mark)
                self._durable[key_id] = mark
                self.reservations += 1
                self.write_seconds += time.monotonic() - began

    def renew(self, soon: Soon, key_id: str, mark: int, wanted: int) -> int:
        """The highest durable mark; when that is still `mark`, `wanted` is reserved by `soon`."""
        durable = self._durable.get(key_id, 0)
        if durable <= mark and key_id not in self._renewing:
            self._renewing.add(key_id)
            try:
                soon(partial(self._renew, key_id, wanted))
            except RuntimeError:  # no thread can be started, or none any more: it is reserved when it is reached
                self._renewing.discard(key_id)
        return durable

    def close(self) -> None:
        """Close both files."""
        try:
            self._store.close()
        finally:
            if self._copy is not None:
                self._copy.close()

    def _renew(self, key_id: str, wanted: int) -> None:
        try:
            self.reserve(key_id, wanted)
        except StoreError as error:
            logger.info("A nonce mark was not renewed: %s", error)  # the call that needs it will say so
        finally:
            self._renewing.discard(key_id)

    def _write(self, key_id: str, mark: int) -> None:
        try:
            self._store.put(key_id, _document(mark))
            self._fails = False
        except StoreError as error:
            if not self._fails:
                self._warn("nonces-failing", FAILS.format(error=error))
            self._fails = True
            raise

    def _write_copy(self, key_id: str, mark: int) -> None:
        if self._copy is None:
            return
        try:
            self._copy.put(key_id, _document(mark))
            self._copy_fails = False
        except StoreError as error:
            if not self._copy_fails:
                self._warn("nonces-copy-failing", COPY_FAILS.format(error=error))
            self._copy_fails = True


def _open_marks(
    main: _Found, copy: _Found, marks: Mapping[str, int], open_store: Callable[[Path], Store], warn: Warn
) -> tuple[_Marks, str]:
    """Both files, brought up to `marks`, and a sentence on what was damaged; the copy may fail, with a warning."""
    store: Store | None = None
    told, fails = "", False
    try:  # the copy first: it holds all marks before a damaged main file is moved
        if copy.error and not copy.damaged:
            raise copy.error
        store, told = _open(copy, marks, open_store)
    except StoreError as error:
        if not main.intact:
            raise
        warn("nonces-copy-failing", COPY_FAILS.format(error=error))
        fails = True
    try:
        opened, main_told = _open(main, marks, open_store)
    except BaseException:
        if store is not None:
            store.close()
        raise
    return _Marks(opened, store, marks, warn, fails), f"{main_told} {told}".strip()


def read_marks(directory: Path) -> dict[str, int]:
    """The marks by key id, the higher of both files, read-only, also while an engine is running.

    Raises `StoreError` when a file cannot be read and the other is not there to answer for it.
    """
    main, copy = _look(directory / FILE_NAME), _look(directory / COPY_NAME)
    for one, other in ((main, copy), (copy, main)):
        if one.error and not other.intact:
            raise one.error
    return _highest(main.marks, copy.marks)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one file tells before anything touches it.

    `kept` are the marks of an intact file; `marks` are those and every higher one that its bytes still show.
    """

    path: Path
    kept: Mapping[str, int]
    marks: Mapping[str, int]
    blank: bool
    error: StoreError | None

    @property
    def damaged(self) -> bool:
        return isinstance(self.error, StoreDamaged)

    @property
    def intact(self) -> bool:
        return self.error is None and not self.blank


def _look(path: Path) -> _Found:
    kept: dict[str, int] = {}
    error: StoreError | None = None
    try:
        kept = _marks(path, read_documents(path))
    except StoreError as failure:
        error = failure
    blank = _is_blank(path)
    if error is not None and not isinstance(error, StoreDamaged):
        return _Found(path, {}, {}, blank, error)
    return _Found(path, kept, _highest(kept, *_salvaged(path)), blank, error)


def _is_blank(path: Path) -> bool:
    try:
        return os.path.getsize(path) == 0
    except OSError:
        return True


def _open(found: _Found, marks: Mapping[str, int], open_store: Callable[[Path], Store]) -> tuple[Store, str]:
    """Open one file and bring it up to `marks`; put aside first if damaged. Also a sentence on what was wrong."""
    told = ""
    if found.damaged:
        told = f"{found.error} It was put aside as {put_aside(found.path).name}."
    elif found.blank and marks:
        told = f"The store file {found.path} was gone or empty."
    store = open_store(found.path)
    try:
        for key, mark in marks.items():
            if mark > found.kept.get(key, 0):
                store.put(key, _document(mark))
    except StoreError:
        if not found.intact:  # an intact file is brought up by its next reservation
            store.close()
            raise
    return store, told


def _salvaged(path: Path) -> list[dict[str, int]]:
    found = []
    for name, document in salvage(path):
        try:
            found.append(_marks(path, {name: document}))
        except StoreDamaged:  # a good document of some other file
            continue
    return found


def _highest(*several: Mapping[str, int]) -> dict[str, int]:
    highest: dict[str, int] = {}
    for marks in several:
        for key, mark in marks.items():
            highest[key] = max(mark, highest.get(key, 0))
    return highest


def _document(mark: int) -> dict[str, str]:
    return {"mark": str(mark)}


def _marks(path: Path, documents: Mapping[str, Any]) -> dict[str, int]:
    try:
        return {key: int(document["mark"]) for key, document in documents.items()}
    except (TypeError, KeyError, ValueError):
        raise StoreDamaged(f"The store file {path} holds something that is no nonce mark.") from None
