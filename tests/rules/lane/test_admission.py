"""The rate limiter: the REST counter, the trading counters, and what may be sent by them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import errors
from engine.errors import CallError
from engine.kraken.endpoints import PRIVATE, CallClass
from engine.kraken.limits import TIERS, OrderAges, Tier
from engine.rules.lane import admission as module
from engine.rules.lane.admission import (
    KEPT,
    SETTLEMENT,
    SHORTEST,
    THROTTLED,
    WRITES,
    Admission,
    Limit,
    limit_of,
)
from engine.rules.lane.priority import CANCEL

STARTER = TIERS["starter"]
LATER = 1e-3

tiers = st.sampled_from(list(TIERS.values()))
costs = st.sampled_from([0, 1, 2, 4])
steps = st.lists(st.tuples(st.floats(0, 30), st.sampled_from([0, 1, 2, 4, "snap"])), max_size=60)


def played(tier: Tier, events: list[tuple[float, Any]], start: float = 1000.0) -> tuple[Admission, float, float]:
    """A counter after those events, the time then, and the level that plain arithmetic step by step gives."""
    counter, now, level = Admission(tier), start, 0.0
    for pause, event in events:
        now += pause
        level = max(0.0, level - pause * tier.calls_decay)
        if event == "snap":
            counter = counter.calls_full(now)
            level = tier.calls
        else:
            counter = counter.after(None, event, now)
            level = min(tier.calls, level + event)
    return counter, now, level


def room(counter: Admission, now: float) -> float:
    return counter.tier.calls - counter.calls_level(now)


# --- the REST counter -----------------------------------------------------------------------------------------


@given(tiers, steps, st.floats(0, 100))
def test_the_level_is_what_plain_arithmetic_says(tier: Tier, events: list[Any], pause: float) -> None:
    counter, now, level = played(tier, events)
    expected = max(0.0, level - pause * tier.calls_decay)
    assert counter.calls_level(now + pause) == pytest.approx(expected, abs=1e-6)
    assert room(counter, now + pause) == pytest.approx(tier.calls - expected, abs=1e-6)


@given(tiers, steps, st.lists(st.floats(0, 1e6), min_size=2, max_size=9))
def test_the_level_stays_within_its_bounds_and_only_falls(tier: Tier, events: list[Any], pauses: list[float]) -> None:
    counter, now, _ = played(tier, events)
    levels = [counter.calls_level(now + pause) for pause in sorted(pauses)]
    assert all(0 <= level <= tier.calls for level in levels)
    assert levels == sorted(levels, reverse=True)


@given(tiers, steps, costs, st.floats(0, 10), st.floats(0, 1e9))
def test_a_wait_is_exact(tier: Tier, events: list[Any], cost: float, kept: float, start: float) -> None:
    """After it there is room, a moment before it there is not."""
    counter, now, _ = played(tier, events, start)
    wait = counter.calls_wait(cost, now, kept=kept)
    assert counter.calls_wait(cost, now + wait, kept=kept) == 0
    assert room(counter, now + wait) >= cost + kept - 1e-5
    if wait > LATER:
        assert counter.calls_wait(cost, now + wait - LATER, kept=kept) > 0
        assert room(counter, now + wait - LATER) < cost + kept


@given(tiers, steps, st.floats(0, 100), st.floats(0, 100))
def test_what_never_fits_waits_until_the_counter_is_empty(
    tier: Tier, events: list[Any], cost: float, kept: float
) -> None:
    counter, now, level = played(tier, events)
    wait = counter.calls_wait(cost, now, kept=kept)
    assert wait <= level / tier.calls_decay + LATER


def test_after_a_refusal_the_counter_is_full() -> None:
    counter = Admission(STARTER).calls_full(100.0)
    assert counter.calls_level(100.0) == pytest.approx(15)
    assert counter.calls_wait(1, 100.0) == pytest.approx(1 / 0.33)


@given(tiers, steps, st.floats(0, 200), st.floats(0, 1e6), st.floats(1e9, 2e9))
def test_save_and_restore_never_lower_the_level(
    tier: Tier, events: list[Any], away: float, start: float, wall: float
) -> None:
    """G4 over a restart: only the time that passed lowers it, whatever the new process calls zero."""
    counter, now, _ = played(tier, events)
    document = json.loads(json.dumps(counter.to_dict(now, wall)))
    restored = Admission(tier).restored(document, start, wall + away)
    assert restored.calls_level(start) == pytest.approx(counter.calls_level(now + away), abs=1e-4)


garbage = st.one_of(
    st.none(),
    st.text(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()).filter(lambda found: not {"level", "at"} <= found.keys()),
    st.fixed_dictionaries(
        {
            "level": st.sampled_from([-1, math.nan, math.inf, -math.inf, True, "3", None, [], 10**400]),
            "at": st.just(1e9),
        }
    ),
    st.fixed_dictionaries(
        {"level": st.just(0), "at": st.sampled_from([math.nan, math.inf, -math.inf, True, "3", None, 10**400])}
    ),
    st.fixed_dictionaries({"level": st.just(0.0), "at": st.floats(1e9 + 0.001, 1e12) | st.just(1e9 + 1)}),
)


@given(tiers, garbage)
def test_what_cannot_be_read_counts_as_full(tier: Tier, document: Any) -> None:
    """Fail closed, also when it was saved at a time that is still to come."""
    assert Admission(tier).restored(document, 50.0, 1e9).calls_level(50.0) == pytest.approx(tier.calls)


# --- the trading counters -------------------------------------------------------------------------------------


def test_a_cancel_of_all_is_charged_to_each_pair_and_may_overflow_it() -> None:
    """Kraken takes cancels even beyond the maximum; the next order waits for what they cost."""
    ages, counter = OrderAges(), Admission(STARTER)
    for number in range(10):
        ages.born(f"A{number}", "XBTUSD", 0.0)
    ages.born("B", "ETHUSD", 0.0)
    for pair, points in ages.cancel_points(1.0):
        counter = counter.traded(points, pair, 1.0)
    assert (counter.trades_level("XBTUSD", 1.0), counter.trades_level("ETHUSD", 1.0)) == (80, 8)
    assert counter.trades_wait(1, "XBTUSD", 1.0) == pytest.approx(80 + 1 - 60)
    assert counter.trades_wait(1, "ETHUSD", 1.0) == 0


def test_a_refused_order_fills_the_counter_of_its_pair_only() -> None:
    counter = Admission(STARTER).trades_full("XBTUSD", 0.0)
    assert counter.trades_wait(1, "XBTUSD", 0.0) == pytest.approx(1.0)
    assert counter.trades_wait(1, "ETHUSD", 0.0) == 0
    counter = counter.traded(100, "XBTUSD", 0.0).trades_full("XBTUSD", 0.0)
    assert counter.trades_level("XBTUSD", 0.0) == 160, "a refusal never lowers a level"


def test_idle_pairs_are_forgotten() -> None:
    counter = Admission(STARTER)
    for number in range(5_000):
        counter = counter.traded(1, f"PAIR{number}", float(number))
    assert len(counter.trades) <= 3
    assert counter.traded(0, "ANOTHER", 5_000.0) is counter


@given(
    tiers,
    st.lists(st.tuples(st.floats(0, 60), st.sampled_from(["A", "B"]), st.sampled_from([0.5, 1, 4, 8])), max_size=40),
)
def test_each_pair_counts_for_itself(tier: Tier, events: list[tuple[float, str, float]]) -> None:
    counter, now, levels = Admission(tier), 0.0, {"A": 0.0, "B": 0.0}
    for pause, pair, points in events:
        now += pause
        levels = {name: max(0.0, level - pause * tier.trades_decay) for name, level in levels.items()}
        levels[pair] += points
        counter = counter.traded(points, pair, now)
    for pair, level in levels.items():
        assert counter.trades_level(pair, now) == pytest.approx(level, abs=1e-6)
        wait = counter.trades_wait(1, pair, now)
        assert wait == pytest.approx(max(0.0, (level + 1 - tier.trades) / tier.trades_decay), abs=1e-5)


# --- admission ------------------------------------------------------------------------------------------------

ADD: dict[str, Any] = {"pair": "XBTUSD", "points": 1.0}
THROTTLE = errors.RateLimited("slow", kraken_code="EService: Throttled: 1700000000", retry_after=20.0)
RATE = errors.RateLimited("slow", kraken_code="EAPI:Rate limit exceeded")
ORDER_RATE = errors.RateLimited("slow", kraken_code="EOrder:Rate limit exceeded")

ENDS: list[CallError | None] = [
    None,
    RATE,
    ORDER_RATE,
    THROTTLE,
    errors.CallUnknown("timed out"),
    errors.ConnectFailed("no"),
    errors.TemporaryLockout("out"),
]


def test_the_classes_are_those_of_the_endpoints() -> None:
    assert CANCEL == CallClass.CANCEL
    assert len(KEPT) == len(CallClass)
    assert list(KEPT) == sorted(KEPT), "what is served first may use more"
    assert sum(PRIVATE[name].cost for name in ("OpenOrders", "ClosedOrders", "TradesHistory")) == SETTLEMENT
    cancels = [each.cost for each in PRIVATE.values() if each.call_class is CallClass.CANCEL]
    assert max(cancels) == WRITES


@given(tiers, st.lists(st.tuples(st.floats(0, 5), costs, st.sampled_from(ENDS)), max_size=40), costs)
def test_a_cancel_is_never_refused_by_a_counter(tier: Tier, events: list[Any], cost: float) -> None:
    """G4: a prediction that is too high must not strand an open order."""
    gate, now = Admission(tier), 0.0
    for pause, each, error in events:
        now += pause
        gate = gate.after(error, each, now, pair="XBTUSD", points=8.0)
        assert gate.check(CallClass.CANCEL, cost, now, pair="XBTUSD", points=1000.0) is None


@given(tiers, st.lists(st.tuples(st.floats(0, 5), costs), max_size=40))
def test_what_costs_nothing_is_never_refused_by_the_rest_counter(tier: Tier, events: list[Any]) -> None:
    gate, now = Admission(tier), 0.0
    for pause, cost in events:
        now += pause
        gate = gate.after(RATE, cost, now)
        assert gate.check(CallClass.ORDER, 0, now, **ADD) is None
        assert gate.check(CallClass.READ, 0, now) is None


@given(tiers, st.lists(st.tuples(st.floats(0, 3), st.sampled_from([1, 4])), max_size=80))
def test_reads_leave_room_for_a_settlement_round_and_a_write(tier: Tier, reads: list[Any]) -> None:
    gate, now = Admission(tier), 0.0
    for pause, cost in reads:
        now += pause
        if gate.check(CallClass.READ, cost, now) is None:
            gate = gate.after(None, cost, now)
    for name in ("OpenOrders", "ClosedOrders", "TradesHistory"):
        assert gate.check(CallClass.SETTLE, PRIVATE[name].cost, now) is None
        gate = gate.after(None, PRIVATE[name].cost, now)
    assert gate.check(CallClass.ORDER, 1, now) is None


@pytest.mark.parametrize("tier", TIERS.values(), ids=TIERS)
def test_every_tier_polls_its_balance_every_five_seconds_for_ever(tier: Tier) -> None:
    gate = Admission(tier)
    for turn in range(1_000):
        assert gate.check(CallClass.READ, 1, 5.0 * turn) is None
        gate = gate.after(None, 1, 5.0 * turn + 0.2)
    assert gate.check(CallClass.READ, 4, 5_000.0) is None, "and history can be read beside it"


@given(tiers, st.lists(st.tuples(st.sampled_from(list(CallClass)[1:]), costs), max_size=60))
def test_a_held_call_may_go_exactly_when_it_was_told(tier: Tier, calls: list[tuple[CallClass, float]]) -> None:
    gate, now = Admission(tier), 0.0
    for call_class, cost in calls:
        held = gate.check(call_class, cost, now)
        if held is not None:
            assert gate.check(call_class, cost, now + held.retry_after - LATER) is not None
            now += held.retry_after
        assert gate.check(call_class, cost, now) is None
        gate = gate.after(None, cost, now)


def test_a_refusal_by_kraken_fills_the_counter_for_reads() -> None:
    gate = Admission(STARTER)
    assert gate.check(CallClass.READ, 1, 0.0) is None
    gate = gate.after(RATE, 1, 0.0)
    held = gate.check(CallClass.READ, 1, 0.0)
    assert held is not None
    assert held.retry_after == pytest.approx((1 + KEPT[CallClass.READ]) / 0.33)
    assert "counter" in held.reason


def test_a_read_is_told_that_the_rest_of_the_counter_is_kept_for_orders_and_cancels() -> None:
    """It waits at 4 of 15 points, where the counter is not nearly full; at 15 of them it is."""
    gate = Admission(STARTER).after(None, 4, 0.0)
    held = gate.check(CallClass.READ, 1, 0.0)
    assert held is not None
    assert "11 of its 15 are kept free for orders and cancels" in held.reason
    assert "full" not in held.reason
    assert gate.check(CallClass.ORDER, 1, 0.0) is None
    full = gate.calls_full(0.0).check(CallClass.READ, 1, 0.0)
    assert full is not None
    assert "nearly full" in full.reason


def test_a_refused_order_holds_orders_of_its_pair_only() -> None:
    gate = Admission(STARTER)
    gate = gate.after(ORDER_RATE, 0, 0.0, **ADD)
    held = gate.check(CallClass.ORDER, 0, 0.0, **ADD)
    assert held is not None
    assert held.retry_after == pytest.approx(1.0)
    assert "XBTUSD" in held.reason
    assert gate.check(CallClass.ORDER, 0, 0.0, pair="ETHUSD", points=1.0) is None
    assert gate.check(CallClass.READ, 1, 0.0) is None


@pytest.mark.parametrize("call_class", [CallClass.ORDER, CallClass.SETTLE, CallClass.READ])
def test_throttled_holds_all_but_cancels_until_the_time_that_kraken_names(call_class: CallClass) -> None:
    gate = Admission(STARTER)
    gate = gate.after(THROTTLE, 1, 100.0)
    held = gate.check(call_class, 0, 100.0)
    assert held is not None
    assert held.retry_after == 20.0
    assert gate.check(CallClass.CANCEL, 1, 100.0) is None
    assert gate.check(call_class, 0, 120.0) is None


@pytest.mark.parametrize(("retry_after", "pause"), [(None, THROTTLED), (0.0, SHORTEST), (900.0, 900.0)])
def test_throttled_always_means_a_pause(retry_after: float | None, pause: float) -> None:
    gate = Admission(STARTER)
    gate = gate.after(errors.CallUnknown("?", kraken_code="EService:Throttled", retry_after=retry_after), 0, 0.0)
    held = gate.check(CallClass.READ, 1, 0.0)
    assert held is not None
    assert held.retry_after == pause


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (None, None),
        (RATE, Limit.CALLS),
        (errors.RateLimited("HTTP 429", retry_after=1.0), Limit.PAUSE),
        (errors.CallUnknown("HTTP 429", retry_after=1.0), Limit.PAUSE),
        (errors.CallUnknown("HTTP 502"), None),
        (errors.RateLimited("slow", kraken_code="EGeneral:Too many requests"), Limit.CALLS),
        (ORDER_RATE, Limit.TRADES),
        (errors.RateLimited("slow", kraken_code="EOrder:Domain rate limit exceeded"), Limit.TRADES),
        (THROTTLE, Limit.PAUSE),
        (errors.CallUnknown("slow", kraken_code="EService:Throttled"), Limit.PAUSE),
        (errors.RateLimited("slow", kraken_code="EAuth:Too many requests", retry_after=30.0), Limit.PAUSE),
        (errors.CallUnknown("timed out"), None),
        (errors.OrderRejected("no", kraken_code="EOrder:Invalid price"), None),
        (errors.TemporaryLockout("out", kraken_code="EGeneral:Temporary lockout", retry_after=900.0), None),
    ],
)
def test_which_limit_a_refusal_speaks_of(error: CallError | None, limit: Limit | None) -> None:
    assert limit_of(error) is limit


def test_only_what_was_not_sent_costs_nothing() -> None:
    gate = Admission(STARTER)
    gate = gate.after(errors.ConnectFailed("no"), 4, 0.0)
    assert gate.calls_level(0.0) == 0
    gate = gate.after(errors.CallUnknown("timed out"), 4, 0.0)
    assert gate.calls_level(0.0) == 4


COSTS: dict[str, Any] = {"pair": "XBTUSD", "points": 8.0}
TOLD: dict[str, list[CallError | None]] = {
    "not sent": [errors.ConnectFailed("no")],
    "good reply": [None],
    "other error": [errors.CallUnknown("timed out"), errors.OrderRejected("no", kraken_code="EOrder:Invalid price")],
    "calls": [RATE, errors.RateLimited("slow", kraken_code="EAPI:Rate limit exceeded", retry_after=20.0)],
    "trades": [ORDER_RATE],
    "pause": [THROTTLE, errors.RateLimited("slow", kraken_code="EService:Throttled")],
}


@pytest.mark.parametrize("end", TOLD)
def test_the_drawing_is_what_the_end_of_a_call_changes(end: str) -> None:
    """What a person reads at the top of the file is what the program does."""
    line = next(line for line in (module.__doc__ or "").splitlines() if line.strip().startswith(f"{end}  "))
    calls, trades, pause = line.strip().removeprefix(end).split()
    before = Admission(STARTER, KEPT, 3.0, {"XBTUSD": 2.0})
    level = before.calls_level(0.0)
    for error in TOLD[end]:
        after, told = before.after(error, 4, 0.0, **COSTS), None if error is None else error.retry_after
        assert after.calls_level(0.0) == pytest.approx({"-": level, "charged": level + 4, "full": STARTER.calls}[calls])
        pair = {"-": 2, "charged": 2 + 8, "full": STARTER.trades}[trades]
        assert after.trades_level("XBTUSD", 0.0) == pytest.approx(pair)
        until = -math.inf if told is None else told
        assert after.paused_until == {"-": -math.inf, "told": until, "always": max(until, THROTTLED)}[pause]
        assert before == Admission(STARTER, KEPT, 3.0, {"XBTUSD": 2.0}), "a value never changes"
