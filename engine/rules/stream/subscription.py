"""The subscription of one account to Kraken's stream, as a table of states that changes only here.

::

                   opened       complete  doubted  refused  renewed
    down           subscribing  ·         down     ended    down
    subscribing    ·            live      down     ended    down
    live           ·            ·         down     ended    down
    ended          ·            ·         ended    ended    down

*opened*: a socket is open, and both channels are asked for. *complete*: both are acknowledged and both snapshots are
read. *doubted*: anything after which it is not known what was missed (`Doubt`), and a connection that cannot be made.
*refused*: Kraken will not have this key here. *renewed*: the account has another key, or a person says that it is
fixed. A dot is impossible: it raises.

LIVE is believed only while every sequence is unbroken and the last frame other than a pong is at most `SILENCE` old.
Anything else is DOWN, which is the engine without push. Nothing is ever concluded from what a stream does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from engine.kraken.stream import CHANNELS, ChannelAnswer, Doubt, Frame, Numbered, Pong
from engine.values.dataclass import dataclass

SILENCE = 3.0
"""Seconds. Kraken sends a heartbeat about every second in which it sends nothing else."""
COMPLETE_WITHIN = 5.0
"""Seconds from the open socket to the last snapshot: heartbeats may go on although none ever comes."""


class StreamState(Enum):
    """Where a subscription stands."""

    DOWN = "down"
    """Nothing is believed; the balance is fetched as without push."""
    SUBSCRIBING = "subscribing"
    """A socket is open; nothing is believed yet."""
    LIVE = "live"
    """Every frame since the snapshots was read."""
    ENDED = "ended"
    """Kraken refuses it for this key; nothing is tried until that changes."""


class StreamEvent(Enum):
    """What can happen to a subscription."""

    OPENED = "opened"
    COMPLETE = "complete"
    DOUBTED = "doubted"
    REFUSED = "refused"
    RENEWED = "renewed"


class IllegalStreamTransition(Exception):
    """That cannot happen to a subscription in this state: a defect of ours."""


class Refusal(Exception):
    """Kraken refuses the subscription for this key; the text is Kraken's."""


_S, _E = StreamState, StreamEvent
_ALWAYS = {_E.DOUBTED: _S.DOWN, _E.REFUSED: _S.ENDED, _E.RENEWED: _S.DOWN}
TABLE: Mapping[StreamState, Mapping[StreamEvent, StreamState]] = MappingProxyType(
    {
        _S.DOWN: {_E.OPENED: _S.SUBSCRIBING, **_ALWAYS},
        _S.SUBSCRIBING: {_E.COMPLETE: _S.LIVE, **_ALWAYS},
        _S.LIVE: _ALWAYS,
        _S.ENDED: {**_ALWAYS, _E.DOUBTED: _S.ENDED},
    }
)


class Moment(NamedTuple):
    """One instant by both clocks, in seconds. A machine that was suspended shows in one of them."""

    monotonic: float
    wall: float

    def since(self, earlier: Moment) -> float:
        """Seconds since another moment, by the clock that shows more."""
        return max(self.monotonic - earlier.monotonic, self.wall - earlier.wall)


LONG_AGO = Moment(float("-inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Subscription:
    """One account's. Immutable; each method returns what it is after something has happened."""

    state: StreamState = StreamState.DOWN
    acknowledged: frozenset[str] = frozenset()
    """The channels that Kraken has acknowledged."""
    sequences: Mapping[str, int] = field(default_factory=dict)
    """The last number of each channel whose snapshot was read."""
    opened_at: Moment = LONG_AGO
    heard_at: Moment = LONG_AGO
    """When the last frame other than a pong came."""

    def opened(self, now: Moment) -> Subscription:
        """A socket is open, and the channels are asked for."""
        return Subscription(next_state(self.state, StreamEvent.OPENED), opened_at=now, heard_at=now)

    def doubted(self) -> Subscription:
        """It is not known what was missed."""
        return Subscription(next_state(self.state, StreamEvent.DOUBTED))

    def refused(self) -> Subscription:
        """Kraken refuses it for this key."""
        return Subscription(next_state(self.state, StreamEvent.REFUSED))

    def renewed(self) -> Subscription:
        """The key is another one, or was fixed."""
        return Subscription(next_state(self.state, StreamEvent.RENEWED))

    def after(self, frame: Frame, now: Moment) -> Subscription:
        """A frame has come. Raises `Doubt`, or `Refusal` when Kraken will not have this key."""
        if isinstance(frame, Pong):
            return self
        if self.is_silent(now):  # what came late may be older than what was missed
            raise Doubt("silence")
        heard = replace(self, heard_at=now)
        if isinstance(frame, ChannelAnswer):
            heard = heard._answered(frame)
        elif isinstance(frame, Numbered):
            heard = heard._counted(frame)
        return heard._completed()

    def is_silent(self, now: Moment) -> bool:
        """Whether the last frame other than a pong is too long ago."""
        return now.since(self.heard_at) > SILENCE

    def is_late(self, now: Moment) -> bool:
        """Whether the snapshots should have come by now."""
        return self.state is StreamState.SUBSCRIBING and now.since(self.opened_at) > COMPLETE_WITHIN

    @property
    def is_live(self) -> bool:
        """Whether it is believed, unless it is silent."""
        return self.state is StreamState.LIVE

    def _answered(self, answer: ChannelAnswer) -> Subscription:
        channel = answer.channel
        if answer.error is not None and (channel is not None or not self.is_live):
            if is_final(answer.error):
                raise Refusal(answer.error)
            raise Doubt(f"Kraken refused the subscription: {answer.error[:80]}")
        return self if channel is None else replace(self, acknowledged=self.acknowledged | {channel})

    def _counted(self, frame: Numbered) -> Subscription:
        last = self.sequences.get(frame.channel)
        if last is None and not frame.is_snapshot:
            raise Doubt(f"a frame of {frame.channel} before its snapshot")
        if last is not None and frame.sequence != last + 1:
            raise Doubt(f"{frame.channel} goes on with {frame.sequence} after {last}")
        return replace(self, sequences={**self.sequences, frame.channel: frame.sequence})

    def _completed(self) -> Subscription:
        is_complete = self.acknowledged.issuperset(CHANNELS) and len(self.sequences) == len(CHANNELS)
        if self.state is not StreamState.SUBSCRIBING or not is_complete:
            return self
        return replace(self, state=next_state(self.state, StreamEvent.COMPLETE))


def is_final(error: str) -> bool:
    """Whether an error of Kraken's is about what the key may do, so that trying again is of no use."""
    return error.replace(" ", "").startswith("EGeneral:Permissiondenied")


def next_state(state: StreamState, event: StreamEvent) -> StreamState:
    """The state after an event. Raises `IllegalStreamTransition`."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise IllegalStreamTransition(f"A subscription that is {state.value} cannot be {event.value}.") from None
