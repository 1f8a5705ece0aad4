"""How the lanes of a cluster spread over its nodes: which free lanes a node takes, and which it hands over.

Every node decides for itself, from what the database says. Nodes that see the same decide the same, so that each free
lane has one taker; where they do not, the database gives the lease to one of them, and nothing else is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

PRESENT_FOR = 5.0
"""Seconds after which a node that has not said that it is there is taken to be gone."""

WORTH_A_MOVE = 2
"""A lane moves for balance only from a node with so many more lanes: else it would only change places."""


@dataclass(frozen=True, slots=True)
class Member:
    """A node. `lanes` are those for which it has the keys; one that is draining takes none."""

    name: str
    lanes: frozenset[str]
    draining: bool = False
    seconds_since_seen: float = 0.0


@dataclass(frozen=True, slots=True)
class LanePlace:
    """A lane. `owner` has the lease for `seconds_left`; a lane that was given back has none.

    `wanted` is the node where somebody wants it. `seconds_held` is how long ago the owner claimed it, `seconds_over`
    how long ago its lease ran out.
    """

    id: str
    owner: str | None = None
    seconds_left: float = 1.0
    wanted: str | None = None
    seconds_held: float = float("inf")
    seconds_over: float = 0.0

    @property
    def is_free(self) -> bool:
        """Whether nobody has a lease of it."""
        return self.owner is None or self.seconds_left <= 0


def to_claim(
    me: str, members: Iterable[Member], lanes: Sequence[LanePlace], waiting: Set[str] = frozenset()
) -> tuple[str, ...]:
    """The free lanes that a node should claim now.

    `waiting` are the lanes that were free a round ago: anybody who has the keys takes them, since the node that should
    have done so does not.
    """
    present = _present(me, members, lanes)
    mine = present.get(me)
    if mine is None or mine.draining:
        return ()
    allotted = _allotted(present, lanes)
    return tuple(each for each in allotted if each in mine.lanes and (allotted[each] == me or each in waiting))


def to_hand_over(me: str, members: Iterable[Member], lanes: Sequence[LanePlace]) -> tuple[str, ...]:
    """The lanes of a node that it should hand over now.

    That is what is wanted elsewhere, all lanes of a node that is draining, and at most one lane in the whole cluster
    to even them out, while no lane is free. A lane that nobody else can take stays; who takes it has said that it is
    there since the last lane changed hands, as the node from which that was taken over has not.
    """
    unchanged = min((each.seconds_held for each in lanes if not each.is_free), default=PRESENT_FOR)
    seen = [each for each in members if each.name == me or each.seconds_since_seen < unchanged]
    present = _present(me, seen, lanes)
    others = {name: each for name, each in present.items() if name != me}
    leaving = present[me].draining if me in present else False
    mine = [each for each in lanes if each.owner == me and not each.is_free]
    due = [each.id for each in mine if _takers(each, others) and (leaving or _is_wanted_elsewhere(each, me, others))]
    moved = None if due else _evening_out(present, lanes)
    return (moved.id,) if moved is not None and moved.owner == me else tuple(due)


def _present(me: str, members: Iterable[Member], lanes: Iterable[LanePlace]) -> Mapping[str, Member]:
    """The nodes that are there: seen lately, and since the last lease that they let run out.

    A lane that nobody has the keys of any more stays as it was: its last owner is there all the same.
    """
    over: dict[str | None, float] = {}
    for lane in lanes:
        if lane.is_free:
            over[lane.owner] = min(lane.seconds_over, over.get(lane.owner, PRESENT_FOR))
    return {
        each.name: each
        for each in members
        if each.name == me or each.seconds_since_seen < min(over.get(each.name, PRESENT_FOR), PRESENT_FOR)
    }


def _allotted(members: Mapping[str, Member], lanes: Sequence[LanePlace]) -> dict[str, str]:
    """Who should take each free lane: those with the fewest takers first, each to the taker with the fewest lanes."""
    load = Counter(each.owner for each in lanes if not each.is_free)
    takers = {each.id: _takers(each, members) for each in lanes if each.is_free}
    allotted: dict[str, str] = {}
    for lane in sorted(takers, key=lambda lane: (len(takers[lane]), lane)):
        if takers[lane]:
            allotted[lane] = min(takers[lane], key=lambda name: (load[name], name))
            load[allotted[lane]] += 1
    return allotted


def _takers(lane: LanePlace, members: Mapping[str, Member]) -> list[str]:
    """The nodes that may take a lane: the one where it is wanted, else all that can."""
    able = [name for name, each in members.items() if lane.id in each.lanes and not each.draining]
    return [lane.wanted] if lane.wanted is not None and lane.wanted in able else able


def _is_wanted_elsewhere(lane: LanePlace, me: str, others: Mapping[str, Member]) -> bool:
    return lane.wanted not in (None, me) and _takers(lane, others) == [lane.wanted]


def _evening_out(members: Mapping[str, Member], lanes: Sequence[LanePlace]) -> LanePlace | None:
    """The lane whose move evens out the most; `None` while none is worth it, or a lane is free and can be taken."""
    if _allotted(members, lanes):
        return None
    load = Counter(each.owner for each in lanes if not each.is_free)
    best, chosen = WORTH_A_MOVE - 1, None
    for lane in sorted(lanes, key=lambda each: each.id):
        if not lane.is_free and lane.wanted != lane.owner:
            least = min((load[name] for name in _takers(lane, members)), default=load[lane.owner])
            if load[lane.owner] - least > best:
                best, chosen = load[lane.owner] - least, lane
    return chosen
