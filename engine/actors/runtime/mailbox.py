"""Mailboxes: they hold messages from when they are sent until the actor handles them.

With pykka's own inbox an exception in the handler of a told message kills the actor, and an ask that arrives while the
actor stops may never be answered.
"""

from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections import deque
from concurrent.futures import Future
from typing import Any, ClassVar

import pykka
from pykka.messages import _ActorStop

from engine.actors.runtime.flag import Flag
from engine.actors.runtime.mailbox_state import TABLE, MailboxEvent, MailboxState

logger = logging.getLogger(__name__)

_ends = itertools.count(1)


class EnvelopeReply:
    """Takes the place of an envelope's future, so that a handler's exception always has somewhere to go.

    A handler that returns a `concurrent.futures.Future` answers its asker when that future is done.
    """

    __slots__ = ("_future",)

    def __init__(self, future: Any = None) -> None:
        self._future = future

    @property
    def is_asked(self) -> bool:
        """Whether the sender waits for an answer."""
        return self._future is not None

    def set(self, value: Any = None) -> None:
        """Answer with a handler's result."""
        if isinstance(value, Future):
            value.add_done_callback(self._settle)
        elif self._future is not None:
            self._future.set(value)

    def set_exception(self, exc_info: Any = None) -> None:
        """Answer with an exception; of a told message it is logged, and the actor lives on."""
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


class Few(list[Any]):
    """A queue that is nearly always empty: an empty deque takes 700 bytes."""

    __slots__ = ()

    def popleft(self) -> Any:
        """Take the first one out."""
        return self.pop(0)


class Mailbox:
    """An actor's inbox: a stop goes first, then messages in order of arrival.

    What it takes in follows from its `state`; an ask that it refuses is answered with `pykka.ActorDeadError` at once.
    """

    classes = 1
    queue: type[Any] = deque
    """What holds the messages of a class."""
    stop_queue = 0
    """Where a stop waits: ahead of everything."""
    last_end: ClassVar = 0
    """Another number after each end of an actor in this process."""

    __slots__ = ("_bell", "_handled", "_is_waiting", "_lock", "_queues", "finished", "reader", "state")

    def __init__(self) -> None:
        self._queues: tuple[Any, ...] = (Few(), *(self.queue() for _ in range(self.classes)))
        self._lock = threading.RLock()  # held for moments; a signal handler of the host may interrupt
        self._is_waiting = False
        self._handled: Any = None
        self.state = MailboxState.OPEN
        self.finished = Flag()
        """Set by the actor when it has closed what it holds."""
        self.reader: int | None = None
        """The ident of the actor's thread, once it has looked for a message."""
        self._make_bell()

    def _make_bell(self) -> None:
        self._bell = threading.Lock()  # a Condition would make a lock for each message
        self._bell.acquire()

    def put(self, envelope: Any) -> None:
        """Take in a message; never blocks and never raises."""
        if isinstance(envelope.message, _ActorStop):
            self._put_stop(envelope)
            return
        envelope.reply_to = EnvelopeReply(envelope.reply_to)
        self._push(1, envelope)

    def get(self) -> Any:
        """The next message; waits for one."""
        self.reader = threading.get_ident()
        if self._handled is not None:
            self._handled.message = None  # pykka's loop keeps the envelope until the next one comes
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
        """Whether the actor waits for a message, with none left, or has ended."""
        return self._is_waiting or self.state is MailboxState.ENDED

    @property
    def is_stopping(self) -> bool:
        """Whether the actor has stopped, or is about to."""
        return self.state.is_stopping

    def backlog(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._queues))

    def empty(self) -> bool:
        """Whether nothing waits."""
        return not any(self._queues)

    def close(self) -> None:
        """Take in only a stop from now on, and answer all waiting asks."""
        with self._lock:
            self._change(MailboxEvent.CLOSE)
            left = [envelope for queue in self._queues[1:] for envelope in queue]
            for queue in self._queues[1:]:
                queue.clear()
        for envelope in left:
            self._refuse(envelope)

    def end(self) -> None:
        """Take in nothing at all: the actor handles no more messages."""
        Mailbox.last_end = next(_ends)
        with self._lock:
            self._change(MailboxEvent.END)
            stops = list(self._queues[0])
            self._queues[0].clear()
        self.close()
        for envelope in stops:
            _confirm_stop(envelope)

    def _change(self, event: MailboxEvent) -> None:
        """Holds the lock."""
        self.state = TABLE[self.state][event]

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
            self._change(MailboxEvent.STOP_TOLD)
            if self.state.takes_stops:
                self._queues[self.stop_queue].append(envelope)
                self._wake()
                return
        _confirm_stop(envelope)

    def _push(self, index: int, envelope: Any) -> None:
        with self._lock:
            if self.state.takes_messages:
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


class QuietMailbox(Mailbox):
    """The inbox of an actor that has few messages, for what thousands of actors have each."""

    queue = Few

    __slots__ = ()


class PatientMailbox(Mailbox):
    """An inbox whose actor handles every earlier message before it stops."""

    stop_queue = 1


def _confirm_stop(envelope: Any) -> None:
    if envelope.reply_to is not None:
        envelope.reply_to.set(None)
