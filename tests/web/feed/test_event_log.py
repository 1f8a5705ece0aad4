"""The log of events: what matters, each order with its terms, what comes again only counted, and all of it kept."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from engine.actors.events import (
    AvailabilityChanged,
    CallFinished,
    EngineWarning,
    KeyChanged,
    OperatorActed,
    OrderChanged,
)
from engine.errors import CallUnknown, MarketUnavailable, Outcome
from engine.rules.order.order import Order, OrderReceipt
from engine.rules.order.states import OrderState
from engine.web.feed.event_log import KEPT, EventLog
from engine.web.feed.feed import Feed
from engine.web.page.view import EVENTS_SHOWN
from tests.web.page.status import status_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_events_tell_what_matters_and_count_what_comes_again() -> None:
    feed = Feed(status_of)
    refused = MarketUnavailable("Kraken refused it.")
    for event in (
        AvailabilityChanged("MASTER", False, "Kraken refused it."),
        CallFinished("MASTER", "Balance", Outcome.DONE, None, 0.0, 0.1),
        CallFinished("MASTER", "AddOrder", Outcome.DONE, None, 0.0, 0.1, "order"),
        CallFinished("MASTER", "AddOrder", Outcome.UNKNOWN, CallUnknown("No answer."), 0.0, 0.1, "order"),
        CallFinished("MASTER", "Balance", Outcome.REFUSED, refused, 0.0, 0.1),
        EngineWarning("code", "Look at the disk."),
        KeyChanged("MASTER", "key-refused", "Kraken refuses this key."),
        CallFinished("MASTER", "Balance", Outcome.REFUSED, refused, 0.0, 0.1),
    ):
        feed(event)
    assert [(row.state, row.cells[3].text) for row in feed.view.rows["events"]] == [
        ("warn", "MASTER Balance: refused. Kraken refused it. (2 times)"),
        ("bad", "MASTER: Kraken refuses this key."),
        ("warn", "Look at the disk."),
        ("bad", "MASTER AddOrder: unknown. No answer."),
        ("plain", "MASTER AddOrder: done in 100 ms."),
        ("bad", "MASTER is not available: Kraken refused it."),
    ]
    assert feed.view.rows["events"][1].tags == {"account": "MASTER", "kind": "key"}


def test_an_order_s_event_says_pair_side_and_volume() -> None:
    log = EventLog()
    order = Order("XBTUSD", "buy", "limit", "0.02", "30000")
    placed = OrderReceipt("signal-42", "MASTER", order, OrderState.PLACED, filled=Decimal("0.01"))
    log.add(OrderChanged("MASTER", placed), NOW)
    (event,) = log.newest(1)
    assert event.text == "MASTER signal-42: buy 0.02 XBTUSD limit at 30,000: placed, 0.01 filled."


def test_an_action_says_who() -> None:
    log = EventLog()
    log.add(OperatorActed("MASTER", "pause trading", "carol at 127.0.0.1", True, "It is paused."), NOW)
    assert log.newest(1)[0].text == "MASTER: pause trading, by carol at 127.0.0.1: It is paused."


def test_the_log_has_more_than_the_page_and_is_bounded() -> None:
    log = EventLog()
    for number in range(KEPT + 1):
        log.add(EngineWarning("code", f"Number {number}."), NOW)
    lines = list(log.lines())
    assert len(lines) == KEPT > EVENTS_SHOWN
    assert (lines[0], lines[-1]) == (
        "2026-01-01T12:00:00.000+00:00 warning: Number 1.\n",
        f"2026-01-01T12:00:00.000+00:00 warning: Number {KEPT}.\n",
    )
    log.add(CallFinished("A", "Balance", Outcome.UNKNOWN, CallUnknown("No."), 0.0, 0.1), NOW)
    log.add(CallFinished("A", "Balance", Outcome.UNKNOWN, CallUnknown("No."), 0.0, 0.1), NOW)
    assert list(log.lines())[-1].endswith("A Balance: unknown. No. (2 times)\n")
