"""The events of an engine in another process, given to a callable of this one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from engine.app.remote.link import AnswerLines
from engine.errors import CallNotSent

logger = logging.getLogger("engine")


class EventStream:
    """Reads events in a thread of its own, and gives them to a callable, one after the other.

    While it is busy the service keeps the newest 10,000 of them; an `EngineWarning` ``events-dropped`` says how many
    were lost. Raises `CallNotSent` when no thread can be started.
    """

    def __init__(self, lines: AnswerLines, take: Callable[[Any], object]) -> None:
        self._lines, self._take = lines, take
        self._is_live = True
        self._thread = threading.Thread(target=self._run, name="kraken-engine events", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise CallNotSent(f"No thread can be started for the events ({error}).") from None

    def is_live(self) -> bool:
        """Whether an event may still come: not after the end of the service."""
        return self._is_live and self._thread.is_alive()  # a forked child has no such thread

    def close(self) -> None:
        """Take no more of them; an event that is being taken is not waited for."""
        self._is_live = False
        self._lines.close()

    def _run(self) -> None:
        for event in self._lines:
            if not self._is_live or isinstance(event, dict):  # a refusal of the service's is not an event
                break
            try:
                self._take(event)
            except Exception:
                logger.exception("A subscriber failed.")
        self._is_live = False
