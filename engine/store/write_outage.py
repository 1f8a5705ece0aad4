"""Writes that fail for a while: warned about once, however many fail, and logged when they succeed again."""

from __future__ import annotations

import logging

from engine.errors import StoreError
from engine.store.backing import Warn

logger = logging.getLogger(__name__)


class WriteOutage:
    """Whether the writes of one owner fail. One thread at a time.

    `warn(code, sentence)` is called by the first failure, and by the first after a success. `sentence` has a place for
    the ``{error}``.
    """

    __slots__ = ("_code", "_is_failing", "_sentence", "_warn")

    def __init__(self, code: str, sentence: str, warn: Warn) -> None:
        self._code, self._sentence, self._warn = code, sentence, warn
        self._is_failing = False

    def failed(self, error: StoreError) -> None:
        """A write has failed."""
        if not self._is_failing:
            self._is_failing = True
            self._warn(self._code, self._sentence.format(error=error))

    def succeeded(self) -> None:
        """A write has succeeded."""
        if self._is_failing:
            self._is_failing = False
            logger.info("%s: over; it can be written again.", self._code)
