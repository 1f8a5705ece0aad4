"""Mailboxes: what lies between sending a message and handling it.

pykka's own inbox lets an exception in a told message kill the actor, and never answers an ask that races a stop.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any

import pykka
from pykka.messages import _ActorStop

logger = logging.getLogger(__name__)


class Reply:
    """Stands in for the future of an envelope, so that a handler's exception always has somewhere to go.

    A handler that returns a `concurrent.futures.Future` answers its asker when that future does.
    """

    __slots__ = ("_future",)

    def __init__(self, future: Any = None) -> None:
        self._future = future

    @property
    def is_asked(self) -> bool:
        """Whether somebody waits for the answer."""
        return self._future is not None

    def set(self, value: Any = None) -> None:
        """Answer with a handler's result."""
        if isinstance(value, Future):
            value.add_done_callback(self._settle)
        elif self._future is not None:
            self._future.set(value)

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an exception; where nobody asked, it is logged and the actor lives on."""
        exc_info = exc_info or sys.exc_info()
        if self._future is not None:
            self._future.set_exception(exc_info)
        else:
            logger.warning("A told message failed.", exc_info=exc_info)

    def _settle(self, done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            self.set(done.result())
        else:
            self.set_exception((type(error), error, error.__traceback__))


class _Few(list[Any]):
    """A queue that is nearly always empty, as that of the stops: a deque takes 700 bytes then."""

    def popleft(self) -> Any:
        """Take the first one out."""
        return self.pop(0)


class Mailbox:
    """An actor's inbox: a stop goes first, then messages in order of arrival.

    After `close()` only a stop is taken in, after `end()` nothing: asks are answered with `pykka.ActorDeadError` at
    once.
    """

    classes = 1
    stop_queue = 0
    """Where a stop waits: ahead of everything."""

    def __init__(self) -> None:
        self._queues: tuple[Any, ...] = (_Few(), *(deque() for _ in range(self.classes)))
        self._lock = threading.RLock()  # held for moments; a signal handler of the host may come in between
        self._bell = threading.Lock()  # a Condition would make a lock for each message
        self._bell.acquire()
        self._is_waiting = False
        self._handled: Any = None
        self._closed = False
        self._ended = False
        self.is_stopping = False
        """Whether the actor has stopped, or is told to or about to be."""
        self._finished: threading.Event | None = None
        self.reader: int | None = None
        """The ident of the actor's thread, once it has looked for a message."""

    @property
    def finished(self) -> threading.Event:
        """Set by the actor when it has closed what it holds. Made when it is asked for: an event takes a KiB."""
        with self._lock:
            if self._finished is None:
                self._finished = threading.Event()
            return self._finished

    def put(self, envelope: Any) -> None:
        """Take in a message; never blocks and never raises."""
        if isinstance(envelope.message, _ActorStop):
            self._put_stop(envelope)
            return
        envelope.reply_to = Reply(envelope.reply_to)
        self._push(1, envelope)

    def get(self) -> Any:
        """The next message; waits for one."""
        self.reader = threading.get_ident()
        if self._handled is not None:
            self._handled.message = None  # pykka's loop holds the envelope until the next one comes
        while True:
            with self._lock:
                envelope = self._take()
                if envelope is not None:
                    self._handled = envelope
                    return envelope
                self._is_waiting = True
            self._bell.acquire()

    @property
    def is_idle(self) -> bool:
        """Whether the actor has handled everything and waits for a message, or has ended."""
        return self._is_waiting or self._ended

    def backlog(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._queues))

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not any(self._queues)

    def close(self) -> None:
        """Take in nothing more but a stop, and answer everybody who waits."""
        with self._lock:
            self._closed = self.is_stopping = True
            left = [envelope for queue in self._queues[1:] for envelope in queue]
            for queue in self._queues[1:]:
                queue.clear()
        for envelope in left:
            self._refuse(envelope)

    def end(self) -> None:
        """Take in nothing at all: the actor handles no more messages."""
        with self._lock:
            self._ended = True
            stops = list(self._queues[0])
            self._queues[0].clear()
        self.close()
        for envelope in stops:
            _confirm_stop(envelope)

    def _take(self) -> Any:
        """The next message, or `None`. Holds the lock."""
        for queue in self._queues:
            if queue:
                return queue.popleft()
        return None

    def _wake(self) -> None:
        """There is a message for the actor. Holds the lock."""
        if self._is_waiting:
            self._is_waiting = False
            self._bell.release()

    def _put_stop(self, envelope: Any) -> None:
        with self._lock:
            self.is_stopping = True
            if not self._ended:
                self._queues[self.stop_queue].append(envelope)
                self._wake()
                return
        _confirm_stop(envelope)

    def _push(self, index: int, envelope: Any) -> None:
        with self._lock:
            if not self._closed:
                self._queues[index].append(envelope)
                self._wake()
                return
        self._refuse(envelope)

    def _refuse(self, envelope: Any) -> None:
        if isinstance(envelope.message, _ActorStop):
            _confirm_stop(envelope)
        elif envelope.reply_to.is_asked:
            dead = pykka.ActorDeadError("The actor stopped before it handled the message.")
            envelope.reply_to.set_exception((pykka.ActorDeadError, dead, None))


class PatientMailbox(Mailbox):
    """An inbox whose actor handles everything it was told before it stops."""

    stop_queue = 1


def _confirm_stop(envelope: Any) -> None:
    if envelope.reply_to is not None:
        envelope.reply_to.set(None)
