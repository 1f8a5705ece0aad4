"""The durable nonce marks of one machine, in the two files of `engine.store.nonce_files`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.errors import StoreError
from engine.store.backing import Soon, Warn
from engine.store.nonce_files import COPY_FAILS, document, open_files
from engine.store.write_outage import WriteOutage
from engine.store.writer import Store

Verify = Callable[[str], None]

FAILS = (
    "{error} Until this is fixed no nonce above the mark is used: calls end as not sent, and cancels use the nonces "
    "kept for them while they last."
)

logger = logging.getLogger(__name__)


def log_warning(code: str, sentence: str) -> None:
    """The default `warn`: writes to the log."""
    logger.warning("%s: %s", code, sentence)


def owned(key_id: str) -> None:
    """A `verify` for those who own the directory for as long as they live."""


class FileMarks:
    """The durable marks in their two files. Any thread may read them; one at a time writes.

    Guarantees: `durable` and `renew` return only marks that the main file has; a mark on disk is never lowered.

    The marks are kept in two files and the higher one counts, so one of them may be lost, damaged or restored from a
    backup (`engine.store.nonce_files` has the table). The copy is written first, and a mark counts only when the main
    file has it; while only the copy fails, the engine goes on.

    `warn(code, sentence)` is told of what was found at opening, and of ``nonces-failing`` and ``nonces-copy-failing``:
    the main file or the copy cannot be written (once, until it can be again). `verify(key_id)` is called before each
    mark is made durable, and raises `OwnershipLost` when that must not be.

    Raises `StoreError` when the main file cannot be used for another reason than damage, or when the copy cannot be
    used and the main file does not know the marks: then a person has to fix that first.
    """

    def __init__(
        self,
        directory: Path,
        warn: Warn = log_warning,
        *,
        open_store: Callable[[Path], Store] = Store,
        verify: Verify = owned,
    ) -> None:
        self._store, self._copy, marks = open_files(directory, open_store, warn)
        self._verify = verify
        self._outage = WriteOutage("nonces-failing", FAILS, warn)
        self._copy_outage = WriteOutage("nonces-copy-failing", COPY_FAILS, warn)
        self._durable, self._inherited = dict(marks), marks
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

    def inherited(self, key_id: str) -> int:
        """The mark of a key that the files had at the opening; 0 when it had none."""
        return self._inherited.get(key_id, 0)

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
        except StoreError as error:
            self._outage.failed(error)
            raise
        self._outage.succeeded()

    def _write_copy(self, key_id: str, mark: int) -> None:
        if self._copy is None:
            return
        try:
            self._copy.put(key_id, document(mark))
        except StoreError as error:
            self._copy_outage.failed(error)
        else:
            self._copy_outage.succeeded()
