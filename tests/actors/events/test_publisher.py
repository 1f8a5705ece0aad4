"""Events in order, and one balance for each account when a subscriber is slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pykka
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import AvailabilityChanged, BalanceChanged, BalanceSnapshot
from engine.actors.events.publisher import COALESCED_FROM, Publisher, Subscribe
from engine.actors.runtime.actor import stop_actor, wait_finished

PATIENCE = 20.0


class Slow:
    """A subscriber that waits at its first event until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.seen: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.begun.set()
        self.go.wait(PATIENCE)
        self.seen.append(event)


@pytest.fixture
def publisher() -> Iterator[pykka.ActorRef[Publisher]]:
    ref = Publisher.start()
    yield ref
    stop_actor(ref)
    assert wait_finished(ref, PATIENCE)


def changed(account: str, cash: int, change: int, asset: str = "USD") -> BalanceChanged:
    snapshot = BalanceSnapshot(account, cash=Decimal(cash))
    return BalanceChanged(account, snapshot, MappingProxyType({asset: Decimal(change)}))


def run(publisher: pykka.ActorRef[Publisher], events: list[Any]) -> list[Any]:
    """What a slow subscriber sees of `events`, which all came while it was busy with another."""
    slow = Slow()
    publisher.tell(Subscribe(slow))
    publisher.tell("first")
    assert slow.begun.wait(PATIENCE)
    for event in events:
        publisher.tell(event)
    slow.go.set()
    publisher.ask("last", timeout=PATIENCE)
    return slow.seen[1:-1]


def test_a_quick_subscriber_sees_every_event_in_order(publisher: pykka.ActorRef[Publisher]) -> None:
    events = [changed("MASTER", cash, 1) for cash in range(COALESCED_FROM - 2)]
    assert run(publisher, list(events)) == events


def test_a_slow_one_sees_the_newest_balance_of_each_account_and_the_sum_of_its_changes(
    publisher: pykka.ActorRef[Publisher],
) -> None:
    events: list[Any] = []
    for cash in range(1, 1001):
        events += [changed("MASTER", cash, 1), changed("ALICE", -cash, -1, asset="XBT")]
    seen = run(publisher, events)
    assert len(seen) < COALESCED_FROM * 2
    for account, asset, total in (("MASTER", "USD", 1000), ("ALICE", "XBT", -1000)):
        mine = [event for event in seen if event.account == account]
        assert mine[-1].snapshot.cash == total
        assert sum(event.changes[asset] for event in mine) == total
        assert [event.snapshot.cash for event in mine] == sorted(
            (event.snapshot.cash for event in mine), key=abs
        ), "never out of order"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(-5, 5), st.booleans()), max_size=400))
def test_nothing_is_lost_or_reordered(steps: list[tuple[str, int, bool]]) -> None:
    """Whatever comes: the balances add up, and what is not a balance stays, in order."""
    publisher = Publisher.start()
    try:
        events: list[Any] = []
        totals = dict.fromkeys("ABC", 0)
        for account, change, flips in steps:
            totals[account] += change
            events.append(changed(account, totals[account], change))
            if flips:
                events.append(AvailabilityChanged(account, bool(len(events) % 2), None))
        seen = run(publisher, events)
        assert [e for e in seen if isinstance(e, AvailabilityChanged)] == [
            e for e in events if isinstance(e, AvailabilityChanged)
        ]
        for account, total in totals.items():
            mine = [e for e in seen if isinstance(e, BalanceChanged) and e.account == account]
            assert sum(e.changes.get("USD", 0) for e in mine) == total
            assert not mine or mine[-1].snapshot.cash == total
    finally:
        stop_actor(publisher)
        assert wait_finished(publisher, PATIENCE)
