"""The states of a subscription: when it is believed, and that doubt always ends that."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.kraken.stream import Alive, ChannelAnswer, Doubt, Frame, Numbered, Pong
from engine.rules.stream import subscription as rules
from engine.rules.stream.subscription import (
    COMPLETE_WITHIN,
    SILENCE,
    TABLE,
    IllegalStreamTransition,
    Moment,
    Refusal,
    StreamEvent,
    StreamState,
    Subscription,
    is_final,
)

NOW = Moment(100.0, 1_800_000_000.0)
FIRST = (
    ChannelAnswer("balances", None), ChannelAnswer("executions", None), Numbered("balances", True, 1, []),
    Numbered("executions", True, 1, []),
)  # fmt: skip


def later(seconds: float, wall: float | None = None) -> Moment:
    return Moment(NOW.monotonic + seconds, NOW.wall + (seconds if wall is None else wall))


def live() -> Subscription:
    one = Subscription().opened(NOW)
    for each in FIRST:
        one = one.after(each, NOW)
    return one


STATES = {
    StreamState.DOWN: Subscription(), StreamState.SUBSCRIBING: Subscription().opened(NOW), StreamState.LIVE: live(),
    StreamState.ENDED: Subscription().refused(),
}  # fmt: skip


def test_the_drawing_is_the_table() -> None:
    lines = [line.split() for line in (rules.__doc__ or "").splitlines()]
    assert [event.value for event in StreamEvent] in lines
    drawn = {line[0]: line[1:] for line in lines if line and line[0] in {each.value for each in StreamState}}
    assert drawn == {
        here.value: [row[event].value if event in row else "·" for event in StreamEvent] for here, row in TABLE.items()
    }


@pytest.mark.parametrize("state", StreamState)
def test_the_transitions_are_the_table(state: StreamState) -> None:
    one, row = STATES[state], TABLE[state]
    assert one.state is state
    assert one.doubted().state is row[StreamEvent.DOUBTED]
    assert one.refused().state is row[StreamEvent.REFUSED]
    assert one.renewed().state is row[StreamEvent.RENEWED]
    if StreamEvent.OPENED in row:
        assert one.opened(NOW).state is row[StreamEvent.OPENED]
    else:
        with pytest.raises(IllegalStreamTransition):
            one.opened(NOW)


@pytest.mark.parametrize("missing", FIRST)
def test_it_is_live_only_with_both_answers_and_both_snapshots(missing: Frame) -> None:
    one = Subscription().opened(NOW)
    for each in FIRST:
        one = one if each is missing else one.after(each, NOW)
    assert one.state is StreamState.SUBSCRIBING
    assert one.is_late(later(COMPLETE_WITHIN + 0.1))
    assert one.after(missing, NOW).is_live


@pytest.mark.parametrize("sequence", [0, 1, 3, 100, -2])
def test_a_number_that_is_not_the_next_is_doubt(sequence: int) -> None:
    with pytest.raises(Doubt):
        live().after(Numbered("balances", False, sequence, []), NOW)


def test_the_channels_are_counted_each_for_itself() -> None:
    one = live().after(Numbered("balances", False, 2, []), NOW)
    one = one.after(Numbered("balances", False, 3, []), NOW).after(Numbered("executions", False, 2, []), NOW)
    assert one.is_live


def test_an_update_before_the_snapshot_is_doubt() -> None:
    with pytest.raises(Doubt):
        Subscription().opened(NOW).after(Numbered("balances", False, 1, []), NOW)


def test_pongs_are_no_sign_of_life() -> None:
    one = live()
    for tenth in range(int(SILENCE * 10)):
        one = one.after(Pong(), later(tenth / 10))
    assert one.is_silent(later(SILENCE + 0.1))
    assert not live().after(Alive(), later(1.0)).is_silent(later(SILENCE + 0.1))


@pytest.mark.parametrize(("monotonic", "wall"), [(SILENCE + 0.1, None), (0.1, 3600.0), (0.1, SILENCE + 0.1)])
def test_a_frame_after_too_long_is_doubt_by_either_clock(monotonic: float, wall: float | None) -> None:
    with pytest.raises(Doubt):
        live().after(Alive(), later(monotonic, wall))


def test_a_wall_clock_that_steps_back_is_no_doubt() -> None:
    assert live().after(Alive(), later(1.0, -3600.0)).is_live


@pytest.mark.parametrize(("error", "final"), [
    ("EGeneral:Permission denied", True), ("EGeneral: Permission denied", True), ("EAPI:Invalid token", False),
    ("ESession:Invalid session", False), ("Token is expired", False), ("Exceeded msg rate", False),
])  # fmt: skip
def test_which_refusals_are_of_the_key(error: str, final: bool) -> None:
    assert is_final(error) is final
    with pytest.raises(Refusal if final else Doubt):
        Subscription().opened(NOW).after(ChannelAnswer("balances", error), NOW)


def test_an_error_that_is_not_about_the_subscription_changes_nothing() -> None:
    assert live().after(ChannelAnswer(None, "Malformed request"), NOW).is_live


@dataclass
class Model:
    """What Kraken has sent, and whether we must believe nothing."""

    next: dict[str, int] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    broken: bool = False
    opened: float = 0.0
    heard: float = 0.0


CHANNELS = st.sampled_from(["balances", "executions"])


class SubscriptionMachine(RuleBasedStateMachine):
    """Frames in any order, lost, repeated, late: LIVE exactly when the model has seen everything in order."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.open()

    def moment(self) -> Moment:
        return Moment(self.now, self.now)

    def open(self) -> None:
        self.model = Model(opened=self.now, heard=self.now)
        self.one = Subscription().opened(self.moment())

    def send(self, frame: Frame, *, breaks: bool) -> None:
        is_late = self.now - self.model.heard > SILENCE and not isinstance(frame, Pong)
        try:
            self.one = self.one.after(frame, self.moment())
        except Doubt:
            assert breaks or is_late
            self.one = self.one.doubted()
            self.model.broken = True
            return
        assert not breaks
        assert not is_late
        if not isinstance(frame, Pong):
            self.model.heard = self.now

    @precondition(lambda self: self.model.broken)
    @rule()
    def reconnect(self) -> None:
        self.open()

    @rule(seconds=st.floats(0.0, 2 * SILENCE))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.model.broken)
    @rule(channel=CHANNELS)
    def acknowledge(self, channel: str) -> None:
        self.model.acknowledged.add(channel)
        self.send(ChannelAnswer(channel, None), breaks=False)

    @precondition(lambda self: not self.model.broken)
    @rule(frame=st.sampled_from([Alive(), Pong(), ChannelAnswer(None, "Malformed")]))
    def beat(self, frame: Frame) -> None:
        if not (isinstance(frame, ChannelAnswer) and not self.one.is_live):
            self.send(frame, breaks=False)

    @precondition(lambda self: not self.model.broken)
    @rule(channel=CHANNELS, skip=st.sampled_from([0, 0, 0, 0, -1, 1, 2]), snapshot=st.booleans())
    def number(self, channel: str, skip: int, snapshot: bool) -> None:
        known = channel in self.model.next
        sequence = self.model.next.get(channel, 1) + skip
        breaks = skip != 0 if known else not snapshot
        self.send(Numbered(channel, snapshot, sequence, []), breaks=breaks)
        if not self.model.broken:
            self.model.next[channel] = sequence + 1

    @invariant()
    def live_is_what_the_model_says(self) -> None:
        complete = len(self.model.next) == len(self.model.acknowledged) == 2
        assert self.one.is_live is (complete and not self.model.broken)


TestSubscriptionMachine = SubscriptionMachine.TestCase
