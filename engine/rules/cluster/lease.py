"""The life of a lane at one node of a cluster, as a table of states that changes only here.

::

                 claimed   accepted   hand over   lost   ended
    elsewhere    fencing   ·          ·           ·      ·
    fencing      ·         serving    draining    lost   elsewhere
    serving      ·         serving    draining    lost   elsewhere
    draining     ·         draining   draining    lost   elsewhere
    lost         ·         lost       lost        lost   elsewhere

A dot is impossible: it raises, and nothing changes.

*claimed*: the database gave the lease, under an epoch that is higher than every earlier one. *accepted*: Kraken has
accepted a read with a key of the lane. From then on Kraken refuses whatever an earlier owner still has under way with
that key, since its nonces are lower. *hand over*: an orderly stop, after which the lease is given back. *lost*: the
database says that the lane has another epoch, or the lease may be over by this node's own clock. *ended*: the engine
of the lane has stopped.

Time is an argument: seconds of the node's monotonic clock, which no other node sees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

TTL = 2.0
"""Seconds for which a lease is given, from each renewal."""


class LaneState(Enum):
    """Where a lane stands at one node."""

    ELSEWHERE = "elsewhere"
    """It is another node's, or nobody's."""
    FENCING = "fencing"
    """It is this node's, and no key of it was accepted yet: it only reads."""
    SERVING = "serving"
    """It is this node's; each key that was accepted serves, the others only read."""
    DRAINING = "draining"
    """Its engine stops in order; the lease is given back then."""
    LOST = "lost"
    """It may be another node's: nothing is sent, and its engine stops."""

    @property
    def is_held(self) -> bool:
        """Whether this node has the lease."""
        return self not in (LaneState.ELSEWHERE, LaneState.LOST)


class LaneEvent(Enum):
    """What can happen to a lane at a node."""

    CLAIMED = "claimed"
    ACCEPTED = "accepted"
    HAND_OVER = "hand over"
    LOST = "lost"
    ENDED = "ended"


class IllegalStep(Exception):
    """That cannot happen to a lane in this state: a defect of ours, never of the database's."""


_S, _N = LaneState, LaneEvent
_HELD = {_N.HAND_OVER: _S.DRAINING, _N.LOST: _S.LOST, _N.ENDED: _S.ELSEWHERE}

TABLE: Mapping[LaneState, Mapping[LaneEvent, LaneState]] = MappingProxyType(
    {
        _S.ELSEWHERE: {_N.CLAIMED: _S.FENCING},
        _S.FENCING: {_N.ACCEPTED: _S.SERVING, **_HELD},
        _S.SERVING: {_N.ACCEPTED: _S.SERVING, **_HELD},
        _S.DRAINING: {_N.ACCEPTED: _S.DRAINING, **_HELD},
        _S.LOST: {_N.ACCEPTED: _S.LOST, _N.HAND_OVER: _S.LOST, _N.LOST: _S.LOST, _N.ENDED: _S.ELSEWHERE},
    }
)


def after(state: LaneState, event: LaneEvent) -> LaneState:
    """The state after some event. Raises `IllegalStep`."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalStep(f"A lane that is {state.value} here cannot become anything by {event.value!r}.") from None


@dataclass(frozen=True, slots=True)
class HeldLane:
    """A lane as one node holds it, under one epoch.

    sure_until: no other node can have claimed the lane before this moment. It counts from when a renewal was asked
    for, and the database counts from when it did it, which is later.
    accepted: the names of the keys that Kraken has accepted under this epoch.
    """

    lane: str
    epoch: int = 0
    sure_until: float = 0.0
    state: LaneState = LaneState.ELSEWHERE
    accepted: frozenset[str] = frozenset()

    def claimed(self, epoch: int, asked: float, ttl: float = TTL) -> HeldLane:
        """The database gave the lease to this node, which had asked for it at the moment `asked`."""
        state = after(self.state, LaneEvent.CLAIMED)
        return replace(self, epoch=epoch, sure_until=asked + ttl, state=state, accepted=frozenset())

    def renewed(self, asked: float, ttl: float = TTL) -> HeldLane:
        """The database renewed the lease, which this node had asked for at the moment `asked`."""
        return replace(self, sure_until=max(self.sure_until, asked + ttl))

    def on(self, event: LaneEvent) -> HeldLane:
        """The lane after some event. Raises `IllegalStep`."""
        return replace(self, state=after(self.state, event))

    def at(self, now: float) -> HeldLane:
        """The lane now: lost when the lease may be over."""
        return self.on(LaneEvent.LOST) if self.state.is_held and now >= self.sure_until else self

    def accept(self, key: str) -> HeldLane:
        """Kraken has accepted a read with a key of the lane that was asked for under this epoch."""
        return replace(self, state=after(self.state, LaneEvent.ACCEPTED), accepted=self.accepted | {key})

    def reads(self, now: float) -> bool:
        """Whether a read may be sent now, with any key of the lane."""
        return self.state.is_held and now < self.sure_until

    def writes(self, key: str, now: float) -> bool:
        """Whether a write, or a look for what became of one, may be sent now with a key."""
        return self.reads(now) and key in self.accepted

    def serves(self, key: str) -> bool:
        """Whether callers find the account of a key here."""
        return self.state is LaneState.SERVING and key in self.accepted
