"""What PostgreSQL said last about lanes and nodes, as a node decides by it and shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.cluster.leases import LaneRow, NodeRow
from engine.rules.cluster.spread import PRESENT_FOR, LanePlace, Member


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The rows of one round. `at` is when they were asked for, in seconds of this machine's monotonic clock."""

    lanes: Mapping[str, LaneRow] = field(default_factory=dict)
    nodes: Mapping[str, NodeRow] = field(default_factory=dict)
    at: float | None = None

    @classmethod
    def of(cls, lanes: Sequence[LaneRow], nodes: Sequence[NodeRow], at: float) -> ClusterView:
        """The view of these rows."""
        return cls({each.id: each for each in lanes}, {each.name: each for each in nodes}, at)

    def members(self) -> list[Member]:
        """The nodes, as lanes spread over them."""
        return [
            Member(each.name, frozenset(each.lanes), each.draining, each.seconds_since_seen)
            for each in self.nodes.values()
        ]

    def to_spread(self) -> list[LanePlace]:
        """Every lane that some node has the keys for, also one that nobody has had yet."""
        known = self.lanes.keys() | {lane for each in self.nodes.values() for lane in each.lanes}
        return [self._lane(each) for each in sorted(known)]

    def free(self) -> frozenset[str]:
        """The lanes that nobody has a lease of."""
        return frozenset(each.id for each in self.to_spread() if each.is_free)

    def seconds_left(self, lane: str, now: float) -> float:
        """How long the lease of a lane lasts, unless it is renewed."""
        row = self.lanes.get(lane)
        return 0.0 if row is None or self.at is None else max(0.0, row.seconds_left - (now - self.at))

    def next_end(self) -> float:
        """In how many seconds after `at` the first lease ends, unless it is renewed."""
        left = [each.seconds_left for each in self.lanes.values() if each.seconds_left > 0]
        return min(left, default=float("inf"))

    def present(self) -> dict[str, float]:
        """The nodes that were seen lately, and how long ago."""
        seen = {each.name: each.seconds_since_seen for each in self.nodes.values()}
        return {name: seconds for name, seconds in seen.items() if seconds < PRESENT_FOR}

    def lane_of(self, account: str) -> str | None:
        """The lane of an account, also of one that this node has no key for."""
        return next((each.id for each in self.lanes.values() if account in each.accounts), None)

    def _lane(self, lane: str) -> LanePlace:
        row = self.lanes.get(lane)
        if row is None:
            return LanePlace(lane)
        return LanePlace(lane, row.owner, row.seconds_left, row.wanted, row.seconds_held, row.seconds_over)
