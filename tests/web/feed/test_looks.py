"""What is asked for because somebody looks at the page: public prices and the history, as rarely as planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Settings
from engine.simulator import Fault, Simulator
from engine.web.feed.balance_history import DAY_AGO_EVERY, BalanceCharts, DayAgo, chart_of
from engine.web.feed.feed import WATCHED_FOR, Feed
from engine.web.feed.quote_board import PRICES_EVERY, USABLE, QuoteBoard
from tests.conftest import QUICK, Events
from tests.manual_clock import ManualClock
from tests.stopwatch import PATIENCE
from tests.web.page.status import status_of


@pytest.fixture
def engine(sim: Simulator, tmp_path: Path) -> Any:
    settings = Settings(refresh_every=60.0, local_limits=False)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=settings, balances=()) as running:
        yield running


def test_prices_are_public_and_show_what_a_total_and_a_distance_need(sim: Simulator, engine: Engine) -> None:
    time = ManualClock()
    board = QuoteBoard(time.monotonic, PATIENCE)
    assert board.is_due()
    private = sum(call.private for call in sim.calls)
    board.look(engine, ["XBT", "EUR", "NEW"], ["XBTUSD", "NOPAIR"])
    assert not board.is_due()
    quotes = board.quotes
    assert quotes.prices.by_market["XBT", "USD"] > 0
    assert quotes.last["XBTUSD"] == quotes.last["XBT/USD"] == quotes.last["XXBTZUSD"]
    assert quotes.decimals["USD"] == 2
    assert sum(call.private for call in sim.calls) == private
    time.now += PRICES_EVERY
    assert board.is_due()
    with sim.outage(Fault.http(502)):
        board.look(engine, ["XBT"], [])
    assert board.quotes == quotes, "as they were, for a while"
    time.now += USABLE
    assert not board.quotes.prices.by_market, "a price that is old is none"
    assert board.quotes.decimals


def test_the_last_balance_of_a_day_ago_is_read_from_the_history(sim: Simulator, tmp_path: Path) -> None:
    time, events = ManualClock(), Events()
    day = DayAgo(time.monotonic)
    engine = Engine(sim.accounts[:1], url=sim.url, state_dir=tmp_path, settings=QUICK)
    engine.subscribe(events)
    day.look(engine, ["MASTER"])
    assert (day.points, day.is_due()) == ({}, True), "the first points come soon"
    with engine:
        engine.balance("MASTER", max_age=0)
    day.look(engine, ["MASTER", "GONE"])
    assert day.points["MASTER"].cash == engine.balance("MASTER").cash
    assert not day.is_due()
    time.now += DAY_AGO_EVERY
    assert day.is_due()
    charts = BalanceCharts(time.monotonic)
    chart = charts.get(engine, 7.0)
    assert charts.get(engine, 7.0) is chart, "read once for all who look"
    assert chart_of(engine, ["MASTER", "GONE"], 7.0) == chart
    assert chart["MASTER"]["cash"] == [format(day.points["MASTER"].cash, "f")]
    assert [mark["kind"] for mark in chart["MASTER"]["marks"]] == ["available"]


def test_nothing_is_asked_while_nobody_looks() -> None:
    time = ManualClock()
    feed = Feed(status_of, clock=time)
    assert list(feed.questions()) == []
    feed.looked_at()
    assert len(list(feed.questions())) == 3, "orders, the history and prices"
    time.now += WATCHED_FOR + 1
    assert list(feed.questions()) == []
