"""Runs the host's code in a thread of its own: what it raises is told, and what it does not return in time is left."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

SLICE = 0.05  # seconds between looks whether the wait is given up


class HostFailed(Exception):
    """The host's code raised, hung, or could not be run; the sentence says which."""


class GivenUp(Exception):
    """Whoever waited has to stop."""


class Isolation:
    """One piece of the host's code at a time, each in a daemon thread that ends with it.

    Code that hangs keeps its thread, since Python cannot end one; until it has returned nothing else is run here, so
    that threads do not stack up.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: tuple[str, threading.Thread] | None = None

    @property
    def hanging(self) -> str | None:
        """What still runs though nobody waits for it."""
        running = self._running
        return running[0] if running is not None and running[1].is_alive() else None

    def run(self, what: str, code: Callable[[], Any], seconds: float, is_given_up: Callable[[], bool]) -> Any:
        """What `code` returns. Raises `HostFailed`, or `GivenUp` soon after `is_given_up` says so.

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
        thread.join(SLICE)  # it has nothing left to do
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
        except BaseException as error:  # noqa: BLE001 - the host's, and a SystemExit ends nobody
            self.failure = type(error).__name__  # which says enough, should its text fail too
            with contextlib.suppress(BaseException):
                self.failure = f"{type(error).__name__}: {error}"
        finally:
            self.ended.set()


def wait(event: threading.Event, seconds: float, is_given_up: Callable[[], bool]) -> bool:
    """Whether the event comes within `seconds`. Raises `GivenUp` soon after `is_given_up` says so."""
    end = time.monotonic() + seconds
    while not event.wait(max(0.0, min(SLICE, end - time.monotonic()))):
        if is_given_up():
            raise GivenUp
        if time.monotonic() >= end:
            return False
    return True


def _lower(what: str) -> str:
    return what[:1].lower() + what[1:]
