"""G4: the order of service, held by a machine that drives the mailbox against a model, and by real sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from pykka import ThreadingFuture
from pykka._envelope import Envelope

from engine import Engine, PrivateCall, Settings
from engine.actors.lane.priority_mailbox import BOUNDS, PriorityMailbox
from engine.actors.lane.queued_call import CallAnswer, FutureReply, QueuedCall
from engine.errors import CallCut, CallNotSent, DeadlinePassed, EngineStopped, MailboxFull
from engine.kraken.endpoints import CallClass
from engine.rules.lane.priority import CUTS_A_MINUTE, CUTS_OF_ONE_READ, patience
from engine.simulator import Fault, Simulator
from tests.conftest import QUICK
from tests.served import until
from tests.stopwatch import LONG, PATIENCE, Stopwatch

CLASSES = {"CancelOrder": 0, "CancelAll": 0, "AddOrder": 1, "QueryOrders": 2, "Balance": 3}
SETTINGS = Settings(call_timeout=10, cut_read_after=0.5, cut_write_after=3)


class Timers:
    """Time that the test turns, with the timers that then fall due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._due.append((self.now + seconds, action))

    def turn(self, seconds: float) -> None:
        until = self.now + seconds
        while ready := sorted((each for each in self._due if each[0] <= until), key=lambda each: each[0]):
            self._due.remove(ready[0])
            self.now = max(self.now, ready[0][0])
            ready[0][1]()
        self.now = until


class Entry:
    """One call as the model knows it."""

    def __init__(self, number: int, account: str, endpoint: str, order: str, deadline: float) -> None:
        self.number, self.account, self.endpoint, self.order = number, account, endpoint, order
        self.deadline = deadline
        self.reply = FutureReply()
        self.cancelled = False

    def covered_by(self, cancel: Entry) -> bool:
        return (
            self.endpoint == "AddOrder"
            and self.account == cancel.account
            and (cancel.endpoint == "CancelAll" or (cancel.endpoint == "CancelOrder" and cancel.order == self.order))
        )


class MailboxMachine(RuleBasedStateMachine):
    """Put, cancel, serve, let time pass, cut, close."""

    def __init__(self) -> None:
        super().__init__()
        self.timers = Timers()
        self.cuts: list[QueuedCall] = []
        self.mailbox = PriorityMailbox()
        self.mailbox.bind(settings=SETTINGS, monotonic=self.timers.monotonic, after=self.timers.after, cut=self._cut)
        self.queued: list[Entry] = []
        self.serving: Entry | None = None
        self.queued_call: QueuedCall | None = None
        self.began = 0.0
        self.count = 0
        self.closed = False

    def _cut(self, queued_call: QueuedCall) -> bool:
        self.cuts.append(queued_call)
        return True

    @rule(
        account=st.sampled_from(("A", "B")),
        endpoint=st.sampled_from(sorted(CLASSES)),
        order=st.sampled_from(("x", "y")),
        timeout=st.sampled_from((1.0, 5.0, None)),
    )
    def put(self, account: str, endpoint: str, order: str, timeout: float | None) -> None:
        self.count += 1
        deadline = self.timers.now + (10 if timeout is None else timeout)
        entry = Entry(self.count, account, endpoint, order, deadline)
        params = {"cl_ord_id": order}
        call = PrivateCall(account, endpoint, params, timeout, reply_to=entry.reply, tag=self.count)
        self.mailbox.put(Envelope(call))
        if self.closed:
            assert isinstance(entry.reply.future.exception(0), EngineStopped)
            return
        for each in [each for each in self.queued if each.covered_by(entry)]:
            self.queued.remove(each)
            if not each.cancelled:
                assert type(each.reply.future.exception(0)) is CallNotSent
        self.queued.append(entry)

    @precondition(lambda self: self.queued)
    @rule(pick=st.randoms(use_true_random=False))
    def give_up(self, pick: Any) -> None:
        """The caller cancels its future while the call is queued."""
        entry = pick.choice(self.queued)
        assert entry.cancelled or entry.reply.future.cancel()
        entry.cancelled = True

    @precondition(lambda self: self.queued and self.serving is None and not self.closed)
    @rule()
    def serve(self) -> None:
        """The actor takes the next message: the most urgent class, the earliest arrival."""
        self.queued.sort(key=lambda each: (CLASSES[each.endpoint], each.number))
        if self.mailbox.empty():
            self.drop(len(self.queued))
            return
        queued_call = self.mailbox.get().message
        numbers = [each.number for each in self.queued]
        self.drop(numbers.index(queued_call.call.tag))
        expected = self.queued.pop(0)
        claimed = queued_call.take()
        assert claimed is not expected.cancelled
        if claimed:
            self.serving, self.queued_call, self.began = expected, queued_call, self.timers.now
            self.mailbox.begin(queued_call)

    def drop(self, count: int) -> None:
        """The mailbox need not keep what was answered or withdrawn while it waited; all else is served in its turn."""
        assert all(each.cancelled for each in self.queued[:count])
        del self.queued[:count]

    @precondition(lambda self: self.serving is not None)
    @rule()
    def finish(self) -> None:
        assert self.serving is not None
        assert self.queued_call is not None
        self.mailbox.finish(self.queued_call)
        self.queued_call.done({}, (), "")
        assert self.serving.reply.future.result(0) == {}
        self.serving = self.queued_call = None

    @rule(seconds=st.sampled_from((0.05, 0.4, 0.6, 2.0, 4.0)))
    def wait(self, seconds: float) -> None:
        self.timers.turn(seconds)
        for entry in [each for each in self.queued if each.deadline <= self.timers.now - 0.2]:
            if not entry.cancelled:
                assert isinstance(entry.reply.future.exception(0), DeadlinePassed)
        # an answered call stays in its queue until its turn, and is then passed over
        for entry in self.queued:
            entry.cancelled = entry.cancelled or entry.reply.future.done()

    @precondition(lambda self: not self.closed and self.serving is None)
    @rule()
    def close(self) -> None:
        self.mailbox.close()
        self.closed = True
        for entry in self.queued:
            assert entry.cancelled or isinstance(entry.reply.future.exception(0), EngineStopped)
        self.queued.clear()

    @invariant()
    def who_hangs_before_something_more_urgent_is_cut(self) -> None:
        if self.serving is None or self.queued_call is None:
            return
        mine = CLASSES[self.serving.endpoint]
        waiting = [CLASSES[each.endpoint] for each in self.queued if not each.reply.future.done()]
        if not waiting or min(waiting) >= mine:
            return
        if mine == 0 or (mine == 1 and min(waiting) > 0):
            assert not self.queued_call.was_cut
        elif min(waiting) == 0 and len(self.cuts) < CUTS_A_MINUTE:
            limit = 0.5 if mine >= 2 else 3.0
            assert self.queued_call.was_cut or self.timers.now < self.began + limit + 0.1

    @invariant()
    def no_answered_call_is_served(self) -> None:
        if self.queued_call is not None:
            assert self.queued_call.has_left


TestMailboxMachine = MailboxMachine.TestCase
TestMailboxMachine.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_a_read_is_cut_twice_then_only_for_cancels_and_cuts_are_bounded() -> None:
    assert patience(3, 1, CUTS_OF_ONE_READ - 1, 0, 0.5, 3.0) == 0.5
    assert patience(3, 1, CUTS_OF_ONE_READ, 0, 0.5, 3.0) is None
    assert patience(3, 0, CUTS_OF_ONE_READ, 0, 0.5, 3.0) == 0.5
    assert patience(3, 1, 0, CUTS_A_MINUTE, 0.5, 3.0) is None
    assert patience(3, 0, 0, CUTS_A_MINUTE, 0.5, 3.0) == 0.5
    assert patience(3, 0, 0, 2 * CUTS_A_MINUTE, 0.5, 3.0) is None
    assert patience(1, 0, 0, 0, 0.5, 3.0) == 3.0
    assert patience(1, 2, 0, 0, 0.5, 3.0) is None
    assert patience(1, 0, 0, 100 * CUTS_A_MINUTE, 0.5, 3.0) == 3.0, "a hung write always gives way to a cancel"
    assert patience(0, 0, 0, 0, 0.5, 3.0) is None


@pytest.mark.parametrize("second", [PrivateCall("A", "CancelAll"), "another message"])
def test_a_call_that_an_idle_lane_did_not_take_at_once_still_ends_in_time(second: Any) -> None:
    """G5: an idle lane takes the first call at once, unless something comes in between."""
    mailbox, timers, first = PriorityMailbox(), Timers(), FutureReply()
    mailbox.bind(settings=SETTINGS, monotonic=timers.monotonic, after=timers.after, cut=lambda queued_call: False)
    taken: list[Any] = []
    lane = threading.Thread(target=lambda: taken.append(mailbox.get()))
    lane.start()
    until(lambda: mailbox.is_idle)
    with mailbox._lock:  # the lane has woken up, and cannot take the call yet
        mailbox.put(Envelope(PrivateCall("A", "Balance", timeout=1.0, reply_to=first)))
        assert not timers._due, "nothing to watch"
        mailbox.put(Envelope(second))
        timers.turn(2.0)
        assert isinstance(first.future.exception(0), DeadlinePassed)
    lane.join(10)
    assert len(taken) == 1


def test_ask_that_races_a_stop_is_answered() -> None:
    """P4 of the traps, for every kind of message."""
    mailbox = PriorityMailbox()
    timers = Timers()
    mailbox.bind(settings=SETTINGS, monotonic=timers.monotonic, after=timers.after, cut=lambda queued_call: False)
    mailbox.end()
    for message in (PrivateCall("A", "Balance"), "anything"):
        future: ThreadingFuture[Any] = ThreadingFuture()
        mailbox.put(Envelope(message, future))
        with pytest.raises(Exception, match="stopped"):
            future.get(timeout=0)
        mailbox.put(Envelope(message))


class Slowly(CallAnswer):
    """The answer to a read at which a look takes a millisecond."""

    looks = 0
    timers: Timers

    @property
    def is_withdrawn(self) -> bool:
        type(self).looks += 1
        self.timers.now += 0.001
        return False

    @is_withdrawn.setter
    def is_withdrawn(self, value: bool) -> None:
        pass


def test_a_full_mailbox_refuses_quickly_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """G4: reads are refused when it is full, and the lane is not held up by the looking for room."""
    room = 500
    monkeypatch.setitem(BOUNDS, CallClass.READ, room)
    mailbox = PriorityMailbox()
    timers = Slowly.timers = Timers()
    mailbox.bind(settings=SETTINGS, monotonic=timers.monotonic, after=timers.after, cut=lambda queued_call: False)
    for _ in range(room):
        mailbox.put(Envelope(PrivateCall("A", "Balance", reply_to=Slowly())))
    Slowly.looks = 0
    for number in range(200):
        timers.now = number * 0.05
        refused = FutureReply()
        mailbox.put(Envelope(PrivateCall("A", "Balance", reply_to=refused)))
        assert isinstance(refused.future.exception(0), MailboxFull)
    assert 0 < Slowly.looks <= 2 * room


def test_a_hundred_thousand_calls_are_taken_and_answered_in_order() -> None:
    """G4, G13: memory and time stay bounded by the size of the mailbox."""
    mailbox = PriorityMailbox()
    timers = Timers()
    mailbox.bind(settings=SETTINGS, monotonic=timers.monotonic, after=timers.after, cut=lambda queued_call: False)
    for number in range(100_001):
        mailbox.put(Envelope(PrivateCall("A", "Balance", tag=number)))
    last = FutureReply()
    mailbox.put(Envelope(PrivateCall("A", "Balance", reply_to=last)))
    assert "wait already" in str(last.future.exception(0))
    mailbox.put(Envelope(PrivateCall("A", "CancelAll", tag="cancel")))
    assert mailbox.get().message.call.tag == "cancel"
    assert [mailbox.get().message.call.tag for _ in range(100_000)] == list(range(100_000))


def test_cancel_behind_a_hung_read_completes_within_a_second(sim: Simulator, engine: Engine) -> None:
    """Measured from being asked, with the read hung for 100 s."""
    engine.balance("ALICE", max_age=60)
    sim.add_open_order("ALICE", "OAAAAA-AAAAA-AAAAAA")
    sim.fault(Fault.hang(endpoint="Ledgers"))
    hung = engine.submit("MASTER", "Ledgers", timeout=LONG)
    sim.wait_for_calls(1, endpoint="Ledgers", ended=False)
    with Stopwatch() as watch:
        assert engine.call("ALICE", "CancelOrder", {"txid": "OAAAAA-AAAAA-AAAAAA"}) == {"count": 1}
    assert watch.seconds < 1.0
    assert isinstance(hung.exception(PATIENCE), CallCut)
    assert sim.refused_nonces == 0
    assert engine.error_count("MASTER") == 0


def test_cancel_behind_a_hung_order_waits_for_cut_write_after(sim: Simulator, tmp_path: Path) -> None:
    quick = Settings(cut_write_after=0.3, refresh_every=60, local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=quick, live=True) as engine:
        sim.fault(Fault.hang(endpoint="AddOrder"))
        order = engine.submit("MASTER", "AddOrder", {"pair": "XBTUSD"}, timeout=LONG)
        sim.wait_for_calls(1, endpoint="AddOrder", ended=False)
        read = engine.submit("MASTER", "Balance", timeout=PATIENCE)
        assert engine.call("MASTER", "CancelAll") == {"count": 0}
        assert isinstance(order.exception(PATIENCE), CallCut)
        assert read.result(PATIENCE)


def test_placement_covered_by_a_cancel_ends_as_not_sent(sim: Simulator, tmp_path: Path) -> None:
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK, live=True) as engine:
        hang = sim.fault(Fault.hang(endpoint="CancelAllOrdersAfter"))
        first = engine.submit("MASTER", "CancelAllOrdersAfter", {"timeout": 0})
        sim.wait_for_calls(1, endpoint="CancelAllOrdersAfter", ended=False)
        mine = engine.submit("MASTER", "AddOrder", {"pair": "XBTUSD"})
        other = engine.submit("ALICE", "AddOrder", {"pair": "XBTUSD"})
        cancel = engine.submit("MASTER", "CancelAll")
        assert type(mine.exception(PATIENCE)) is CallNotSent
        hang.remove()
        assert cancel.result(PATIENCE) == {"count": 0}
        first.exception(PATIENCE)
        assert not isinstance(other.exception(PATIENCE), CallNotSent)
        assert [call.account for call in sim.calls if call.endpoint == "AddOrder"] == ["ALICE"]
