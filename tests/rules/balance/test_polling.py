"""Fair polling: refreshing takes no more than its share of the lane and of a key's counter, and nobody starves."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Engine, Settings
from engine.actors.balance.poller import GIVEN_UP_AFTER, Poller
from engine.errors import CallUnknown
from engine.kraken.limits import TIERS
from engine.rules.balance.availability import Availability, next_refresh
from engine.rules.balance.polling import Queue, interval, rest
from engine.simulator import Fault, Simulator

SHARE = 0.5
FOR_EVER = float("inf")
SETTINGS = Settings(refresh_every=5.0, polling_share=SHARE, call_timeout=10.0, local_limits=False)


class Time:
    """A clock and timers that a test turns by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def monotonic(self) -> float:
        return self.now

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._order), action))

    def run_to(self, end: float) -> None:
        while self._due and self._due[0][0] <= end:
            when, _, action = heapq.heappop(self._due)
            self.now = max(self.now, when)
            action()
        self.now = end


class Exchange:
    """Accounts whose refreshes take a while; keeps when each was begun."""

    def __init__(self, time: Time, settings: Settings = SETTINGS) -> None:
        self.time = time
        self.poller = Poller(settings, monotonic=time.monotonic, after=time.after)
        self.begun: dict[str, list[float]] = {}
        self.good: dict[str, list[float]] = {}
        self.busy = 0.0

    def open(
        self, who: str, seconds: float, *, away: tuple[float, float] = (0.0, 0.0), fails_in: float | None = None
    ) -> None:
        """An account whose refresh takes so long; between the two times of `away` it fails, after `fails_in`."""
        self.begun[who], self.good[who] = [], []
        state = Availability()

        def is_away() -> bool:
            return away[0] <= self.begun[who][-1] < away[1]

        def wake() -> None:
            self.begun[who].append(self.time.now)
            takes = fails_in if fails_in is not None and is_away() else seconds
            self.busy += takes
            self.time.after(takes, done)

        def done() -> None:
            nonlocal state
            fails = is_away()
            error = CallUnknown("no answer") if fails else None
            state = state.after_failure(error, 3) if error else state.after_success()
            self.poller.done(who, good=not fails)
            every = self.poller.retry_in(None) if fails else self.poller.interval(None)
            if not fails:
                self.good[who].append(self.time.now)
            self.poller.plan(who, next_refresh(state, every, error), wake, failing=fails)

        self.poller.plan(who, 0.0, wake, failing=away[0] <= 0.0 < away[1])


def test_few_accounts_keep_the_interval_that_was_set() -> None:
    assert interval(5.0, 3, 0.05, SHARE, TIERS["pro"].calls_decay) == 5.0


def test_many_accounts_stretch_it_to_their_share_of_the_lane() -> None:
    assert interval(5.0, 1000, 0.02, SHARE, None) == pytest.approx(40.0)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_keys_counter_keeps_room(tier: str, share: float) -> None:
    decay = TIERS[tier].calls_decay
    assert 1.0 / interval(0.1, 1, 0.0, share, decay) <= decay * share * (1 + 1e-9)


def test_a_rest_leaves_the_share() -> None:
    assert rest(2.0, 0.5) == pytest.approx(2.0)
    assert rest(2.0, 1.0) == pytest.approx(0.0)


@pytest.mark.parametrize("accounts", [1, 20, 400])
def test_polling_takes_its_share_and_everybody_has_a_turn(accounts: int) -> None:
    time = Time()
    exchange = Exchange(time)
    for number in range(accounts):
        exchange.open(f"A{number}", 0.02)
    time.run_to(400.0)
    assert exchange.busy <= SHARE * 400.0 * 1.05
    counts = [len(begun) for begun in exchange.begun.values()]
    assert min(counts) >= max(counts) - 1
    wanted = max(5.0, accounts * 0.02 / SHARE)
    gaps = [b - a for begun in exchange.begun.values() for a, b in itertools.pairwise(begun)]
    assert max(gaps) <= wanted * 1.5
    assert exchange.poller.interval(None) == pytest.approx(wanted, rel=0.05)


def test_accounts_that_hang_do_not_starve_healthy_ones() -> None:
    time = Time()
    exchange = Exchange(time)
    for number in range(10):
        exchange.open(f"hangs{number}", 10.0, away=(0.0, FOR_EVER))
        exchange.open(f"well{number}", 0.02)
    time.run_to(2000.0)
    for number in range(10):
        gaps = [b - a for a, b in itertools.pairwise(exchange.begun[f"well{number}"])]
        assert max(gaps) <= 5.0 + 2 * 20.0, "one hung call and its rest, not those of all ten"
        assert len(exchange.begun[f"hangs{number}"]) >= 5, "and those are tried again, too"


def test_after_an_outage_no_account_waits_for_a_distant_turn() -> None:
    """A thousand accounts on a slow exchange, which goes away before most of them had their first balance."""
    time = Time()
    exchange = Exchange(time)
    for number in range(1000):
        exchange.open(f"A{number}", 0.05, away=(20.0, 35.0), fails_in=0.001)
    known: dict[float, int] = {}
    for end in (20.0, 35.0, 95.0, 200.0):
        time.run_to(end)
        known[end] = sum(map(bool, exchange.good.values()))
    assert known[35.0] == known[20.0] < 300
    assert known[95.0] - known[35.0] > 0.8 * 60.0 * SHARE / 0.05, "the lane is used for what polling may take of it"
    assert known[200.0] == 1000


def test_a_turn_that_never_ends_is_given_up() -> None:
    time = Time()
    poller = Poller(SETTINGS, monotonic=time.monotonic, after=time.after)
    woken: list[str] = []
    poller.plan("DEAD", 0.0, lambda: woken.append("DEAD"))
    poller.plan("WELL", 1.0, lambda: woken.append("WELL"))
    time.run_to(SETTINGS.call_timeout)
    assert woken == ["DEAD"]
    time.run_to((SETTINGS.call_timeout + GIVEN_UP_AFTER) * 2 + 1)
    assert woken == ["DEAD", "WELL"]


def test_each_turn_is_given_up_after_its_own_time() -> None:
    time = Time()
    poller = Poller(SETTINGS, monotonic=time.monotonic, after=time.after)
    woken: dict[str, float] = {}
    for who in ("WELL", "DEAD", "LATER"):
        poller.plan(who, 0.0, lambda who=who: woken.update({who: time.now}))  # type: ignore[misc]
    time.run_to(1.0)
    poller.done("WELL", good=True)
    time.run_to(100.0)
    took = SETTINGS.call_timeout + GIVEN_UP_AFTER
    assert woken == {"WELL": 0.0, "DEAD": 1.0 + rest(1.0, SHARE), "LATER": 2.0 + took + rest(took, SHARE)}


def test_turns_leave_no_timers_behind() -> None:
    """Thousands of accounts are woken in the time after which a turn is given up."""
    time = Time()
    poller = Poller(SETTINGS, monotonic=time.monotonic, after=time.after)
    woken: list[str] = []

    def wake(who: str) -> None:
        woken.append(who)
        time.after(0.001, partial(poller.done, who))

    for number in range(500):
        poller.plan(f"A{number}", 0.0, partial(wake, f"A{number}"))
    time.run_to(5.0)
    assert len(woken) == 500
    assert len(time._due) <= 2


def test_a_removed_account_is_not_woken() -> None:
    time = Time()
    poller = Poller(SETTINGS, monotonic=time.monotonic, after=time.after)
    woken: list[str] = []
    for who in ("A", "B"):
        poller.plan(who, 1.0, lambda who=who: woken.append(who))  # type: ignore[misc]
    poller.forget("A")
    time.run_to(60.0)
    assert woken == ["B"]


PLANS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 20), st.booleans()), max_size=40)


@given(PLANS, st.integers(0, 25))
def test_the_queue_against_a_model(plans: list[tuple[str, int, bool]], now: int) -> None:
    queue = Queue()
    model: dict[str, tuple[bool, int, int]] = {}
    for number, (who, when, failing) in enumerate(plans):
        queue.plan(who, when, failing=failing)
        model[who] = (failing, when, number)
    due = sorted((plan, who) for who, plan in model.items() if plan[1] <= now)
    later = [plan[1] for plan in model.values() if plan[1] > now]
    assert [queue.take(now) for _ in due] == [who for _, who in due]
    assert queue.take(now) is None
    assert queue.next_at() == min(later, default=None)


def test_a_requested_account_does_not_wait_for_its_turn(tmp_path: Path) -> None:
    """A hundred accounts are polled one after another; the one that somebody wants comes at once."""
    names = [f"U{number}" for number in range(40)]
    settings = Settings(refresh_every=0.5, call_timeout=30.0, local_limits=False, polling_share=0.2)
    with Simulator(names) as sim, Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        sim.fault(Fault.delay(0.05))
        snapshot = engine.balance(names[-1], max_age=60, timeout=30)
        assert snapshot.as_of is not None
        polled = {call.account for call in sim.calls if call.endpoint == "BalanceEx"}
        assert len(polled) < len(names), "not all of them were before it"


def test_the_interval_that_results_is_in_the_status(tmp_path: Path) -> None:
    names = [f"U{number}" for number in range(30)]
    settings = Settings(refresh_every=0.1, call_timeout=30.0, local_limits=False)
    with Simulator(names) as sim, Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings) as engine:
        sim.fault(Fault.delay(0.02))
        sim.wait_for_calls(len(names), endpoint="BalanceEx", timeout=60)
        intervals = engine.status().refresh_intervals
        assert set(intervals) == set(names)
        assert min(intervals.values()) >= 30 * 0.02 / 0.5
        assert engine.status().to_dict()["refresh_intervals"].keys() == set(names)
        sim.fault(Fault.error("EService:Unavailable", account="U7"))
        failed = engine.balance("U7", max_age=0, timeout=30)
        assert failed.error_count >= 1
        assert failed.next_attempt is not None
        assert failed.next_attempt < datetime.now(UTC) + timedelta(seconds=1), "one that fails does not wait so long"
