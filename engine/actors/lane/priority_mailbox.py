"""The mailbox of the private lane: which call is next, which are refused, and when a hung call is cut."""

from __future__ import annotations

import contextlib
import heapq
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from pykka.messages import ProxyCall

from engine.actors.lane.messages import PrivateCall
from engine.actors.lane.queued_call import QueuedCall, answer_failure
from engine.actors.runtime.mailbox import EnvelopeReply, Mailbox
from engine.errors import CallError, CallNotSent, DeadlinePassed, EngineStopped, MailboxFull
from engine.kraken.endpoints import CallClass
from engine.rules.lane.cut_history import CutHistory, Kind
from engine.rules.lane.order_queue import OrderQueue, QueuedPlacement
from engine.values import Settings

READS_AT_MOST = 100_000
ORDERS_AT_MOST = 200_000
BOUNDS = {CallClass.READ: READS_AT_MOST, CallClass.ORDER: ORDERS_AT_MOST}
_CLASSES = tuple(CallClass)
SWEEP_EVERY = 0.1  # seconds between looks for calls that expired in the queue
SWEPT_AT_ONCE = 1000  # calls, since the lane waits for the lock meanwhile
LOOKED_FOR_AT_MOST = 20  # looking for withdrawn calls takes a twentieth of the time at most: the lane waits meanwhile
GRACE = 0.5  # the part of a stop's timeout that a call under way gets to end by itself before it is cut
COVERED = "A cancel that covers this placement came before its turn; it was not sent."
_NOBODY = EnvelopeReply()  # a queued call answers by itself
LOOK_AGAIN = 0.02  # seconds until the next try to cut a call that was between two exchanges


class PriorityMailbox(Mailbox):
    """The inbox of the `KrakenPrivateActor` (promise G4).

    - Cancel, order, settle, read; by arrival inside a class.
    - A cancel ends every queued placement of its account that it covers: *not sent*.
    - Reads are refused when it is full, orders beyond a larger bound, cancels and settles never.
    - A call whose deadline passes while it waits is answered `DeadlinePassed` within about a tenth of a second.
    - A call under way that delays a more urgent one for too long is cut.
    """

    classes = len(CallClass)

    def __init__(self) -> None:
        super().__init__()
        self._orders: OrderQueue[Any] = OrderQueue(_placement)
        before, after = self._queues[: CallClass.ORDER + 1], self._queues[CallClass.ORDER + 2 :]
        self._queues = (*before, self._orders, *after)
        self._deadlines: list[tuple[float, int, QueuedCall]] = []
        self._count = 0
        self._sweeping = False
        self._drop_after = float("-inf")
        self._under_way: tuple[QueuedCall, float] | None = None
        self._history = CutHistory()
        self._at_once: QueuedCall | None = None

    def bind(
        self,
        *,
        settings: Settings,
        monotonic: Callable[[], float],
        after: Callable[[float, Callable[[], None]], None],
        cut: Callable[[QueuedCall], bool],
    ) -> None:
        """Set where settings, time, timers and the cutting of a call come from; called once, before any message."""
        self._settings = settings
        self._monotonic = monotonic
        self._after = after
        self._cut = cut

    def put(self, envelope: Any) -> None:
        """Take in a message; never blocks. A private call, however it was sent, becomes a `QueuedCall`."""
        message = envelope.message
        call = message if isinstance(message, PrivateCall) else _proxied(message)
        if call is None:
            with self._lock:
                self._watch_first()  # it now waits for this message
                super().put(envelope)
            return
        timeout = self._settings.call_timeout if call.timeout is None else call.timeout
        try:
            queued_call = QueuedCall(call, envelope.reply_to, self._monotonic(), timeout)
        except CallError as error:
            answer_failure(call, envelope.reply_to, error)
            return
        envelope.message, envelope.reply_to = queued_call, _NOBODY
        self._admit(queued_call, envelope)

    @property
    def cuts(self) -> int:
        """How often a hung call was cut since the start."""
        return self._history.total

    @property
    def under_way(self) -> QueuedCall | None:
        """The call that the actor is making now."""
        current = self._under_way
        return None if current is None else current[0]

    def times(self) -> tuple[float, float] | None:
        """Seconds that the call under way has taken, and those until its deadline (negative: past it)."""
        current = self._under_way
        if current is None:
            return None
        now = self._monotonic()
        return now - current[1], current[0].deadline - now

    def begin(self, queued_call: QueuedCall) -> None:
        """The actor starts to make this call. Run by the actor's thread."""
        with self._lock:
            self._at_once = None
            self._under_way = (queued_call, self._monotonic())
            holds_up = self._most_urgent(queued_call.call_class) is not None
        if holds_up:
            self._look_for_cut()

    def finish(self, queued_call: QueuedCall) -> None:
        """The call is over. Run by the actor's thread."""
        with self._lock:
            self._under_way = None
            if self._history.by_kind and not queued_call.was_cut:
                self._history = self._history.after_end(_kind(queued_call))

    def cut_under_way(self) -> None:
        """Cut the call under way, whatever it is: the engine stops."""
        queued_call = self.under_way
        if queued_call is not None:
            queued_call.cut()
            self._cut(queued_call)

    def end_calls(self, deadline: float, *, reads_end: bool = False) -> None:
        """Answer the calls that wait, cut the one under way, and wait until the lane is idle, all by `deadline`
        (`time.monotonic()`). A write is cut after a part of the time; with `reads_end` a read is as well, else at once.
        """
        self.close()
        grace = time.monotonic() + (deadline - time.monotonic()) * GRACE
        while not self.is_idle and time.monotonic() < deadline:
            queued_call = self.under_way
            if queued_call is not None:
                is_at_once = queued_call.call_class is CallClass.READ and not reads_end
                if is_at_once or time.monotonic() >= grace:
                    self.cut_under_way()  # again and again: it may have been between two exchanges
            time.sleep(LOOK_AGAIN)
        self.cut_under_way()

    def waiting(self) -> dict[CallClass, int]:
        """How many calls wait, by class."""
        return {each: len(self._queues[each + 1]) for each in CallClass}

    def delays_others(self, account: str) -> bool:
        """Whether a call of another account waits."""
        with self._lock:
            waiting = [each.message for queue in self._queues for each in queue if _is_queued_call(each)]
        return any(each.call.account != account for each in waiting)

    def _admit(self, queued_call: QueuedCall, envelope: Any) -> None:
        queue = self._queues[queued_call.call_class + 1]
        bound = BOUNDS.get(queued_call.call_class)
        call, covered = queued_call.call, []
        with self._lock:
            if bound is not None and len(queue) >= bound:
                self._drop_unwanted(queue)
            closed, full = not self.state.takes_messages, bound is not None and len(queue) >= bound
            if not closed and not full:
                if queued_call.call_class is CallClass.CANCEL:
                    covered = self._orders.take_covered(call.account, call.endpoint, call.params)
                queue.append(envelope)
                self._watch_deadline(queued_call)
                self._wake()
        if closed:
            self._refuse(envelope)
        elif full:
            queued_call.refuse(MailboxFull(f"{bound} calls of this class wait already; this one was not sent."))
        for each in covered:
            each.message.refuse(CallNotSent(COVERED).in_krakens_words("EOrder:Order cancelled"))
        current = self._under_way
        if current is not None and queued_call.call_class < current[0].call_class:
            self._look_for_cut()

    def _drop_unwanted(self, queue: Any) -> None:
        """Make room: drop calls that were answered or withdrawn while they waited. Holds the lock."""
        now = self._monotonic()
        if now >= self._drop_after:
            wanted = [each for each in queue if not _is_queued_call(each) or each.message.is_wanted]
            queue.clear()
            queue.extend(wanted)
            took = self._monotonic() - now
            self._drop_after = now + took + max(SWEEP_EVERY, LOOKED_FOR_AT_MOST * took)

    # Deadlines

    def _watch_deadline(self, queued_call: QueuedCall) -> None:
        """Watch the deadline of a call that has to wait; the first one for an idle lane does not. Holds the lock."""
        if self._is_waiting:
            self._at_once = queued_call
        else:
            self._watch_first()
            self._push_deadline(queued_call)

    def _watch_first(self) -> None:
        """The call that an idle lane was about to take may be overtaken now, or wait. Holds the lock."""
        first, self._at_once = self._at_once, None
        if first is not None and not first.has_left:
            self._push_deadline(first)

    def _push_deadline(self, queued_call: QueuedCall) -> None:
        """Holds the lock."""
        self._count += 1
        heapq.heappush(self._deadlines, (queued_call.deadline, self._count, queued_call))
        if not self._sweeping:
            self._sweeping = True
            self._after(SWEEP_EVERY, self.sweep)

    def sweep(self) -> None:
        """Answer the calls whose deadline has passed while they waited. Run by the scheduler's thread."""
        now, swept = self._monotonic(), 0
        expired: list[QueuedCall] = []
        with self._lock:
            while self._deadlines and swept < SWEPT_AT_ONCE:
                deadline, _, queued_call = self._deadlines[0]
                if not queued_call.has_left:
                    if deadline > now:
                        break
                    expired.append(queued_call)
                heapq.heappop(self._deadlines)
                swept += 1
            self._sweeping = bool(self._deadlines) and self.state.takes_messages
            if self._sweeping:
                self._after(SWEEP_EVERY if swept < SWEPT_AT_ONCE else 0.0, self.sweep)
        for queued_call in expired:
            queued_call.refuse(DeadlinePassed("The call's time was over before its turn came; it was not sent."))

    # Cuts

    def _look_for_cut(self) -> None:
        """Cut the call under way if it has delayed a more urgent one for long enough, or look again when it will have.

        Run by the thread that sends a message, and by the scheduler's.
        """
        with self._lock:
            due = self._cut_due()
            if due is None:
                return
            queued_call, wait = due
            if wait <= 0:
                queued_call.cut()
                self._history = self._history.after_cut(_kind(queued_call), self._monotonic())
        if wait > 0:
            self._after(wait, self._look_for_cut)
        else:
            self._cut_now(queued_call)

    def _cut_now(self, queued_call: QueuedCall) -> None:
        """Cut, and again while the call is between two exchanges: it checks `was_cut` before the next one."""
        if self.under_way is queued_call and not self._cut(queued_call):
            self._after(LOOK_AGAIN, partial(self._cut_now, queued_call))

    def _cut_due(self) -> tuple[QueuedCall, float] | None:
        """The call under way and the seconds until it is cut, or `None`. Holds the lock."""
        if self._under_way is None or self._under_way[0].was_cut:
            return None
        queued_call, began = self._under_way
        now, waiting = self._monotonic(), self._most_urgent(queued_call.call_class)
        allowed = self._history.patience(
            queued_call.call_class, waiting, _kind(queued_call), now,
            read=self._settings.cut_read_after, write=self._settings.cut_write_after,
        )  # fmt: skip
        return None if allowed is None else (queued_call, began + allowed - now)

    def _most_urgent(self, under_way: CallClass) -> CallClass | None:
        """The most urgent class that waits for a less urgent one under way. Holds the lock."""
        if not any(self._queues[1 : under_way + 1]):
            return None
        for each in _CLASSES[:under_way]:
            queue = self._queues[each + 1]
            if not queue:
                continue
            while queue and _is_queued_call(first := next(iter(queue))) and not first.message.is_wanted:
                queue.popleft()  # answered or withdrawn while it waited
            if any(waiting.message.is_wanted for waiting in queue if _is_queued_call(waiting)):
                return each
        return None

    def _refuse(self, envelope: Any) -> None:
        if _is_queued_call(envelope):
            with contextlib.suppress(Exception):
                envelope.message.refuse(EngineStopped("The engine stopped before the call's turn came."))
        else:
            super()._refuse(envelope)


def _proxied(message: Any) -> PrivateCall | None:
    """The private call that a message of the actor's proxy asks for."""
    if isinstance(message, ProxyCall) and tuple(message.attr_path) == ("call",):
        with contextlib.suppress(TypeError):  # the actor's own `call` says what is wrong with the arguments
            return PrivateCall(*message.args, **message.kwargs)
    return None


def _placement(envelope: Any) -> QueuedPlacement | None:
    """What a cancel may cover of an envelope in the queue of orders."""
    message = envelope.message
    is_placement = isinstance(message, QueuedCall) and message.endpoint.places
    return QueuedPlacement(message.call.account, message.call.params) if is_placement else None


def _is_queued_call(envelope: Any) -> bool:
    return isinstance(envelope.message, QueuedCall)


def _kind(queued_call: QueuedCall) -> Kind:
    """What counts as the same read when its caller repeats it."""
    return (queued_call.call.account, queued_call.call.endpoint)
