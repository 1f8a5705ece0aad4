"""Runs callbacks of the host in a thread of their own, so that they can neither block nor end an engine thread."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

logger = logging.getLogger(__name__)

_waiting: deque[Callable[[], object]] = deque()
_lock = threading.Lock()
_is_running = False


def run_callback(callback: Callable[[], object]) -> None:
    """Run `callback` soon, after earlier ones, in a daemon thread that lives while there is something to run."""
    global _is_running  # noqa: PLW0603
    with _lock:
        _waiting.append(callback)
        if _is_running:
            return
        _is_running = True
    try:
        threading.Thread(target=_run, name="kraken-engine callbacks", daemon=True).start()
    except RuntimeError:  # the system gives no thread: late for everybody is better than never for one
        _run()


def _run() -> None:
    global _is_running  # noqa: PLW0603
    while True:
        with _lock:
            if not _waiting:
                _is_running = False
                return
            callback = _waiting.popleft()
        try:
            callback()
        except BaseException:  # the host's: even a SystemExit must end nothing here
            logger.warning("A callback failed.", exc_info=True)


class CallFuture(Future[Any]):
    """A future whose callbacks run in a thread of their own, not in the thread that completes it."""

    def add_done_callback(self, fn: Callable[[Future[Any]], object]) -> None:
        if self.done():
            super().add_done_callback(fn)
        else:
            super().add_done_callback(lambda done: run_callback(partial(fn, done)))


def _forget_after_fork() -> None:
    """A forked child inherits none of the threads: its first callback starts one."""
    global _lock, _is_running  # noqa: PLW0603
    _lock = threading.Lock()
    _waiting.clear()
    _is_running = False


os.register_at_fork(after_in_child=_forget_after_fork)
