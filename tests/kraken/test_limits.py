"""How Kraken counts, and what may be sent by it: the REST counter, the trading counters, the admission of a call."""

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
from engine.kraken.limits import PENALTIES, TIERS, Action, CallCounter, Tier, TradingCounter, batch_points
from engine.rules.lane.admission import (
    CANCEL,
    KEPT,
    SETTLEMENT,
    SHORTEST,
    THROTTLED,
    WRITES,
    Admission,
    Limit,
    limit_of,
)
from engine.values import check_tier

STARTER = TIERS["starter"]
LATER = 1e-3

tiers = st.sampled_from(list(TIERS.values()))
costs = st.sampled_from([0, 1, 2, 4])
steps = st.lists(st.tuples(st.floats(0, 30), st.sampled_from([0, 1, 2, 4, "snap"])), max_size=60)


def played(tier: Tier, events: list[tuple[float, Any]], start: float = 1000.0) -> tuple[CallCounter, float, float]:
    """A counter after those events, the time then, and the level that plain arithmetic step by step gives."""
    counter, now, level = CallCounter(tier), start, 0.0
    for pause, event in events:
        now += pause
        level = max(0.0, level - pause * tier.calls_decay)
        if event == "snap":
            counter.snap(now)
            level = tier.calls
        else:
            counter.charge(event, now)
            level = min(tier.calls, level + event)
    return counter, now, level


# --- the REST counter -----------------------------------------------------------------------------------------


@given(tiers, steps, st.floats(0, 100))
def test_the_level_is_what_plain_arithmetic_says(tier: Tier, events: list[Any], pause: float) -> None:
    counter, now, level = played(tier, events)
    expected = max(0.0, level - pause * tier.calls_decay)
    assert counter.level(now + pause) == pytest.approx(expected, abs=1e-6)
    assert counter.room(now + pause) == pytest.approx(tier.calls - expected, abs=1e-6)


@given(tiers, steps, st.lists(st.floats(0, 1e6), min_size=2, max_size=9))
def test_the_level_stays_within_its_bounds_and_only_falls(tier: Tier, events: list[Any], pauses: list[float]) -> None:
    counter, now, _ = played(tier, events)
    levels = [counter.level(now + pause) for pause in sorted(pauses)]
    assert all(0 <= level <= tier.calls for level in levels)
    assert levels == sorted(levels, reverse=True)


@given(tiers, steps, costs, st.floats(0, 10), st.floats(0, 1e9))
def test_a_wait_is_exact(tier: Tier, events: list[Any], cost: float, kept: float, start: float) -> None:
    """After it there is room, a moment before it there is not."""
    counter, now, _ = played(tier, events, start)
    wait = counter.wait_for(cost, now, kept=kept)
    assert counter.wait_for(cost, now + wait, kept=kept) == 0
    assert counter.room(now + wait) >= cost + kept - 1e-5
    if wait > LATER:
        assert counter.wait_for(cost, now + wait - LATER, kept=kept) > 0
        assert counter.room(now + wait - LATER) < cost + kept


@given(tiers, steps, st.floats(0, 100), st.floats(0, 100))
def test_what_never_fits_waits_until_the_counter_is_empty(
    tier: Tier, events: list[Any], cost: float, kept: float
) -> None:
    counter, now, level = played(tier, events)
    wait = counter.wait_for(cost, now, kept=kept)
    assert wait <= level / tier.calls_decay + LATER


def test_after_a_refusal_the_counter_is_full() -> None:
    counter = CallCounter(STARTER)
    counter.snap(100.0)
    assert counter.level(100.0) == pytest.approx(15)
    assert counter.wait_for(1, 100.0) == pytest.approx(1 / 0.33)


@given(tiers, steps, st.floats(0, 200), st.floats(0, 1e6), st.floats(1e9, 2e9))
def test_save_and_restore_never_lower_the_level(
    tier: Tier, events: list[Any], away: float, start: float, wall: float
) -> None:
    """G4 over a restart: only the time that passed lowers it, whatever the new process calls zero."""
    counter, now, _ = played(tier, events)
    document = json.loads(json.dumps(counter.to_dict(now, wall)))
    restored = CallCounter.from_dict(document, tier, start, wall + away)
    assert restored.level(start) == pytest.approx(counter.level(now + away), abs=1e-4)


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
    assert CallCounter.from_dict(document, tier, 50.0, 1e9).level(50.0) == pytest.approx(tier.calls)


def test_the_tiers_are_those_of_the_settings() -> None:
    assert [check_tier(name) for name in TIERS] == ["starter", "intermediate", "pro"]


# --- the trading counters -------------------------------------------------------------------------------------

BANDS = [
    (0, 4, 7, 8), (4.9, 4, 7, 8), (5, 3, 6, 6), (9.9, 3, 6, 6), (10, 2, 5, 5), (15, 1, 3, 4), (44, 1, 3, 4),
    (45, 1, 2, 2), (89, 1, 2, 2), (90, 1, 1, 1), (299, 1, 1, 1), (300, 1, 1, 0), (1e6, 1, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize(("age", "amend", "edit", "cancel"), BANDS)
def test_the_penalties_are_those_of_krakens_page(age: float, amend: float, edit: float, cancel: float) -> None:
    counter = TradingCounter(STARTER)
    counter.born("O1", "XBTUSD", 100.0)
    actions = (Action.ADD, Action.AMEND, Action.EDIT, Action.CANCEL)
    assert [counter.points(action, 100.0 + age, "O1") for action in actions] == [1, amend, edit, cancel]


@given(st.sampled_from(Action), st.floats(0, 1e6), st.floats(0, 1e6))
def test_an_older_order_never_costs_more_and_an_unknown_one_the_most(action: Action, age: float, more: float) -> None:
    points = PENALTIES[action].points
    assert points(None) >= points(age) >= points(age + more) >= PENALTIES[action].fixed


def test_a_batch_costs_half() -> None:
    assert batch_points(15) == 7.5


def test_an_amend_makes_an_order_young_again() -> None:
    counter = TradingCounter(STARTER)
    counter.born("O1", "XBTUSD", 0.0)
    assert counter.points(Action.CANCEL, 400.0, "O1") == 0
    counter.born("O1", "XBTUSD", 400.0)
    assert counter.points(Action.CANCEL, 400.0, "O1") == 8


def test_a_cancel_of_all_is_charged_to_each_pair_and_may_overflow_it() -> None:
    """Kraken takes cancels even beyond the threshold; the next order waits for what they cost."""
    counter = TradingCounter(STARTER)
    for number in range(10):
        counter.born(f"A{number}", "XBTUSD", 0.0)
    counter.born("B", "ETHUSD", 0.0)
    counter.charge_cancels(1.0)
    assert (counter.level("XBTUSD", 1.0), counter.level("ETHUSD", 1.0)) == (80, 8)
    assert counter.wait_for(1, "XBTUSD", 1.0) == pytest.approx(80 + 1 - 60)
    assert counter.wait_for(1, "ETHUSD", 1.0) == 0


def test_a_cancel_of_some_is_charged_once_each() -> None:
    counter = TradingCounter(STARTER)
    counter.born("O1", "XBTUSD", 0.0)
    counter.born("O2", "XBTUSD", 0.0)
    counter.gone("O2")
    counter.gone("never told of")
    counter.charge_cancels(0.0, ["O1", "O1", "O2"])
    assert counter.level("XBTUSD", 0.0) == 8
    assert (counter.pair_of("O1"), counter.pair_of("O2")) == ("XBTUSD", None)


def test_a_refused_order_fills_the_counter_of_its_pair_only() -> None:
    counter = TradingCounter(STARTER)
    counter.snap("XBTUSD", 0.0)
    assert counter.wait_for(1, "XBTUSD", 0.0) == pytest.approx(1.0)
    assert counter.wait_for(1, "ETHUSD", 0.0) == 0
    counter.charge(100, "XBTUSD", 0.0)
    counter.snap("XBTUSD", 0.0)
    assert counter.level("XBTUSD", 0.0) == 160, "a refusal never lowers a level"


def test_memory_is_bounded() -> None:
    counter = TradingCounter(STARTER, remember=100)
    for number in range(5_000):
        counter.born(f"O{number}", f"PAIR{number}", float(number))
        counter.charge(1, f"PAIR{number}", float(number))
    assert len(counter._orders) == 100
    assert len(counter._pairs) <= 3
    assert counter.points(Action.AMEND, 1e6, "O0") == 4, "a forgotten order costs the dearest"


@given(
    tiers,
    st.lists(st.tuples(st.floats(0, 60), st.sampled_from(["A", "B"]), st.sampled_from([0.5, 1, 4, 8])), max_size=40),
)
def test_each_pair_counts_for_itself(tier: Tier, events: list[tuple[float, str, float]]) -> None:
    counter, now, levels = TradingCounter(tier), 0.0, {"A": 0.0, "B": 0.0}
    for pause, pair, points in events:
        now += pause
        levels = {name: max(0.0, level - pause * tier.trades_decay) for name, level in levels.items()}
        levels[pair] += points
        counter.charge(points, pair, now)
    for pair, level in levels.items():
        assert counter.level(pair, now) == pytest.approx(level, abs=1e-6)
        wait = counter.wait_for(1, pair, now)
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


def admission(tier: Tier = STARTER) -> Admission:
    return Admission(CallCounter(tier), TradingCounter(tier))


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
    gate, now = admission(tier), 0.0
    for pause, each, error in events:
        now += pause
        gate.after(error, each, now, pair="XBTUSD", points=8.0)
        assert gate.check(CallClass.CANCEL, cost, now, pair="XBTUSD", points=1000.0) is None


@given(tiers, st.lists(st.tuples(st.floats(0, 5), costs), max_size=40))
def test_what_costs_nothing_is_never_refused_by_the_rest_counter(tier: Tier, events: list[Any]) -> None:
    gate, now = admission(tier), 0.0
    for pause, cost in events:
        now += pause
        gate.after(RATE, cost, now)
        assert gate.check(CallClass.ORDER, 0, now, **ADD) is None
        assert gate.check(CallClass.READ, 0, now) is None


@given(tiers, st.lists(st.tuples(st.floats(0, 3), st.sampled_from([1, 4])), max_size=80))
def test_reads_leave_room_for_a_settlement_round_and_a_write(tier: Tier, reads: list[Any]) -> None:
    gate, now = admission(tier), 0.0
    for pause, cost in reads:
        now += pause
        if gate.check(CallClass.READ, cost, now) is None:
            gate.after(None, cost, now)
    for name in ("OpenOrders", "ClosedOrders", "TradesHistory"):
        assert gate.check(CallClass.SETTLE, PRIVATE[name].cost, now) is None
        gate.after(None, PRIVATE[name].cost, now)
    assert gate.check(CallClass.ORDER, 1, now) is None


@pytest.mark.parametrize("tier", TIERS.values(), ids=TIERS)
def test_every_tier_polls_its_balance_every_five_seconds_for_ever(tier: Tier) -> None:
    gate = admission(tier)
    for turn in range(1_000):
        assert gate.check(CallClass.READ, 1, 5.0 * turn) is None
        gate.after(None, 1, 5.0 * turn + 0.2)
    assert gate.check(CallClass.READ, 4, 5_000.0) is None, "and history can be read beside it"


@given(tiers, st.lists(st.tuples(st.sampled_from(list(CallClass)[1:]), costs), max_size=60))
def test_a_held_call_may_go_exactly_when_it_was_told(tier: Tier, calls: list[tuple[CallClass, float]]) -> None:
    gate, now = admission(tier), 0.0
    for call_class, cost in calls:
        held = gate.check(call_class, cost, now)
        if held is not None:
            assert gate.check(call_class, cost, now + held.retry_after - LATER) is not None
            now += held.retry_after
        assert gate.check(call_class, cost, now) is None
        gate.after(None, cost, now)


def test_a_refusal_by_kraken_fills_the_counter_for_reads() -> None:
    gate = admission()
    assert gate.check(CallClass.READ, 1, 0.0) is None
    gate.after(RATE, 1, 0.0)
    held = gate.check(CallClass.READ, 1, 0.0)
    assert held is not None
    assert held.retry_after == pytest.approx((1 + KEPT[CallClass.READ]) / 0.33)
    assert "counter" in held.reason


def test_a_refused_order_holds_orders_of_its_pair_only() -> None:
    gate = admission()
    gate.after(ORDER_RATE, 0, 0.0, **ADD)
    held = gate.check(CallClass.ORDER, 0, 0.0, **ADD)
    assert held is not None
    assert held.retry_after == pytest.approx(1.0)
    assert "XBTUSD" in held.reason
    assert gate.check(CallClass.ORDER, 0, 0.0, pair="ETHUSD", points=1.0) is None
    assert gate.check(CallClass.READ, 1, 0.0) is None


@pytest.mark.parametrize("call_class", [CallClass.ORDER, CallClass.SETTLE, CallClass.READ])
def test_throttled_holds_all_but_cancels_until_the_time_that_kraken_names(call_class: CallClass) -> None:
    gate = admission()
    gate.after(THROTTLE, 1, 100.0)
    held = gate.check(call_class, 0, 100.0)
    assert held is not None
    assert held.retry_after == 20.0
    assert gate.check(CallClass.CANCEL, 1, 100.0) is None
    assert gate.check(call_class, 0, 120.0) is None


@pytest.mark.parametrize(("retry_after", "pause"), [(None, THROTTLED), (0.0, SHORTEST), (900.0, 900.0)])
def test_throttled_always_means_a_pause(retry_after: float | None, pause: float) -> None:
    gate = admission()
    gate.after(errors.CallUnknown("?", kraken_code="EService:Throttled", retry_after=retry_after), 0, 0.0)
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
    calls = CallCounter(STARTER)
    gate = Admission(calls, TradingCounter(STARTER))
    gate.after(errors.ConnectFailed("no"), 4, 0.0)
    assert calls.level(0.0) == 0
    gate.after(errors.CallUnknown("timed out"), 4, 0.0)
    assert calls.level(0.0) == 4
