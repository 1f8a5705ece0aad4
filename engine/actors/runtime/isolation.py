"""Runs code of the host in a thread of its own: its exceptions are reported, and one that hangs is abandoned."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

SLICE = 0.05  # seconds between checks whether to give up waiting


class HostFailed(Exception):
    """The host's code raised an exception, hangs, or could not be run; the sentence says which."""


class GivenUp(Exception):
    """The caller that waited has to stop."""


class Isolation:
    """Runs one piece of the host's code at a time, each in a daemon thread of its own.

    Code that hangs keeps its thread, since Python cannot end one; nothing else is run here until it has returned, so
    that threads do not pile up.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: tuple[str, threading.Thread] | None = None

    @property
    def hanging(self) -> str | None:
        """What still runs although nobody waits for it any more."""
        running = self._running
        return running[0] if running is not None and running[1].is_alive() else None

    def run(self, what: str, code: Callable[[], Any], seconds: float, is_given_up: Callable[[], bool]) -> Any:
        """What `code` returns. Raises `HostFailed`, or `GivenUp` soon after `is_given_up()` is true.

        One caller at a time.
        """
        if (hanging := self.hanging) is not None:
            raise HostFailed(f"{what} was not asked: {_lower(hanging)} is still hanging from an earlier pass.")
        run = _Run(code)
        thread = threading.Thread(target=run, name=f"kraken-engine {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise HostFailed(f"{what} was not asked: no thread can be started ({error}).") from None
        self._running = (what, thread)
        if not wait(run.ended, seconds, is_given_up):
            raise HostFailed(f"{what} has not returned within {seconds:g} s.")
        thread.join(SLICE)  # its code has returned
        if run.failure is not None:
            raise HostFailed(f"{what} failed: {run.failure}.")
        return run.value


class _Run:
    def __init__(self, code: Callable[[], Any]) -> None:
        self._code = code
        self.ended = threading.Event()
        self.value: Any = None
        self.failure: str | None = None

    def __call__(self) -> None:
        try:
            self.value = self._code()
        except BaseException as error:  # noqa: BLE001 - the host's: even a SystemExit must end nothing here
            self.failure = type(error).__name__  # enough, should `str(error)` raise as well
            with contextlib.suppress(BaseException):
                self.failure = f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()


def wait(event: threading.Event, seconds: float, is_given_up: Callable[[], bool]) -> bool:
    """Whether the event is set within `seconds`. Raises `GivenUp` soon after `is_given_up()` is true."""
    end = time.monotonic() + seconds
    while not event.wait(max(0.0, min(SLICE, end - time.monotonic()))):
        if is_given_up():
            raise GivenUp
        if time.monotonic() >= end:
            return False
    return True


def _lower(what: str) -> str:
    return what[:1].lower() + what[1:]
