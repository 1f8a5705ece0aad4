"""When Kraken is silent, by the time alone (G7)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine import BalanceSnapshot, Settings
from engine.actors.balance.listener import Listener
from engine.actors.balance.silence_watch import SilenceWatch
from engine.actors.events import EngineWarning
from engine.errors import Outcome
from engine.rules.balance.availability import Availability, Standing
from engine.rules.balance.silence import patience
from tests.rules.balance.test_snapshot import Clocks

SETTINGS = Settings(silence_to_unavailable=60.0)
EVERY = 5.0


def well(account: str = "MASTER") -> BalanceSnapshot:
    return BalanceSnapshot(account, is_available=True, standing=Standing.AVAILABLE)


def listener_of(clocks: Clocks, accounts: int = 1, every: float = EVERY) -> Listener:
    """Of accounts that all have just had a good reply."""
    listener = Listener(SETTINGS, clocks)
    for number in range(accounts):
        listener.expect(f"A{number}", every, every / accounts)
        listener.heard(f"A{number}")
    return listener


def test_after_so_many_seconds_and_not_before() -> None:
    clocks = Clocks()
    listener = listener_of(clocks)
    clocks.passed = 59.9
    assert listener.judged(well("A0")).is_available
    assert listener.silent_since() is None
    clocks.passed = 60.0
    judged = listener.judged(well("A0"))
    assert (judged.is_available, judged.standing) == (False, Standing.UNAVAILABLE)
    assert judged.last_error == "Kraken is silent: it has not answered since 2027-01-15 08:00:00 UTC."
    assert listener.silent_since() is not None
    listener.heard("A0")
    assert listener.judged(well("A0")).is_available
    assert listener.silent_since() is None


def test_however_many_accounts_share_the_lane() -> None:
    """Each is refreshed once in five minutes, and a Kraken that does not answer is known after one."""
    clocks = Clocks()
    listener = listener_of(clocks, accounts=1000, every=300.0)
    clocks.passed = 61.0
    assert not any(listener.judged(well(f"A{number}")).is_available for number in range(1000))


def test_one_account_that_is_left_out_while_others_are_served() -> None:
    clocks = Clocks()
    listener = listener_of(clocks, accounts=2)
    for second in range(61):
        clocks.passed = float(second)
        listener.heard("A1")
    assert listener.judged(well("A1")).is_available
    assert "this account" in (listener.judged(well("A0")).last_error or "")
    assert listener.silent_since() is None


def test_an_account_that_is_refreshed_rarely_does_not_flap() -> None:
    """Two of its refreshes have to be missing."""
    clocks = Clocks()
    listener = listener_of(clocks, every=90.0)
    clocks.passed = 179.0
    assert listener.judged(well("A0")).is_available
    clocks.passed = 181.0
    assert not listener.judged(well("A0")).is_available


def test_refusals_are_no_good_replies_and_are_told_apart() -> None:
    clocks = Clocks()
    listener = listener_of(clocks)
    clocks.passed = 30.0
    listener.ended("A0", Outcome.REFUSED)
    clocks.passed = 61.0
    assert "no good reply since" in (listener.judged(well("A0")).last_error or "")


def test_what_is_known_of_a_failure_stays_and_a_refused_key_is_no_silence() -> None:
    clocks = Clocks()
    listener = listener_of(clocks)
    clocks.passed = 61.0
    out = BalanceSnapshot("A0", standing=Standing.UNAVAILABLE, last_error="The connection was refused.")
    told = listener.judged(out).last_error or ""
    assert told.startswith("Kraken is silent")
    assert told.endswith("The connection was refused.")
    earlier = replace(out, last_error="Kraken is silent: it has given this account no good reply since noon.")
    assert listener.judged(earlier).last_error == listener.sentence("A0"), "it is said once"
    refused = BalanceSnapshot("A0", standing=Standing.BLOCKED, last_error="Kraken refuses this key.")
    assert listener.judged(refused) == refused


class Model:
    """What `Listener` says, worked out anew each time from all that has happened."""

    def __init__(self) -> None:
        self.own: dict[str, list[float]] = {}  # the last good reply, or the first question; and the patience
        self.lane: list[float] | None = None
        self.refused = -1.0

    def expect(self, now: float, account: str, interval: float, spacing: float) -> None:
        self.own.setdefault(account, [now, 0.0])[1] = patience(60.0, interval)
        self.lane = [now if self.lane is None else self.lane[0], patience(60.0, spacing)]

    def heard(self, now: float, account: str) -> None:
        for each in (self.own.get(account), self.lane):
            if each is not None:
                each[0] = now

    def forget(self, account: str) -> None:
        self.own.pop(account, None)
        self.lane = self.lane if self.own else None

    def silence(self, now: float, account: str) -> str | None:
        if self.lane is not None and sum(self.lane) <= now:
            return "it has given no good reply" if self.refused > self.lane[0] else "it has not answered"
        own = self.own.get(account)
        return "it has given this account no good reply" if own is not None and sum(own) <= now else None


STEPS = st.one_of(
    st.tuples(st.just("pass"), st.sampled_from([0.0, 1.0, 29.0, 30.0, 31.0, 60.0, 120.0])),
    st.tuples(st.just("expect"), st.sampled_from("AB"), st.sampled_from([5.0, 50.0]), st.sampled_from([5.0, 40.0])),
    st.tuples(st.sampled_from(["heard", "refused", "forget"]), st.sampled_from("AB")),
    st.tuples(st.just("failed")),
)


@example([("expect", "A", 50.0, 40.0), ("pass", 31.0), ("expect", "A", 50.0, 5.0), ("pass", 31.0)])
@example([("expect", "A", 5.0, 5.0), ("pass", 60.0), ("expect", "A", 50.0, 40.0)])
@example([("expect", "B", 5.0, 5.0), ("pass", 60.0), ("forget", "B")])
@example([
    ("expect", "A", 5.0, 5.0), ("expect", "B", 5.0, 5.0), ("pass", 31.0), ("heard", "B"), ("pass", 29.0),
    ("forget", "A"),
])  # fmt: skip
@settings(deadline=None, max_examples=300)
@given(st.lists(STEPS, max_size=25))
def test_what_is_remembered_for_readers_never_outlasts_its_truth(steps: list[tuple[Any, ...]]) -> None:
    """G7: whoever reads sees each silence begin, change and end in the moment it does."""
    clocks, model = Clocks(), Model()
    listener = Listener(SETTINGS, clocks)
    shown = {name: well(name) for name in "AB"}
    for step in steps:
        match step:
            case "pass", seconds:
                clocks.passed += seconds
            case "expect", account, interval, spacing:
                listener.expect(account, interval, spacing)
                model.expect(clocks.monotonic(), account, interval, spacing)
            case "heard", account:
                listener.ended(account, Outcome.DONE)
                model.heard(clocks.monotonic(), account)
            case "refused", account:
                listener.ended(account, Outcome.REFUSED)
                model.refused = clocks.monotonic()
            case "forget", account:
                listener.forget(account)
                model.forget(account)
            case ("failed",):
                shown = {name: replace(each, error_count=each.error_count + 1) for name, each in shown.items()}
        for name, snapshot in shown.items():
            silence = model.silence(clocks.monotonic(), name)
            if clocks.monotonic() < listener.heard_until.get(name, 0.0):
                assert silence is None
                continue
            judged = listener.judged(snapshot)
            assert judged.error_count == snapshot.error_count
            assert judged.is_available == (silence is None)
            assert judged is snapshot or str(silence) in str(judged.last_error)


def test_nothing_is_expected_of_a_lane_without_accounts() -> None:
    clocks = Clocks()
    listener = Listener(SETTINGS, clocks)
    clocks.passed = 100.0
    assert listener.silent_since() is None
    listener.expect("A0", EVERY, EVERY)
    clocks.passed = 200.0
    assert listener.silent_since() is not None, "it has been silent from the beginning"
    listener.forget("A0")
    assert listener.silent_since() is None


def test_a_silence_is_told_once_and_the_next_one_again() -> None:
    clocks = Clocks()
    listener = Listener(SETTINGS, clocks)
    told: list[Any] = []
    watches = [SilenceWatch(f"A{number}", listener, told.append) for number in range(3)]
    for silence in (1, 2):
        assert [watch.asks(EVERY, EVERY) for watch in watches] == [60.0] * 3
        assert [watch.asks(EVERY, EVERY) for watch in watches] == [None] * 3, "it is planned already"
        clocks.passed += 30.0
        assert [watch.look() for watch in watches] == [(None, 30.0)] * 3, "and each is looked at again"
        clocks.passed += 30.0
        assert all(sentence and again is None for sentence, again in [watch.look() for watch in watches])
        assert [(type(each), each.code) for each in told] == [(EngineWarning, "silence")] * silence
        for number in range(3):
            listener.heard(f"A{number}")


def test_silence_ends_availability_and_is_no_failure() -> None:
    before = Availability(Standing.DEGRADED, 2, "The connection was reset.")
    after = before.after_silence("Kraken is silent.")
    assert (after.standing, after.errors, after.reason) == (Standing.UNAVAILABLE, 2, "Kraken is silent.")
    blocked = Availability(Standing.BLOCKED, 1, "Kraken refuses this key.")
    assert blocked.after_silence("Kraken is silent.") == blocked
