"""The nonces of every API key: the sequence of `engine.rules.lane.nonce` over marks that two files on disk keep."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

from engine.errors import ConfigError, StoreError
from engine.rules.lane.nonce import HIGHEST, NonceSequence, Renew, Reserve
from engine.store.nonce_files import COPY_FAILS, COPY_NAME, FILE_NAME, Warn, document, open_files, read_marks
from engine.store.writer import Store
from engine.values import SYSTEM_CLOCK, Clock

__all__ = ["COPY_NAME", "FILE_NAME", "Nonces", "read_marks"]

logger = logging.getLogger(__name__)

Soon = Callable[[Callable[[], None]], object]
Verify = Callable[[str], None]

FAILS = (
    "{error} Until this is fixed no nonce above the mark is used: calls end as not sent, and cancels use the nonces "
    "kept for them while they last."
)


def log_warning(code: str, sentence: str) -> None:
    """The default `warn`: writes to the log."""
    logger.warning("%s: %s", code, sentence)


def owned(key_id: str) -> None:
    """A `verify` for those who own the directory for as long as they live."""


class Nonces:
    """Durable nonces by key id (`Account.key_id`). One owner, one thread at a time.

    Guarantees (G1): for each key, every nonce issued is greater than every nonce ever issued from this directory,
    whatever was killed in between and wherever the wall clock jumps; the mark on disk is at least the last one issued.

    The marks are kept in two files and the higher one counts, so one of them may be lost, damaged or restored from a
    backup (`engine.store.nonce_files` has the table). The copy is written first, and a nonce is used only when the main
    file has its mark; while only the copy fails, the engine goes on.

    `warn(code, sentence)` is told of what was found at opening, and of ``nonces-failing`` and ``nonces-copy-failing``:
    the main file or the copy cannot be written (once, until it can be again).

    Raises `StoreError` when the main file cannot be used for another reason than damage, or when the copy cannot be
    used and the main file does not know the marks: then a person has to fix that first.

    `soon` runs a callback in another thread. With it, the mark of a key in use is renewed there while nonces below the
    present mark are issued, so that none waits for the disk; the mark of an idle key is not renewed. When a renewal
    fails or comes too late, `issue` reserves by itself, and raises what goes wrong.

    `verify(key_id)` is called before each mark is made durable, and raises `OwnershipLost` when that must not be.
    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        open_store: Callable[[Path], Store] = Store,
        warn: Warn = log_warning,
        soon: Soon | None = None,
        verify: Verify = owned,
    ) -> None:
        self._clock = clock
        self._soon = soon
        self._lines: dict[str, _Line] = {}
        main, copy, marks = open_files(directory, open_store, warn)
        self._marks = _Marks(main, copy, marks, warn, verify)

    def issue(self, key_id: str, *, cancel: bool = False) -> int:
        """The next nonce of a key. Raises `NonceNotDurable` when the disk fails; `cancel` may use those kept for it."""
        sequence, reserve, renew = self._lines.get(key_id) or self._line(key_id)
        return sequence.issue(self._clock.wall_ns(), reserve, renew, cancel=cancel)

    def skip_to(self, key_id: str, nonce: int) -> None:
        """Make the next nonce of a key higher than `nonce`. A number below the present one changes nothing.

        Raises `ConfigError` for a number that cannot be a nonce, `StoreError` when it cannot be written.
        """
        if not 0 <= nonce < HIGHEST:
            raise ConfigError(f"{nonce} cannot be a nonce: use a whole number from 0 to 2**63 - 2.")
        line = self._line(key_id)
        line.sequence.skip_to(nonce, line.reserve)

    def mark(self, key_id: str) -> int:
        """The durable mark of a key; 0 when it has none."""
        return self._marks.durable(key_id)

    def lead(self, key_id: str) -> float:
        """Seconds by which the nonces of a key are ahead of the clock; 0 when they follow it. Any thread."""
        line = self._lines.get(key_id)
        last = self._marks.durable(key_id) if line is None else line.sequence.last
        return max(0.0, (last - self._clock.wall_ns()) / 1e9)

    def moment(self) -> NonceMoment:
        """The last nonces and the marks as they are now. Any thread."""
        last = {key_id: line.sequence.last for key_id, line in tuple(self._lines.items())}
        return NonceMoment(self._clock.wall_ns(), last, self._marks.all_durable())

    @property
    def reservations(self) -> int:
        """The number of marks made durable since the start."""
        return self._marks.reservations

    @property
    def write_seconds(self) -> float:
        """Seconds that these writes took in total, both files together."""
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


class NonceMoment(NamedTuple):
    """The nonces at one moment."""

    wall_ns: int
    last: Mapping[str, int]
    """The last nonce issued, by key id."""
    marks: Mapping[str, int]
    """The durable marks, by key id."""

    def lead(self, key_id: str) -> float:
        """Seconds by which the nonces of a key were ahead of the clock; 0 when they followed it."""
        return max(0.0, (self.last.get(key_id, self.marks.get(key_id, 0)) - self.wall_ns) / 1e9)


class _Line(NamedTuple):
    """What issues the nonces of one key."""

    sequence: NonceSequence
    reserve: Reserve
    renew: Renew | None


class _Marks:
    """The durable marks in their two files. Any thread may read them; one at a time writes.

    Guarantees: `durable` and `renew` return only marks that the main file has; a mark on disk is never lowered.
    `verify` is asked before each is made durable.
    """

    def __init__(
        self, store: Store, copy: Store | None, marks: Mapping[str, int], warn: Warn, verify: Verify
    ) -> None:
        self._store, self._copy, self._warn, self._verify = store, copy, warn, verify
        self._fails, self._copy_fails = False, copy is None
        self._durable = dict(marks)
        self._writing = threading.Lock()
        self._renewing: set[str] = set()
        self.reservations = 0
        self.write_seconds = 0.0

    def durable(self, key_id: str) -> int:
        """The highest durable mark of a key; 0 when it has none."""
        return self._durable.get(key_id, 0)

    def all_durable(self) -> dict[str, int]:
        """The highest durable mark of every key that has one."""
        return dict(self._durable)

    def reserve(self, key_id: str, mark: int) -> None:
        """Return when `mark` is durable. Raises `StoreError`."""
        with self._writing:
            if mark > self._durable.get(key_id, 0):
                self._verify(key_id)
                began = time.monotonic()
                self._write_copy(key_id, mark)
                self._write(key_id, mark)
                self._durable[key_id] = mark
                self.reservations += 1
                self.write_seconds += time.monotonic() - began

    def renew(self, soon: Soon, key_id: str, mark: int, wanted: int) -> int:
        """The highest durable mark of a key; while that is `mark`, `soon` reserves `wanted`."""
        durable = self._durable.get(key_id, 0)
        if durable <= mark and key_id not in self._renewing:
            self._renewing.add(key_id)
            try:
                soon(partial(self._renew, key_id, wanted))
            except RuntimeError:  # no thread can be started: `reserve` follows when the mark is reached
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
            logger.info("A nonce mark was not renewed: %s", error)  # the call that needs it reports it
        finally:
            self._renewing.discard(key_id)

    def _write(self, key_id: str, mark: int) -> None:
        try:
            self._store.put(key_id, document(mark))
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
            self._copy.put(key_id, document(mark))
            self._copy_fails = False
        except StoreError as error:
            if not self._copy_fails:
                self._warn("nonces-copy-failing", COPY_FAILS.format(error=error))
            self._copy_fails = True
