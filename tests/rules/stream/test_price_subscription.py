"""Prices that are pushed: believed only with a sign of life, and never others than the exchange had told by then."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.kraken.price_stream import PriceFrame, SymbolAnswer, TickerFrame
from engine.kraken.stream import Alive, Doubt, Pong
from engine.rules.stream.price_subscription import (
    NO_PRICE,
    REFUSED_FOR,
    RENEW_AFTER,
    RENEWED_AT_ONCE,
    PriceSubscription,
    PushedPrice,
    Requests,
)
from engine.rules.stream.subscription import COMPLETE_WITHIN, SILENCE, Moment, StreamState
from engine.values import Ticker

BTC, ETH = "BTC/USD", "ETH/USD"


def at(seconds: float) -> Moment:
    return Moment(1000.0 + seconds, 5e8 + seconds)


def ticker(price: int) -> Ticker:
    return Ticker(Decimal(price + 1), Decimal(price), None)


def told(symbol: str, price: int | None, *, is_snapshot: bool = False) -> TickerFrame:
    return TickerFrame(is_snapshot, {symbol: None if price is None else ticker(price)})


def live(*symbols: str) -> PriceSubscription:
    """With a price of 100 for each, all told at 0."""
    one, _ = PriceSubscription().opened(at(0)).looked(symbols, at(0))
    for symbol in symbols:
        one = one.after(SymbolAnswer(symbol, None), at(0)).after(told(symbol, 100, is_snapshot=True), at(0))
    return one


def quiet(one: PriceSubscription, seconds: float) -> PriceSubscription:
    """Heartbeats only, for so long."""
    for second in range(int(seconds) + 1):
        one = one.after(Alive(), at(second))
    return one


def test_a_price_needs_an_acknowledgement_and_a_snapshot_in_any_order() -> None:
    frames: list[PriceFrame] = [SymbolAnswer(BTC, None), told(BTC, 100, is_snapshot=True)]
    for first, second in (frames, frames[::-1]):
        one, requests = PriceSubscription().opened(at(0)).looked([BTC], at(0))
        assert requests == Requests((), (BTC,))
        one = one.after(first, at(0)).after(told(BTC, 99), at(0.1))
        assert (one.state, one.price(BTC, at(0.1))) == (StreamState.SUBSCRIBING, None)
        one = one.after(Pong(), at(0.2)).after(told(ETH, 5), at(0.2))
        assert one.price(BTC, at(0.2)) is None
        if isinstance(second, TickerFrame):
            second = told(BTC, 99, is_snapshot=True)
        one = one.after(second, at(0.3))
        assert (one.state, one.price(BTC, at(0.3))) == (StreamState.LIVE, PushedPrice(ticker(99), at(0.3).monotonic))


def test_a_price_is_as_old_as_the_last_sign_of_life_and_no_pong_is_one() -> None:
    one = live(BTC).after(Alive(), at(2)).after(Pong(), at(4))
    assert one.price(BTC, at(5)) == PushedPrice(ticker(100), at(2).monotonic)
    assert one.price(BTC, at(2 + SILENCE + 0.001)) is None
    with pytest.raises(Doubt, match="silence"):
        one.after(told(BTC, 101), at(2 + SILENCE + 0.001))


def test_a_machine_that_was_suspended_believes_nothing() -> None:
    """The monotonic clock may stand still meanwhile."""
    assert live(BTC).price(BTC, Moment(at(0).monotonic, at(60).wall)) is None


def test_a_price_that_cannot_be_read_takes_the_pair_away_until_the_next_one() -> None:
    one = live(BTC, ETH).after(told(BTC, None), at(1))
    assert one.price(BTC, at(1)) is None
    assert one.price(ETH, at(1)) is not None
    one = one.after(told(BTC, 101), at(1.5))
    assert one.price(BTC, at(1.5)) == PushedPrice(ticker(101), at(1.5).monotonic)


def test_a_refused_symbol_is_on_rest_for_a_while_and_the_others_are_not() -> None:
    one, _ = live(BTC).looked([BTC, ETH], at(1))
    one = one.after(SymbolAnswer(ETH, "Currency pair not supported ETH/USD"), at(1))
    assert {symbol: each.why for symbol, each in one.refused.items()} == {ETH: "Currency pair not supported ETH/USD"}
    assert one.price(BTC, at(1)) is not None
    assert one.looked([BTC, ETH], at(2))[1] == Requests()
    again = one.doubted().opened(at(3))
    assert again.looked([BTC, ETH], at(3))[1] == Requests((), (BTC,)), "also after another connection"
    assert again.looked([ETH], at(1 + REFUSED_FOR))[1] == Requests((), (ETH,))


def test_a_refusal_that_names_no_pair_is_a_doubt() -> None:
    with pytest.raises(Doubt, match="Malformed request"):
        live(BTC).after(SymbolAnswer(None, "Malformed request"), at(1))


def test_a_pair_without_a_price_goes_to_rest_and_when_none_has_one_it_is_a_doubt() -> None:
    late = COMPLETE_WITHIN + 0.1
    one, _ = live(BTC).looked([BTC, ETH], at(0))
    one = quiet(one, COMPLETE_WITHIN).after(SymbolAnswer(ETH, None), at(late))
    one, requests = one.looked([BTC, ETH], at(late))
    assert (requests, one.refused[ETH].why) == (Requests((ETH,), ()), NO_PRICE)
    assert one.price(BTC, at(late)) is not None
    alone, _ = PriceSubscription().opened(at(0)).looked([BTC], at(0))
    with pytest.raises(Doubt, match="no price within 5 seconds"):
        quiet(alone, COMPLETE_WITHIN).looked([BTC], at(late))


def test_what_is_no_longer_asked_for_is_unsubscribed_and_not_believed() -> None:
    one, requests = live(BTC, ETH).looked([ETH], at(1))
    assert requests == Requests((BTC,), ())
    assert one.price(BTC, at(1)) is None
    assert one.after(told(BTC, 7), at(1)).price(BTC, at(1)) is None
    assert one.price(ETH, at(1)) is not None


def test_a_quiet_pair_is_subscribed_anew_and_believed_meanwhile() -> None:
    one = quiet(live(BTC, ETH), RENEW_AFTER - 1).after(told(ETH, 101), at(RENEW_AFTER - 1))
    now = at(RENEW_AFTER + 0.5)
    one, requests = one.after(Alive(), now).looked([BTC, ETH], now)
    assert requests == Requests((BTC,), (BTC,))
    assert one.price(BTC, now) == PushedPrice(ticker(100), now.monotonic)
    assert one.looked([BTC, ETH], now)[1] == Requests()
    same = one.after(SymbolAnswer(BTC, None), now).after(told(BTC, 100, is_snapshot=True), now)
    assert same.price(BTC, now) is not None
    with pytest.raises(Doubt, match="another price"):
        one.after(told(BTC, 102, is_snapshot=True), now)


def test_many_quiet_pairs_do_not_come_back_in_one_moment() -> None:
    names = [f"A{n}/USD" for n in range(3 * RENEWED_AT_ONCE)]
    one = quiet(live(*names), RENEW_AFTER + 1)
    asked: list[str] = []
    for _ in range(3):
        one, requests = one.looked(names, at(RENEW_AFTER + 1))
        assert len(requests.subscribe) == RENEWED_AT_ONCE
        asked += requests.subscribe
    assert sorted(asked) == sorted(names)


class PriceMachine(RuleBasedStateMachine):
    """An exchange that tells the truth late, and an engine that asks for this pair and that."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self.one = PriceSubscription()
        self.prices = {BTC: 100, ETH: 100}
        self.subscribed: set[str] = set()
        self.wire: list[tuple[float, PriceFrame]] = []
        self.wanted: tuple[str, ...] = (BTC,)
        self.history: dict[str, list[tuple[float, int]]] = {BTC: [(0.0, 100)], ETH: [(0.0, 100)]}
        self.heard = float("-inf")

    @property
    def is_open(self) -> bool:
        return self.one.state in (StreamState.SUBSCRIBING, StreamState.LIVE)

    def send(self, frame: PriceFrame) -> None:
        self.wire.append((self.seconds, frame))

    @rule(wanted=st.sampled_from([(BTC,), (ETH,), (BTC, ETH), ()]))
    def ask(self, wanted: tuple[str, ...]) -> None:
        self.wanted = wanted

    @precondition(lambda self: not self.is_open)
    @rule()
    def connect(self) -> None:
        self.one = self.one.opened(at(self.seconds))
        self.subscribed, self.wire, self.heard = set(), [], self.seconds
        self.look()

    @precondition(lambda self: self.is_open)
    @rule()
    def look(self) -> None:
        try:
            self.one, requests = self.one.looked(self.wanted, at(self.seconds))
        except Doubt:
            self.one = self.one.doubted()
            return
        self.subscribed -= set(requests.unsubscribe)
        for symbol in requests.subscribe:
            self.subscribed.add(symbol)
            self.send(SymbolAnswer(symbol, None))
            self.send(told(symbol, self.prices[symbol], is_snapshot=True))

    @rule(symbol=st.sampled_from([BTC, ETH]), price=st.integers(90, 110))
    def move(self, symbol: str, price: int) -> None:
        self.prices[symbol] = price
        self.history[symbol].append((self.seconds, price))
        if symbol in self.subscribed:
            self.send(told(symbol, price))

    @precondition(lambda self: self.is_open)
    @rule(frame=st.sampled_from([Alive(), Pong()]))
    def beat(self, frame: PriceFrame) -> None:
        self.send(frame)

    @precondition(lambda self: self.is_open)
    @rule(symbol=st.sampled_from([BTC, ETH]))
    def refuse(self, symbol: str) -> None:
        self.subscribed.discard(symbol)
        self.send(SymbolAnswer(symbol, "No."))

    @precondition(lambda self: self.wire)
    @rule()
    def deliver_all(self) -> None:
        for _, frame in self.wire:
            if not self.is_open:
                break
            was_silent = self.one.is_silent(at(self.seconds))
            try:
                self.one = self.one.after(frame, at(self.seconds))
                self.heard = self.heard if isinstance(frame, Pong) else self.seconds
            except Doubt:
                assert was_silent or isinstance(frame, TickerFrame)
                self.one = self.one.doubted()
        self.wire = []

    @rule(seconds=st.sampled_from([0.1, 0.9, 2.0, 4.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.seconds += seconds

    @invariant()
    def a_price_is_one_that_held_at_its_time_or_later(self) -> None:
        """With nothing on the wire it is the price of now; otherwise at least that of the oldest frame under way."""
        for symbol in (BTC, ETH):
            price = self.one.price(symbol, at(self.seconds))
            if price is None:
                continue
            assert price.at == at(self.heard).monotonic
            assert self.seconds - self.heard <= SILENCE
            since = min((sent for sent, _ in self.wire), default=self.seconds)
            before = [told for when, told in self.history[symbol] if when < since][-1:]
            later = [told for when, told in self.history[symbol] if when >= since]
            assert int(price.ticker.bid) in (*before, *later)

    @invariant()
    def what_is_not_live_tells_nothing(self) -> None:
        if self.one.state is not StreamState.LIVE:
            assert [self.one.price(each, at(self.seconds)) for each in (BTC, ETH)] == [None, None]


TestPriceMachine = PriceMachine.TestCase
TestPriceMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_row_of_a_pair_changes_no_other() -> None:
    one = live(BTC, ETH)
    assert one.after(told(BTC, 7), at(0)).pairs[ETH] == one.pairs[ETH]
    assert replace(one, state=StreamState.DOWN).price(BTC, at(0)) is None
