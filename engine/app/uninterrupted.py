"""Work that a signal handler's exception, such as Ctrl-C, cannot break off in the middle."""

from __future__ import annotations

import _thread
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue

SLICE = 0.05  # seconds


def _nothing() -> None:
    pass


def uninterrupted(work: Callable[[], None], undo: Callable[[], None] = _nothing) -> None:
    """Do some work, as a whole or not at all; raises what it raises.

    Python runs signal handlers in the main thread, between any two of its steps. In that thread the work is therefore
    done by another one, and waited for: what a handler raises then ends only the waiting. It is raised when the work
    has ended and was undone; an `undo` that raises is passed over. Where the system gives no thread for it, as at the
    end of the process, it is done by the one that asks.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return
    task = _Task(work, undo)
    try:
        try:
            _begin(task)
            error = task.told.get()
            if isinstance(error, _NoThread):
                work()
            elif error is not None:
                raise error
            task.is_kept.put(True)
        finally:
            task.is_kept.put(False)  # the first word counts
    except BaseException:
        task.is_kept.put(False)  # again: the handler of another signal may have broken that off
        task.end()
        raise


def _begin(task: _Task) -> None:
    try:
        _thread.start_new_thread(task.begin, ())
    except RuntimeError:
        task.give_up(_NoThread())


class _NoThread(Exception):
    """The system gives no thread."""


class _Task:
    """Work in a thread of its own, which ends when it is told whether to keep what it has done.

    The waiting thread uses nothing but what is one step for Python: a lock that an exception leaves locked, as it can
    in an Event, would hold up both.
    """

    def __init__(self, work: Callable[[], None], undo: Callable[[], None]) -> None:
        self._work, self._undo = work, undo
        self._token = threading.Lock()  # taken once, either to begin or to give it up
        self.told: SimpleQueue[BaseException | None] = SimpleQueue()
        self.is_kept: SimpleQueue[bool] = SimpleQueue()
        self._is_over = False

    def begin(self) -> None:
        """Start the thread, from a bare one: an exception in the middle of `Thread.start` would leave half a thread."""
        if not self._token.acquire(blocking=False):
            return
        try:
            threading.Thread(target=self._run, name="kraken-engine start", daemon=True).start()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            self.give_up(_NoThread() if isinstance(error, RuntimeError) else error)

    def give_up(self, error: BaseException) -> None:
        """There is no thread, and nothing was done."""
        self._is_over = True
        self.told.put(error)

    def end(self) -> None:
        """Return when nothing is done any more, whatever is raised meanwhile."""
        is_given_up = self._token.acquire(blocking=False)  # then it has not begun, and will not
        never: SimpleQueue[None] = SimpleQueue()
        while not (is_given_up or self._is_over):
            with contextlib.suppress(BaseException):
                never.get(timeout=SLICE)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - it is raised where it is waited for
            error = failure
        self.told.put(error)
        if not self.is_kept.get() and error is None:
            with contextlib.suppress(Exception):
                self._undo()
        self._is_over = True
