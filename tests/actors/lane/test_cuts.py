"""How often a hung read is cut: twice for orders, then for cancels alone, and not too often a minute (promise G4)."""

from __future__ import annotations

from typing import Any

import pytest
from pykka._envelope import Envelope

from engine import PrivateCall, Settings
from engine.actors.lane.priority_mailbox import PriorityMailbox
from engine.actors.lane.queued_call import FutureReply, QueuedCall
from engine.rules.lane.priority import CUTS_A_MINUTE, CUTS_OF_ONE_READ
from tests.actors.lane.test_priority_mailbox import Timers

AFTER = 0.5
SETTINGS = Settings(call_timeout=1000, cut_read_after=AFTER, cut_write_after=3)


class Lane:
    """Serves the mailbox one call at a time, as the actor does."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.mailbox = PriorityMailbox()
        self.tries = 0
        self.between = 0
        """So many tries find the call between two exchanges."""
        self.mailbox.bind(
            settings=SETTINGS, monotonic=self.timers.monotonic, after=self.timers.after, cut=self._cut
        )

    def _cut(self, queued_call: QueuedCall) -> bool:
        self.tries += 1
        return self.tries > self.between

    def put(self, endpoint: str, account: str = "A") -> None:
        self.mailbox.put(Envelope(PrivateCall(account, endpoint, reply_to=FutureReply())))

    def begin(self) -> QueuedCall:
        queued_call: Any = self.mailbox.get().message
        assert queued_call.take()
        self.mailbox.begin(queued_call)
        return queued_call  # type: ignore[no-any-return]

    def hold_up(self, read: str, urgent: str, account: str = "A") -> bool:
        """A read hangs while something urgent waits: whether it is cut. Both are over afterwards."""
        self.put(read, account)
        hung = self.begin()
        self.put(urgent)
        self.timers.turn(AFTER + 0.1)
        self.mailbox.finish(hung)
        self.mailbox.finish(self.begin())
        return hung.was_cut


@pytest.fixture
def lane() -> Lane:
    return Lane()


def test_a_read_that_was_cut_twice_gives_way_to_cancels_alone(lane: Lane) -> None:
    cut = [lane.hold_up("Balance", "AddOrder") for _ in range(CUTS_OF_ONE_READ + 1)]
    assert cut == [True] * CUTS_OF_ONE_READ + [False]
    assert lane.mailbox.cuts == CUTS_OF_ONE_READ


def test_a_cancel_cuts_a_read_that_was_cut_twice_for_orders(lane: Lane) -> None:
    assert all(lane.hold_up("Balance", "AddOrder") for _ in range(CUTS_OF_ONE_READ))
    assert lane.hold_up("Balance", "CancelAll")


def test_the_cuts_of_each_read_are_counted_apart(lane: Lane) -> None:
    assert all(lane.hold_up("Balance", "AddOrder") for _ in range(CUTS_OF_ONE_READ))
    assert lane.hold_up("Ledgers", "AddOrder")
    assert lane.hold_up("Balance", "AddOrder", account="B")


def test_a_read_that_was_let_through_is_counted_anew(lane: Lane) -> None:
    assert all(lane.hold_up("Balance", "AddOrder") for _ in range(CUTS_OF_ONE_READ))
    assert not lane.hold_up("Balance", "AddOrder")
    assert lane.hold_up("Balance", "AddOrder")


@pytest.mark.parametrize(("urgent", "at_most"), [("AddOrder", CUTS_A_MINUTE), ("CancelAll", 2 * CUTS_A_MINUTE)])
def test_there_are_so_many_cuts_a_minute_and_no_more(lane: Lane, urgent: str, at_most: int) -> None:
    """For cancels twice as many, since late reads add up to a lockout at Kraken."""
    began = lane.timers.now
    cut = [lane.hold_up("Balance", urgent, account=f"A{number}") for number in range(at_most + 1)]
    assert cut == [True] * at_most + [False]
    lane.timers.turn(began + AFTER + 60.0 - lane.timers.now)  # exactly a minute after the first: it still counts
    assert lane.timers.now - (began + AFTER) <= 60.0
    lane.timers.turn(0.05)
    assert lane.hold_up("Balance", urgent, account="late")


@pytest.mark.parametrize("urgent", ["AddOrder", "CancelAll"])
def test_a_read_is_cut_at_its_time_and_not_earlier(lane: Lane, urgent: str) -> None:
    lane.put("Balance")
    hung = lane.begin()
    lane.timers.turn(0.3)
    lane.put(urgent)
    lane.timers.turn(0.19)
    assert not hung.was_cut
    lane.timers.turn(0.02)
    assert hung.was_cut


@pytest.mark.parametrize("between", [0, 1, 5])
def test_a_call_between_two_exchanges_is_cut_in_the_next_one(lane: Lane, between: int) -> None:
    lane.between = between
    lane.put("Balance")
    hung = lane.begin()
    lane.put("CancelAll")
    lane.timers.turn(AFTER + 1.0)
    assert hung.was_cut
    assert lane.tries == between + 1, "and no more when it is"
    assert lane.mailbox.cuts == 1


def test_a_call_that_ended_between_two_tries_is_not_cut_any_more(lane: Lane) -> None:
    lane.between = 1000
    lane.put("Balance")
    hung = lane.begin()
    lane.put("CancelAll")
    lane.timers.turn(AFTER + 0.05)
    lane.mailbox.finish(hung)
    tries = lane.tries
    assert tries > 1
    lane.timers.turn(10.0)
    assert lane.tries == tries
