"""Silence that begins while an account's next request has to wait is reported all the same (G7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine import AvailabilityChanged, BalanceActor, Settings
from engine.actors.balance.listener import Listener
from engine.actors.balance.poller import Poller
from engine.actors.lane.messages import CallDone
from tests.rules.balance.test_snapshot import Clocks

SETTINGS = Settings(silence_to_unavailable=60.0, local_limits=False)
REPLY = {"ZUSD": {"balance": "5.0", "hold_trade": "0"}}


class Timers:
    """What is due when, for a test that turns the clock by hand."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._due: list[tuple[float, Callable[[], None]]] = []

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._due.append((self._clocks.monotonic() + seconds, action))

    def run(self) -> None:
        now = self._clocks.monotonic()
        ripe = [action for when, action in self._due if when <= now]
        self._due = [(when, action) for when, action in self._due if when > now]
        for action in ripe:
            action()


class Stage:
    """A `BalanceActor` in the thread of the test. Its turn comes once, and then never again."""

    def __init__(self) -> None:
        self.clocks = Clocks()
        self.timers = Timers(self.clocks)
        self.calls: list[Any] = []
        self.told: list[Any] = []
        self.listener = Listener(SETTINGS, self.clocks)
        self.actor = BalanceActor(
            "MASTER", self, settings=SETTINGS, clock=self.clocks, scheduler=self.timers,  # type: ignore[arg-type]
            poller=Poller(SETTINGS, monotonic=self.clocks.monotonic, after=lambda seconds, action: None),
            listener=self.listener, publish=self.told.append,
        )  # fmt: skip
        self.actor.on_start()
        self.work()

    def tell(self, call: Any) -> None:
        """What the actor sends to Kraken."""
        self.calls.append(call)

    def work(self) -> None:
        """Run the timers that are due and let the actor handle its messages."""
        self.timers.run()
        while not self.actor.actor_inbox.empty():
            self.actor.on_receive(self.actor.actor_inbox.get().message)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clocks.passed += 1.0
            self.work()

    def standings(self) -> list[bool]:
        return [each.is_available for each in self.told if isinstance(each, AvailabilityChanged)]


def test_after_an_outage_the_next_one_is_reported_though_nothing_was_asked_for_meanwhile() -> None:
    stage = Stage()
    stage.pass_time(70)  # the first request hangs, and silence has begun
    stage.actor.on_receive(CallDone(stage.calls[0], REPLY))
    assert stage.standings() == [True]
    patience = stage.listener.left("MASTER")  # longer for a Kraken that was so slow
    stage.pass_time(patience - 1)
    assert stage.standings() == [True]
    stage.pass_time(2)
    assert (len(stage.calls), stage.standings()) == (1, [True, False])
