"""When an alert is told: once, not for a blip, again while it lasts, and when it is over; never a flood."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.actors.events import AvailabilityChanged, EngineWarning, KeyChanged, OrderChanged
from engine.alerts import AlertSettings
from engine.alerts.alarms import Alarms, Alert
from engine.alerts.kinds import news
from engine.rules.balance.silence import Silence
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.states import OrderState
from engine.values import Secret

AFTER, UNKNOWN_AFTER, REPEAT = 10.0, 300.0, 3600.0
OUTAGE = "Kraken answers 502."


class Bench:
    """Alarms, and a time that the test moves."""

    def __init__(self, **settings: Any) -> None:
        self.alarms = Alarms(AlertSettings((Secret("json://localhost"),), **settings))
        self.now = 1000.0

    def event(self, event: Any) -> None:
        for each in news(event):
            self.alarms.take(each, self.now)

    def after(self, seconds: float) -> list[Alert]:
        self.now += seconds
        return self.alarms.due(self.now)


def down(account: str, reason: str = OUTAGE) -> AvailabilityChanged:
    return AvailabilityChanged(account, is_available=False, reason=reason)


def up(account: str) -> AvailabilityChanged:
    return AvailabilityChanged(account, is_available=True, reason=None)


def order(state: OrderState, name: str = "signal-42") -> OrderChanged:
    receipt = OrderReceipt(name, "MASTER", Order("XBTUSD", "buy", "limit", "1", "1"), state)
    return OrderChanged("MASTER", receipt)


def test_an_outage_of_all_accounts_is_one_message_and_its_end_another() -> None:
    bench = Bench()
    bench.event(down("MASTER"))
    assert bench.after(AFTER - 1) == []
    bench.event(down("ALICE"))
    assert bench.after(1) == [Alert("unavailable", "kraken-engine: not available (ALICE, MASTER)", OUTAGE)]
    assert bench.after(60) == []
    bench.event(up("MASTER"))
    bench.event(up("ALICE"))
    assert bench.after(1) == [Alert("unavailable", "kraken-engine: over: not available (ALICE, MASTER)", OUTAGE)]
    assert bench.after(REPEAT) == []


def test_a_blip_is_not_told() -> None:
    bench = Bench()
    for _ in range(50):
        bench.event(down("MASTER"))
        assert bench.after(AFTER - 1) == []
        bench.event(up("MASTER"))
        assert bench.after(1) == []


def test_what_lasts_is_told_again_after_a_while() -> None:
    bench = Bench()
    bench.event(down("MASTER"))
    assert len(bench.after(AFTER)) == 1
    bench.event(down("MASTER", "another reason"))
    assert bench.after(REPEAT - 1) == []
    assert [each.text for each in bench.after(1)] == ["another reason"]


def test_silence_is_a_kind_of_its_own() -> None:
    bench = Bench()
    bench.event(down("MASTER"))
    bench.event(down("MASTER", Silence.NO_GOOD_REPLY.sentence(datetime(2026, 11, 28, tzinfo=UTC))))
    assert [each.kind for each in bench.after(AFTER)] == ["silence"]
    bench.event(up("MASTER"))
    assert [each.title for each in bench.after(0)] == ["kraken-engine: over: Kraken is silent (MASTER)"]


def test_an_unknown_order_is_told_when_it_has_been_unknown_for_long() -> None:
    bench = Bench()
    bench.event(order(OrderState.UNKNOWN))
    assert bench.after(UNKNOWN_AFTER - 1) == []
    bench.event(order(OrderState.UNKNOWN, "younger"))
    assert [each.text for each in bench.after(1)] == [
        "What became of order signal-42 is not known: it is looked up, do not place it again."
    ]
    bench.event(order(OrderState.PLACED))
    bench.event(order(OrderState.PLACED, "younger"))
    assert [each.title for each in bench.after(0)] == ["kraken-engine: over: an order is unknown (MASTER)"]


@pytest.mark.parametrize(("state", "kind"), [
    ("nonce-refused-once", "nonce"), ("nonces-refused", "nonce"), ("key-refused", "key"), ("locked-out", "key"),
])  # fmt: skip
def test_a_refused_key_and_a_refused_nonce(state: str, kind: str) -> None:
    bench = Bench()
    bench.event(KeyChanged("ALICE", state, "Why, and what to do."))
    (told,) = bench.after(AFTER)
    assert (told.kind, told.text) == (kind, "Why, and what to do.")
    bench.event(KeyChanged("ALICE", "open", "Kraken accepts the key again."))
    assert [each.title.split(": ")[1] for each in bench.after(0)] == ["over"]


def test_what_has_no_end_is_told_at_once_and_not_again_for_a_while() -> None:
    bench = Bench()
    told = ("kraken-changed", "drift"), ("nonces-failing", "disk"), ("order-unknown", "unknown-order")
    for code, kind in told:
        bench.event(EngineWarning(code, "A sentence."))
        assert [(each.kind, each.text) for each in bench.after(0)] == [(kind, "A sentence.")]
        bench.event(EngineWarning(code, "A sentence."))
        assert bench.after(REPEAT - 1) == []
        bench.event(EngineWarning(code, "A sentence."))
        assert len(bench.after(1)) == 1


def test_a_warning_that_is_no_trouble_is_not_told() -> None:
    bench = Bench()
    bench.event(EngineWarning("clock-right-again", "A sentence."))
    assert bench.after(REPEAT) == []


def test_a_flood_is_bounded_and_counted() -> None:
    bench = Bench(at_most_per_hour=5)
    for number in range(100):
        bench.event(EngineWarning("kraken-changed", f"Field {number} is new."))
    assert len(bench.after(0)) == 5
    assert bench.after(1800) == []
    (told,) = bench.after(1800)
    assert told.text.startswith("95 alerts were more")


EVENTS = st.one_of(
    st.builds(down, st.sampled_from(("A", "B"))), st.builds(up, st.sampled_from(("A", "B"))),
    st.builds(order, st.sampled_from([OrderState.UNKNOWN, OrderState.PLACED]), st.sampled_from(("x", "y"))),
    st.builds(EngineWarning, st.sampled_from(("kraken-changed", "limits-lost", "silence")), st.sampled_from("ab")),
)  # fmt: skip


@given(st.lists(st.tuples(EVENTS, st.floats(0, 500))))
def test_in_any_order_of_events_it_is_bounded_and_quiet_at_the_end(events: list[tuple[Any, float]]) -> None:
    bench, told = Bench(at_most_per_hour=4), []
    for event, seconds in events:
        bench.event(event)
        told += [(bench.now + seconds, each) for each in bench.after(seconds)]
    for moment, _ in told:
        assert sum(moment <= other < moment + 3600 for other, _ in told) <= 4
    for account in ("A", "B"):
        bench.event(up(account))
    for name in ("x", "y"):
        bench.event(order(OrderState.PLACED, name))
    bench.after(3600)
    bench.after(3600)
    assert bench.after(REPEAT) == []
