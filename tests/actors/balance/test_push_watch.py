"""How push changes an account's refreshes: fewer while its stream is quiet, more while REST is behind it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from engine.actors.balance.poller import Poller
from engine.actors.balance.push_watch import PushWatch
from engine.kraken.assets import AssetTable
from engine.kraken.balances import read_rows
from engine.rules.balance.polling import SAFETY_EVERY, SAFETY_SPACING
from engine.rules.stream.subscription import SILENCE, StreamState
from engine.stream.pulse import Pulse
from engine.values import Settings
from tests.manual_clock import ManualClock

ASSETS = read_rows("BalanceEx", {"ZUSD": {"balance": "10.0000", "hold_trade": "0"}}, AssetTable.shipped())


class World:
    """A live stream of the second of three accounts."""

    def __init__(self) -> None:
        self.clock = ManualClock(100.0)
        self.pulse = Pulse("BOB", self.clock)
        self.pulse.changed(StreamState.LIVE, self.pulse.now())
        poller = Poller(Settings(), monotonic=self.clock.monotonic, after=lambda seconds, action: None)
        for name in ("ALICE", "BOB", "CAROL"):
            poller.plan(name, 1e6, lambda: None)
        self.watch = PushWatch("BOB", self.pulse, poller)

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds


def test_while_it_is_quiet_there_is_one_safety_read_a_minute_spread_over_the_accounts() -> None:
    world = World()
    assert world.watch.quiet_pause(100.0) == SAFETY_EVERY + SAFETY_SPACING
    assert world.watch.interval == SAFETY_EVERY + SAFETY_SPACING
    assert world.watch.quiet_pause(100.0) == SAFETY_EVERY


def test_after_a_change_there_is_one_more_read_before_it_is_quiet() -> None:
    world = World()
    world.watch.changed()
    assert world.watch.quiet_pause(100.0) is None
    assert world.watch.quiet_pause(100.0) == SAFETY_EVERY + SAFETY_SPACING
    world.watch.changed()
    assert world.watch.quiet_pause(100.0) is None
    assert world.watch.quiet_pause(100.0) == SAFETY_EVERY


def test_a_balance_from_before_the_stream_or_after_silence_is_not_quiet() -> None:
    world = World()
    assert world.watch.quiet_pause(99.0) is None
    assert world.watch.quiet_pause(None) is None
    world.pass_time(SILENCE + 0.1)
    assert world.watch.quiet_pause(100.0) is None
    assert world.watch.interval == 0.0


def test_behind_the_stream_the_pauses_double_until_a_change() -> None:
    world = World()
    world.pulse.told({"USD": Decimal(11)}, 100.0, is_snapshot=False)
    pauses = []
    for _ in range(8):
        assert world.watch.compare(ASSETS)
        pauses.append(world.watch.again())
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    world.watch.changed()
    assert world.watch.compare(ASSETS)
    assert world.watch.again() == 1.0
    world.pulse.told({"USD": Decimal(10)}, 100.0, is_snapshot=False)
    assert not world.watch.compare(ASSETS)


def test_without_push_nothing_changes() -> None:
    nothing: Any = None
    watch = PushWatch("BOB", None, nothing)
    assert not watch.compare(ASSETS)
    assert watch.quiet_pause(100.0) is None
    assert watch.confirmed(100.0) is None
