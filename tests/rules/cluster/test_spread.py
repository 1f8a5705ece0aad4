"""How lanes spread over nodes, over clusters of any shape: evenly, each to one taker, and then nothing moves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from engine.rules.cluster.spread import PRESENT_FOR, LanePlace, Member, to_claim, to_hand_over

NAMES = ["a", "b", "c", "d"]
LANES = [f"lane-{number}" for number in range(9)]

some_lanes = st.frozensets(st.sampled_from(LANES))
members = st.dictionaries(st.sampled_from(NAMES), st.tuples(some_lanes, st.booleans()), max_size=4).map(
    lambda rows: [Member(name, *row) for name, row in rows.items()]
)
lane_rows = st.lists(
    st.builds(
        LanePlace,
        st.sampled_from(LANES),
        st.sampled_from([None, *NAMES]),
        wanted=st.sampled_from([None, *NAMES, "gone"]),
    ),
    unique_by=lambda lane: lane.id,
)


def able(lane: LanePlace, nodes: Iterable[Member]) -> set[str]:
    return {each.name for each in nodes if lane.id in each.lanes and not each.draining}


def step(nodes: list[Member], lanes: list[LanePlace]) -> tuple[list[LanePlace], int]:
    """A round of all nodes, which all see the same: the lanes after it, and how many were claimed or handed over."""
    claims = {each.name: to_claim(each.name, nodes, lanes) for each in nodes}
    leaving = {lane for each in nodes for lane in to_hand_over(each.name, nodes, lanes)}
    taker = {lane: name for name, some in claims.items() for lane in some}
    assert len(taker) == sum(map(len, claims.values())), "one taker each"
    after = [replace(each, owner=taker.get(each.id, None if each.id in leaving else each.owner)) for each in lanes]
    return after, len(taker) + len(leaving)


def settled(nodes: list[Member], lanes: list[LanePlace]) -> list[LanePlace]:
    """The lanes when nothing moves any more."""
    present = {each.name for each in nodes}
    lanes = [replace(each, owner=each.owner if each.owner in present else None) for each in lanes]
    for _ in range(6 * len(LANES)):
        lanes, changes = step(nodes, lanes)
        if not changes:
            return lanes
    raise AssertionError("The lanes never stop moving.")


@given(members, lane_rows)
def test_every_lane_is_where_it_can_be_and_stays_there(nodes: list[Member], lanes: list[LanePlace]) -> None:
    by_name = {each.name: each for each in nodes}
    before = {each.id: each.owner for each in lanes}
    for lane in settled(nodes, lanes):
        takers = able(lane, nodes)
        if lane.wanted in takers:
            assert lane.owner == lane.wanted
        elif takers:
            assert lane.owner is not None
            assert lane.owner in takers or (lane.owner == before[lane.id] and not by_name[lane.owner].draining)
        else:
            assert lane.owner in (None, before[lane.id]), "a lane that nobody else can take stays"


@given(st.sets(st.sampled_from(NAMES), min_size=1), lane_rows)
def test_nodes_with_all_keys_share_the_lanes_evenly(names: set[str], lanes: list[LanePlace]) -> None:
    nodes = [Member(name, frozenset(LANES)) for name in names]
    load = Counter(each.owner for each in settled(nodes, [replace(each, wanted=None) for each in lanes]))
    counts = [load[name] for name in names]
    assert max(counts) - min(counts) <= 1


@given(st.sets(st.sampled_from(NAMES), min_size=2), st.sampled_from(NAMES))
def test_a_node_that_goes_or_comes_moves_as_little_as_possible(names: set[str], other: str) -> None:
    nodes = [Member(name, frozenset(LANES)) for name in names - {other}]
    before = settled(nodes, [LanePlace(each) for each in LANES])
    joined = settled([*nodes, Member(other, frozenset(LANES))], before)
    moved = [new for old, new in zip(before, joined, strict=True) if new.owner != old.owner]
    assert all(each.owner == other for each in moved)
    assert len(moved) == len(LANES) // (len(nodes) + 1)
    left = settled(nodes, joined)
    assert all(new == old for old, new in zip(joined, left, strict=True) if old.owner != other)


def test_a_lane_whose_taker_does_not_take_it_is_anybodys_after_a_round() -> None:
    nodes = [Member("a", frozenset({"one"})), Member("b", frozenset({"one"}))]
    assert to_claim("b", nodes, [LanePlace("one")]) == ()
    assert to_claim("b", nodes, [LanePlace("one")], {"one"}) == ("one",)
    assert to_claim("b", nodes, [LanePlace("one", wanted="a")], {"one"}) == ("one",)


def test_a_node_that_is_draining_or_unknown_takes_nothing_not_even_what_waits() -> None:
    nodes = [Member("a", frozenset({"one"}), draining=True)]
    assert to_claim("a", nodes, [LanePlace("one")], {"one"}) == ()
    assert to_claim("b", nodes, [LanePlace("one")], {"one"}) == ()


def test_one_lane_moves_at_a_time_and_none_while_one_is_free() -> None:
    nodes = [Member("a", frozenset(LANES)), Member("b", frozenset(LANES))]
    all_at_a = [LanePlace(each, "a") for each in LANES]
    assert to_hand_over("a", nodes, all_at_a) == (LANES[0],)
    assert to_hand_over("a", nodes, [replace(all_at_a[0], owner=None), *all_at_a[1:]]) == ()


def test_a_lane_that_is_wanted_where_it_is_stays_whatever_the_balance_is() -> None:
    nodes = [Member("a", frozenset(LANES)), Member("b", frozenset(LANES))]
    lanes = [LanePlace(each, "a", wanted="a") for each in LANES]
    assert to_hand_over("a", nodes, lanes) == ()
    assert to_hand_over("a", nodes, [*lanes[1:], replace(lanes[0], wanted=None)]) == (LANES[0],)


def test_a_node_that_let_a_lease_run_out_is_not_waited_for_but_may_take_lanes_itself() -> None:
    nodes = [Member("a", frozenset(LANES)), Member("b", frozenset(LANES))]
    lanes = [LanePlace("lane-0", "a", seconds_left=0.0), LanePlace("lane-1", "b"), LanePlace("lane-2")]
    assert to_claim("b", nodes, lanes) == ("lane-0", "lane-2")
    assert to_claim("a", nodes[:1], lanes[:1]) == ("lane-0",)


def test_a_lane_that_nobody_can_take_any_more_does_not_make_its_last_owner_look_dead() -> None:
    """After an outage of everything: else the first node keeps all lanes for ever."""
    shared = frozenset(LANES[1:])
    nodes = [Member("a", shared, seconds_since_seen=1.0), Member("b", shared, seconds_since_seen=1.0)]
    left_over = LanePlace(LANES[0], "b", seconds_left=0.0, seconds_over=1000.0)
    lanes = [left_over, *(LanePlace(each, "a", seconds_held=100.0) for each in LANES[1:])]
    assert to_hand_over("a", nodes, lanes) == (LANES[1],)
    free = [left_over, *map(LanePlace, LANES[1:])]
    assert not set(to_claim("a", nodes, free)) & set(to_claim("b", nodes, free)), "each free lane has one taker"
    assert to_hand_over("a", nodes, [replace(left_over, seconds_over=0.5), *lanes[1:]]) == (), "not seen since then"


@given(st.floats(0.0, 4.0), st.floats(0.0, 100.0))
def test_who_died_is_not_waited_for_from_the_end_of_its_lease(seen: float, over: float) -> None:
    """Whoever dies was seen last before its lease ran out."""
    nodes = [Member("a", frozenset(LANES), seconds_since_seen=over + seen), Member("b", frozenset(LANES))]
    lanes = [LanePlace("lane-0", "a", seconds_left=0.0, seconds_over=over), LanePlace("lane-1", "b")]
    assert to_claim("b", nodes, lanes) == ("lane-0",)


def test_a_node_that_was_not_seen_lately_is_not_waited_for() -> None:
    nodes = [Member("a", frozenset(LANES), seconds_since_seen=PRESENT_FOR), Member("b", frozenset(LANES))]
    assert to_claim("b", nodes, [LanePlace("lane-1", "b"), LanePlace("lane-2")]) == ("lane-2",)
    assert to_hand_over("b", nodes, [LanePlace(each, "b") for each in LANES]) == ()


def test_a_lane_is_not_handed_to_the_node_from_which_it_was_taken_over() -> None:
    """Until that has said that it is there again: it may look present for a while after its death.

    Nor are the lanes handed to it that were here before.
    """
    def nodes(seen: float) -> list[Member]:
        return [Member("a", frozenset(LANES)), Member("b", frozenset(LANES), seconds_since_seen=seen)]

    wanted = [LanePlace("lane-1", "a", wanted="b", seconds_held=1.0)]
    others = [LanePlace(each, "a", seconds_held=100.0) for each in LANES[1:]]
    uneven = [LanePlace(LANES[0], "a", seconds_held=1.0), *others]
    for lanes in (wanted, uneven):
        assert to_hand_over("a", nodes(1.5), lanes) == ()
        assert len(to_hand_over("a", nodes(0.5), lanes)) == 1
    draining = [Member("a", frozenset(LANES), draining=True), *nodes(1.5)[1:]]
    assert to_hand_over("a", draining, uneven) == ()
