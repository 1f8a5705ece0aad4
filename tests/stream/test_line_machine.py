"""An account's line between an exchange and a balance: never FRESH in doubt, and never FRESH with what it knows is old.

No socket and no thread: frames are handed over by the test, in order, late, lost, twice or exchanged.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.kraken.assets import AssetTable
from engine.kraken.balances import read_rows
from engine.kraken.stream import Alive, ChannelAnswer, Doubt, Frame, Numbered, Pong
from engine.rules.balance.pushed import LAG
from engine.rules.balance.snapshot import BalanceSnapshot, BalanceState
from engine.rules.stream.subscription import SILENCE, Refusal
from engine.stream.ears import Ears
from engine.stream.line import Line
from engine.stream.pulse import Pulse
from tests.manual_clock import ManualClock

MAX_AGE = 15.0
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LineMachine(RuleBasedStateMachine):
    """`amount` is the exchange's, `snapshot` what REST has told last, as a `BalanceActor` keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(epoch=EPOCH.timestamp())
        self.pulse = Pulse("MASTER", self.clock)
        self.invalidated_at = float("-inf")
        nothing: Any = None
        ears = Ears(
            nothing, lambda account: self.invalidate(), lambda account: self.compare(),
            lambda account, rows, is_snapshot: None, nothing, nothing, lambda field, what: None,
        )  # fmt: skip
        self.line = Line("MASTER", self.pulse, ears, nothing, nothing, nothing, 1.0)
        self.amount = 10
        self.sequence = {"balances": 0, "executions": 0}
        self.wire: list[Frame] = []
        self.is_open = False
        self.snapshot = BalanceSnapshot(
            "MASTER", max_age=MAX_AGE, _clock=self.clock, _invalidated_at=lambda: self.invalidated_at,
            _confirmed=self.pulse.confirmed,
        )  # fmt: skip
        self.read(lags=False)

    # What the engine does around the line

    def invalidate(self) -> None:
        self.invalidated_at = self.clock.now

    def compare(self) -> None:
        if self.pulse.is_ahead_of(self.snapshot.assets):
            self.invalidate()

    def read_at(self, amount: int) -> None:
        rows = {"ZUSD": {"balance": f"{amount}.0000", "hold_trade": "0.0000"}}
        assets = read_rows("BalanceEx", rows, AssetTable.shipped())
        self.clock.now += 0.001  # what was told before the request does not count against its answer
        self.snapshot = replace(
            self.snapshot, assets=assets, cash=Decimal(amount), as_of=EPOCH + timedelta(seconds=self.clock.now),
            _as_of_monotonic=self.clock.now,
        )  # fmt: skip
        self.clock.now += 0.001
        self.compare()

    @property
    def shown(self) -> int:
        assert self.snapshot.cash is not None
        return int(self.snapshot.cash)

    # What happens

    @precondition(lambda self: not self.is_open)
    @rule()
    def connect(self) -> None:
        """A new socket: answers and snapshots are on the wire."""
        self.line._take_over(self.line._subscription.opened(self.pulse.now()))
        self.sequence = {"balances": 1, "executions": 1}
        self.wire = [
            ChannelAnswer("balances", None), ChannelAnswer("executions", None),
            self.frame("balances", is_snapshot=True), Numbered("executions", True, 1, []),
        ]  # fmt: skip
        self.is_open = True

    def frame(self, channel: str, *, is_snapshot: bool = False) -> Numbered:
        rows = [{"asset": "USD", "balance": Decimal(self.amount)}]
        return Numbered(channel, is_snapshot, self.sequence[channel], rows if channel == "balances" else [])

    @rule(amount=st.integers(1, 50), channel=st.sampled_from(["balances", "executions"]))
    def change(self, amount: int, channel: str) -> None:
        """The balance changes, or only an order."""
        if channel == "balances":
            self.amount = amount
        if self.is_open:
            self.sequence[channel] += 1
            self.wire.append(self.frame(channel))

    @precondition(lambda self: self.is_open)
    @rule(frame=st.sampled_from([Alive(), Pong()]))
    def beat(self, frame: Frame) -> None:
        self.wire.append(frame)

    @precondition(lambda self: self.wire)
    @rule(fate=st.sampled_from(["good", "good", "good", "lost", "twice", "exchanged"]))
    def deliver(self, fate: str) -> None:
        frame = self.wire.pop(0)
        if fate == "exchanged" and self.wire:
            self.wire.insert(1, frame)
            frame = self.wire.pop(0)
        if fate != "lost":
            self.hand_over(frame)
        if fate == "twice":
            self.hand_over(frame)

    @precondition(lambda self: self.wire)
    @rule()
    def deliver_all(self) -> None:
        while self.wire:
            self.hand_over(self.wire.pop(0))

    def hand_over(self, frame: Frame) -> None:
        if not self.is_open:
            return
        was_live = self.pulse.is_live
        try:
            self.line._take(frame, self.pulse.now())
        except (Doubt, Refusal) as doubt:
            self.break_off(str(doubt), was_live=was_live)

    def break_off(self, reason: str, *, was_live: bool) -> None:
        self.line._down(reason)
        self.is_open, self.wire = False, []
        assert not self.pulse.is_live
        if was_live:
            assert self.snapshot.state is not BalanceState.FRESH, "FRESH although something was missed"

    @rule(seconds=st.sampled_from([0.1, 0.9, 2.0, 4.0, 20.0, 200.0]), suspended=st.booleans())
    def time_passes(self, seconds: float, suspended: bool) -> None:
        was_live = self.pulse.is_live
        self.clock.now += seconds
        if self.is_open and self.line._subscription.is_silent(self.pulse.now()):
            assert not self.pulse.is_live, "silence is seen without the line"
            if not suspended:
                self.break_off("silence", was_live=was_live)

    @rule(lags=st.booleans(), behind=st.integers(1, 50))
    def read(self, lags: bool, behind: int = 1) -> None:
        """A BalanceEx: what is, or what was some time ago."""
        self.read_at(behind if lags else self.amount)

    @invariant()
    def it_is_fresh_only_with_what_it_was_told(self) -> None:
        """With nothing on the wire a live stream has told everything, but what was lost at its very end."""
        told = self.pulse._totals.totals.get("USD")
        if not self.pulse.is_live or told is None or self.snapshot.state is not BalanceState.FRESH:
            return
        total, at = told
        is_ignored = "USD" in self.pulse._totals.ignored or self.clock.now - at >= LAG
        assert total == self.shown or is_ignored

    @invariant()
    def age_is_never_from_a_stream_that_is_not_believed(self) -> None:
        age, plain = self.snapshot.age, self.snapshot._age(confirmed=False)
        assert age is not None
        assert plain is not None
        if not self.pulse.is_live:
            assert age == plain
        else:
            assert age <= max(plain, SILENCE)


TestLineMachine = LineMachine.TestCase
TestLineMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
