"""The life of a lane at one node, over every sequence of what can happen to it and any delay of the database."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.cluster import lease
from engine.rules.cluster.lease import TABLE, TTL, HeldLane, IllegalStep, LaneEvent, LaneState


def test_the_drawing_is_the_table() -> None:
    """What a person reads at the top of the file is what the program does."""
    events = [event.value for event in LaneEvent]
    rows = {}
    for line in (lease.__doc__ or "").splitlines():
        words = line.replace("hand over", "hand-over").split()
        if words and words[0] in {state.value for state in LaneState}:
            rows[words[0]] = words[1:]
        elif words[:1] == ["claimed"]:
            assert [word.replace("-", " ") for word in words] == events
    assert rows.keys() == {state.value for state in LaneState}
    for state in LaneState:
        drawn = [None if word == "·" else word for word in rows[state.value]]
        used = [TABLE[state].get(event) for event in LaneEvent]
        assert drawn == [None if each is None else each.value for each in used]


@pytest.mark.parametrize("length", range(6))
def test_every_sequence_serves_only_between_an_accepted_read_and_the_end(length: int) -> None:
    for events in product(LaneEvent, repeat=length):
        lane, happened = HeldLane("one"), []
        for event in events:
            try:
                lane = lane.on(event)
                happened.append(event)
            except IllegalStep:
                assert event is LaneEvent.CLAIMED or lane.state is LaneState.ELSEWHERE
        since = happened[len(happened) - 1 - happened[::-1].index(LaneEvent.CLAIMED) :] if happened else []
        leaving = {LaneEvent.HAND_OVER, LaneEvent.LOST, LaneEvent.ENDED}
        serving = LaneEvent.ACCEPTED in since and not leaving & set(since)
        assert (lane.state is LaneState.SERVING) == serving
        assert lane.state.is_held == bool(since and not {LaneEvent.LOST, LaneEvent.ENDED} & set(since))


def test_a_key_is_served_from_its_own_accepted_read_on() -> None:
    lane = HeldLane("one").claimed(3, asked=10.0)
    assert lane.reads(10.0)
    assert not lane.writes("a", 10.0)
    lane = lane.accept("a")
    assert lane.writes("a", 10.0)
    assert lane.serves("a")
    assert not lane.writes("b", 10.0)
    assert not lane.serves("b")


def test_what_was_accepted_counts_for_one_epoch_only() -> None:
    lane = HeldLane("one").claimed(3, 0.0).accept("a").on(LaneEvent.ENDED).claimed(4, 9.0)
    assert not lane.writes("a", 9.0)
    assert lane.epoch == 4


def test_a_lane_that_is_lost_comes_back_only_by_a_new_claim() -> None:
    lane = HeldLane("one").claimed(1, 0.0).accept("a").at(TTL)
    assert lane.state is LaneState.LOST
    assert lane.renewed(TTL).at(TTL).state is LaneState.LOST
    assert not lane.renewed(TTL).writes("a", TTL)
    with pytest.raises(IllegalStep):
        lane.on(LaneEvent.CLAIMED)


delays = st.floats(0, 5)
asks = st.lists(st.tuples(st.sampled_from([0, 1]), st.floats(0, 3), delays, delays), max_size=30)


@given(asks, st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_two_nodes_never_hold_a_lane_at_once(
    steps: list[tuple[int, float, float, float]], one: float, two: float
) -> None:
    """However long a statement takes on its way there and back, and whatever their clocks show.

    A step is a statement of a node: the pause before it, and how long it takes there and back. A node waits for its
    answer, so that what it believes is always older than what the database did.
    """
    origin = (one, two)
    nodes = [HeldLane("one"), HeldLane("one")]
    epoch, until, owner, now = 0, -1.0, None, 0.0
    for who, pause, there, back in steps:
        now += pause
        asked, done = now, now + there
        here = nodes[who].at(asked + origin[who])
        now = done + back
        if here.state.is_held and epoch == here.epoch and owner == who:
            until = max(until, done + TTL)
            nodes[who] = here.renewed(asked + origin[who])
        elif until < done:
            epoch, until, owner = epoch + 1, done + TTL, who
            fresh = here.on(LaneEvent.ENDED) if here.state is not LaneState.ELSEWHERE else here
            nodes[who] = fresh.claimed(epoch, asked + origin[who])
        for moment in (done, now):
            held = [each.reads(moment + start) for each, start in zip(nodes, origin, strict=True)]
            assert sum(held) <= 1
            assert not any(held) or held[owner or 0], "only the owner that the database knows"
