"""The clock that nonces follow: years off, jumping while running, with and without a mark, Kraken unreachable."""

from __future__ import annotations

import itertools
import json
import time
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Engine, EngineWarning, Order, Settings
from engine.actors.lane.trusted_clock import LEARN_EVERY, TrustedClock
from engine.rules.lane.clock import TOLERANCE
from engine.simulator import Fault, Simulator
from engine.store.nonces import read_marks
from tests.conftest import QUICK, Events, private_calls
from tests.crash.torture import Warnings
from tests.stopwatch import PATIENCE

YEAR = 365 * 86_400
NANO = 1_000_000_000


class WrongClock:
    """The machine's clock, set wrong by a number of seconds that the test changes."""

    def __init__(self, offset: float) -> None:
        self.offset = offset

    def wall_ns(self) -> int:
        return time.time_ns() + int(self.offset * NANO)

    def monotonic(self) -> float:
        return time.monotonic()


def _engine(sim: Simulator, directory: Path, clock: WrongClock) -> Engine:
    return Engine(sim.accounts[:1], url=sim.url, state_dir=directory, settings=QUICK, clock=clock)


def _nonces(sim: Simulator) -> list[int]:
    return [call.nonce for call in private_calls(sim) if call.nonce is not None]


def _is_near_now(nonce: int) -> bool:
    return abs(nonce - time.time_ns()) < 60 * NANO


@pytest.mark.parametrize("offset", [YEAR, -YEAR])
def test_clock_a_year_off_is_not_believed_and_said(sim: Simulator, tmp_path: Path, offset: float) -> None:
    """Without a mark the first nonce already follows Kraken's time."""
    events = Events()
    engine = _engine(sim, tmp_path, WrongClock(offset))
    engine.subscribe(events)
    with engine:
        engine.call("MASTER", "Balance")
        warning = events.wait_for(lambda event: isinstance(event, EngineWarning))
    assert warning.code == "clock-wrong"
    assert ("ahead of" if offset > 0 else "behind") in warning.message
    assert all(_is_near_now(nonce) for nonce in _nonces(sim))
    assert sim.refused_nonces == 0


def test_clock_that_jumps_while_running(sim: Simulator, tmp_path: Path) -> None:
    clock = WrongClock(0)
    with _engine(sim, tmp_path, clock) as engine:
        for offset in (0, YEAR, -YEAR, 30 * YEAR, 0):
            clock.offset = offset
            engine.call("MASTER", "Balance")
        codes = [warning.code for warning in engine.status().warnings]
    nonces = _nonces(sim)
    assert nonces == sorted(set(nonces))
    assert all(_is_near_now(nonce) for nonce in nonces)
    assert codes[0] == "clock-wrong"
    assert codes[-1] == "clock-right-again"
    assert sim.refused_nonces == 0


def test_mark_counts_more_than_any_clock(sim: Simulator, tmp_path: Path) -> None:
    """With a mark from the right time, a clock a year behind goes on above it, Kraken reachable or not."""
    with _engine(sim, tmp_path, WrongClock(0)) as engine:
        engine.call("MASTER", "Balance")
    with sim.outage(), _engine(sim, tmp_path, WrongClock(-YEAR)) as engine:
        assert engine.balance("MASTER", max_age=1, timeout=PATIENCE).last_error
    with _engine(sim, tmp_path, WrongClock(-YEAR)) as engine:
        engine.call("MASTER", "Balance")
    nonces = _nonces(sim)
    assert nonces == sorted(set(nonces))
    assert sim.refused_nonces == 0


def test_kraken_unreachable_at_first_and_a_clock_a_year_ahead(sim: Simulator, tmp_path: Path) -> None:
    """No nonce is drawn before somebody could say that the clock is wrong."""
    with sim.outage():
        engine = _engine(sim, tmp_path, WrongClock(YEAR)).start()
        engine.balance("MASTER", max_age=1, timeout=PATIENCE)
    engine.call("MASTER", "Balance")
    engine.stop()
    assert all(_is_near_now(nonce) for nonce in _nonces(sim))
    assert all(_is_near_now(mark) for mark in read_marks(tmp_path).values())


def test_time_that_is_refused_tells_the_time_by_its_date(sim: Simulator, tmp_path: Path) -> None:
    """Kraken answers, only not with its time: a clock a year ahead must not drive the key ahead for ever."""
    sim.fault(Fault.error("EService:Unavailable", endpoint="Time"))
    with _engine(sim, tmp_path, WrongClock(YEAR)) as engine:
        engine.call("MASTER", "Balance")
    assert all(_is_near_now(nonce) for nonce in _nonces(sim))


def test_time_that_is_not_answered_holds_nothing_back(sim: Simulator, tmp_path: Path) -> None:
    for fault in (Fault.http(502, endpoint="Time"), Fault.body(b'{"error":[],"result":{}}', endpoint="Time")):
        sim.clear_faults()
        sim.fault(fault)
        with _engine(sim, tmp_path, WrongClock(0)) as engine:
            assert engine.call("MASTER", "Balance")


def test_exchange_whose_own_clock_is_far_off_is_followed(tmp_path: Path) -> None:
    with Simulator(wall=lambda: time.time() - YEAR) as sim, _engine(sim, tmp_path, WrongClock(0)) as engine:
        engine.call("MASTER", "Balance")
        assert abs(_nonces(sim)[0] - (time.time_ns() - YEAR * NANO)) < 60 * NANO


class Turned:
    def __init__(self) -> None:
        self.wall, self.mono = 0, 0.0

    def wall_ns(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.mono


@given(st.integers(0, 2**62), st.integers(-(2**62), 2**62), st.floats(0, 1e6))
def test_believed_exactly_within_five_minutes(kraken: int, ahead: int, passed: float) -> None:
    warnings: list[str] = []
    clock = Turned()
    trusted = TrustedClock(clock, warn=lambda code, sentence: warnings.append(code))
    clock.wall = kraken + ahead
    assert trusted.wall_ns() == clock.wall, "with Kraken's time not known, the wall clock has to do"
    for _ in range(2):  # two answers that agree
        trusted.learn(kraken / NANO)
    told = int(kraken / NANO * 1e9)
    clock.mono += passed
    clock.wall = told + int(passed * 1e9) + ahead
    near = abs(ahead) / 1e9 <= TOLERANCE
    expected = clock.wall if near else told + int(passed * 1e9)
    assert trusted.wall_ns() == expected
    assert warnings == ([] if near else ["clock-wrong"])
    trusted.wall_ns()
    assert len(warnings) <= 1, "said once"


@pytest.mark.parametrize("header", [None, "", "nonsense", "Tue, 11 Nov 25 00:17:04", "Mon, 99 Foo 9999 99:99:99 GMT"])
def test_odd_date_headers_say_nothing_or_something_sane(header: str | None) -> None:
    trusted = TrustedClock(warn=lambda code, sentence: None)
    trusted.learn_date(header)
    assert trusted.skew is None or trusted.skew > 0


def test_skew_is_ahead_minus_kraken() -> None:
    clock = Turned()
    trusted = TrustedClock(clock, warn=lambda code, sentence: None)
    assert trusted.skew is None
    for _ in range(2):
        trusted.learn(100)
    clock.wall = 130 * NANO
    assert trusted.skew == 30.0
    clock.mono = 10.0
    assert trusted.skew == 20.0


def _date(unix: float) -> str:
    return formatdate(unix, usegmt=True)


def _at(unix: int) -> tuple[Turned, TrustedClock]:
    clock = Turned()
    clock.wall = unix * NANO
    return clock, TrustedClock(clock, warn=lambda code, sentence: None)


@pytest.mark.parametrize("off", [YEAR, -YEAR, int(TOLERANCE) + 1, -int(TOLERANCE) - 1])
def test_one_date_alone_does_not_outvote_the_wall_clock_and_what_kraken_said_before(off: int) -> None:
    """A wrong ``Date`` header would otherwise drive the nonces of the key ahead for ever."""
    clock, trusted = _at(1_800_000_000)
    trusted.learn_date(_date(1_800_000_000))
    clock.mono, clock.wall = 10.0, 1_800_000_010 * NANO
    trusted.learn_date(_date(1_800_000_010 + off))
    assert trusted.skew == 0.0
    assert trusted.wall_ns() == clock.wall
    assert trusted.kraken == 1_800_000_010.0


@pytest.mark.parametrize("off", [int(TOLERANCE), -int(TOLERANCE)])
def test_a_date_within_the_tolerance_is_learned(off: int) -> None:
    clock, trusted = _at(1_800_000_000)
    trusted.learn_date(_date(1_800_000_000))
    clock.mono, clock.wall = 10.0, 1_800_000_010 * NANO
    trusted.learn_date(_date(1_800_000_010 + off))
    assert trusted.skew == -off


def test_a_date_is_learned_when_another_one_agrees() -> None:
    """The wall clock has jumped, so it proves nothing against what Kraken says now; nor does one reply alone."""
    clock, trusted = _at(1_800_000_000)
    trusted.learn_date(_date(1_800_000_000))
    clock.mono, clock.wall = 10.0, (1_800_000_010 + YEAR) * NANO
    trusted.learn_date(_date(1_800_000_010 + 1000))
    assert trusted.kraken == 1_800_000_010.0
    clock.mono = 11.0
    trusted.learn_date(_date(1_800_000_011 + 1000))
    assert trusted.kraken == 1_800_000_011.0 + 1000


def test_dates_are_learned_every_few_seconds() -> None:
    clock, trusted = _at(1_800_000_000)
    trusted.learn_date(_date(1_800_000_000))
    for passed, kraken in ((LEARN_EVERY - 0.5, 1_800_000_000 + LEARN_EVERY - 0.5), (LEARN_EVERY, 1_800_000_100.0)):
        clock.mono = passed
        trusted.learn_date(_date(1_800_000_100))
        assert trusted.kraken == kraken


@pytest.mark.parametrize("ahead", [3600, 86_400 * 30, 2_200_000_000, -3600, -YEAR])
def test_one_wrong_time_moves_neither_nonces_nor_deadlines(sim: Simulator, tmp_path: Path, ahead: int) -> None:
    """A proxy, a cache or a bad server: the key would be bound to that time for ever."""
    wrong = int(time.time()) + ahead
    settings = Settings(local_limits=False, refresh_every=3600)
    order = Order("XBTUSD", "buy", "limit", "0.01", "20000")
    told = Fault.body(json.dumps({"error": [], "result": {"unixtime": wrong}}).encode(), endpoint="Time", times=1)
    sim.fault(told)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, live=True) as engine:
        for _ in range(3):
            engine.place("MASTER", order)
        assert not [each for each in engine.status().warnings if each.code == "clock-wrong"]
    assert all(_is_near_now(nonce) for nonce in _nonces(sim))
    assert all(_is_near_now(mark) for mark in read_marks(tmp_path).values())


class Witness:
    """A `TrustedClock` whose wall clock is right, and what it warned of."""

    def __init__(self) -> None:
        self.clock, self.warnings = Turned(), Warnings()
        self.clock.wall = 10**9 * NANO
        self.trusted = TrustedClock(self.clock, warn=self.warnings)

    def pass_by(self, seconds: float) -> None:
        self.clock.wall += int(seconds * NANO)
        self.clock.mono += seconds

    def hear(self, ahead: float) -> None:
        self.trusted.learn(self.clock.wall / NANO + ahead)


def test_the_culprit_is_named() -> None:
    """An answer that stands alone is not believed, and the warning does not blame this machine's clock."""
    one = Witness()
    one.hear(YEAR)
    assert one.trusted.wall_ns() == one.clock.wall
    assert one.trusted.kraken is None, "no deadline of an order is made of it"
    one.pass_by(1)
    one.hear(0)
    assert one.warnings.codes() == ["kraken-time-odd"]
    assert one.trusted.kraken is not None
    one.pass_by(10)
    for ahead in (YEAR, 0.0, -YEAR, 0.0, 2 * YEAR, 0.0):
        one.hear(ahead)
        assert one.trusted.wall_ns() == one.clock.wall
        assert one.trusted.kraken == pytest.approx(one.clock.wall / NANO)
    assert one.warnings.codes() == ["kraken-time-odd"]
    for _ in range(2):
        one.hear(YEAR)
        one.pass_by(1)
    assert one.trusted.wall_ns() == one.clock.wall + YEAR * NANO
    assert one.warnings.codes()[-1] == "clock-wrong"


def test_a_wrong_wall_clock_is_no_witness_against_two_answers() -> None:
    one = Witness()
    one.hear(-YEAR)
    assert one.trusted.wall_ns() == one.clock.wall - YEAR * NANO, "the earlier one, while it is word against word"
    one.hear(-YEAR)
    one.hear(0)
    assert one.trusted.wall_ns() == one.clock.wall - YEAR * NANO
    one.hear(0)
    assert one.trusted.wall_ns() == one.clock.wall


@given(st.lists(st.tuples(st.sampled_from([0.0, 100.0, YEAR, -YEAR, 70 * YEAR]), st.floats(0, 100)), max_size=12))
def test_nothing_moves_ahead_on_the_word_of_one(samples: list[tuple[float, float]]) -> None:
    """Whatever comes: ahead of the wall clock only where two answers in a row have agreed about that."""
    one = Witness()
    for number, (ahead, passed) in enumerate(samples):
        one.pass_by(passed)
        one.hear(ahead)
        heard = [each for each, _ in samples[: number + 1]]
        is_twice = any(abs(a - b) <= TOLERANCE and a > TOLERANCE for a, b in itertools.pairwise(heard))
        assert one.trusted.wall_ns() <= one.clock.wall or is_twice


def test_of_a_reply_whose_body_and_date_differ_the_earlier_counts() -> None:
    one = Witness()
    now = one.clock.wall / NANO
    for _ in range(3):
        one.trusted.learn(now + YEAR, format_datetime(datetime.fromtimestamp(now, UTC)))
        assert one.trusted.kraken == pytest.approx(now)
