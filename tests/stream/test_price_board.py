"""What the gates ask for, and what they are told: without a socket and a thread."""

from __future__ import annotations

from decimal import Decimal

from engine.kraken.price_stream import SymbolAnswer, TickerFrame
from engine.kraken.stream import Alive
from engine.rules.stream.price_subscription import PriceSubscription, PushedPrice
from engine.rules.stream.subscription import StreamState
from engine.stream.price_board import ASKED_WITHIN, MOST_PAIRS, NOT_ASKED, PriceBoard
from engine.values import Ticker
from tests.manual_clock import ManualClock

BTC = "BTC/USD"
TICKER = Ticker(Decimal(101), Decimal(100), None)


def live(board: PriceBoard) -> PriceSubscription:
    now = board.now()
    one, _ = PriceSubscription().opened(now).looked([BTC], now)
    return one.after(SymbolAnswer(BTC, None), now).after(TickerFrame(True, {BTC: TICKER}), now)


def test_what_is_asked_for_is_wanted_for_ten_minutes() -> None:
    clock = ManualClock(epoch=5e8)
    board = PriceBoard(clock)
    assert board.ask([BTC], 5.0) == {}
    clock.now += ASKED_WITHIN
    board.ask(["ETH/USD"], 5.0)
    assert board.wanted() == (BTC, "ETH/USD")
    clock.now += 1
    assert board.wanted() == ("ETH/USD",)


def test_no_more_than_200_pairs_are_wanted_and_those_asked_for_longest_stay() -> None:
    board = PriceBoard(ManualClock(epoch=5e8))
    names = [f"A{n}/USD" for n in range(MOST_PAIRS + 5)]
    board.ask(names, 5.0)
    board.ask(reversed(names), 5.0)
    assert board.wanted() == tuple(names[:MOST_PAIRS])


def test_a_price_that_is_too_old_for_the_pass_is_not_told() -> None:
    clock = ManualClock(epoch=5e8)
    board = PriceBoard(clock)
    board.changed(live(board))
    clock.now += 2
    assert board.ask([BTC, "ETH/USD"], 2.0) == {BTC: PushedPrice(TICKER, 1000.0)}
    assert board.ask([BTC], 1.9) == {}
    clock.now += 2
    assert board.ask([BTC], 10.0) == {}, "silence is seen without the push thread"


def test_a_question_wakes_the_push_thread_once() -> None:
    board = PriceBoard(ManualClock(epoch=5e8))
    woken: list[int] = []
    board.wake(lambda: woken.append(1))
    board.ask([], 5.0)
    assert woken == []
    board.wake(lambda: woken.append(2))
    board.ask([BTC], 5.0)
    board.ask([BTC], 5.0)
    assert woken == [2]


def test_its_report_is_one_of_the_state_and_counts_gaps() -> None:
    clock = ManualClock(epoch=5e8)
    board = PriceBoard(clock)
    assert (board.report.state, board.report.reason, board.report.is_asked) == (StreamState.DOWN, NOT_ASKED, False)
    one = live(board)
    board.changed(one)
    assert (board.report.state, board.report.reason, board.report.pairs) == (StreamState.LIVE, None, 1)
    since = board.report.since
    clock.now += 1
    board.changed(one.after(Alive(), board.now()))
    assert board.report.since == since
    board.changed(one.after(SymbolAnswer(BTC, "No."), board.now()))
    assert board.report.sentence == "Prices are live (0 pairs; by REST: BTC/USD)."
    board.changed(one.doubted(), "silence", is_gap=True)
    assert (board.report.state, board.report.reason, board.report.gaps) == (StreamState.DOWN, "silence", 1)
    assert board.report.since > since
    assert board.report.sentence == "Prices are down: silence; the gates ask for them by REST."
    assert board.report.to_dict()["reason"] == "silence"
