"""The subscription of pairs to Kraken's public channel ``ticker``, as one value that changes only here.

It goes through the same states as that of an account (`subscription`): LIVE when a pair is acknowledged and its
snapshot is read. A price is believed only while the subscription is LIVE, the last frame other than a pong is at most
`SILENCE` old, and its pair is acknowledged and has told a price. Anything else is the engine without push: the pair is
asked for by REST.

Frames have no number, so a lost one cannot be noticed, and Kraken has been seen to acknowledge a public channel, to
send heartbeats, and no data. Therefore a pair that has told nothing for `RENEW_AFTER` is subscribed anew; a snapshot
with another price than the last one is a doubt about all.
Source: issue 4255 of nautechsystems/nautilus_trader, June 2026.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from decimal import Decimal
from typing import NamedTuple

from engine.kraken.price_stream import PriceFrame, SymbolAnswer, TickerFrame
from engine.kraken.stream import Doubt, Pong
from engine.rules.stream.subscription import (
    COMPLETE_WITHIN,
    LONG_AGO,
    SILENCE,
    Moment,
    StreamEvent,
    StreamState,
    next_state,
)
from engine.values import Ticker
from engine.values.dataclass import dataclass

RENEW_AFTER = 30.0
"""Seconds without a row until a pair is subscribed anew."""
RENEWED_AT_ONCE = 10
"""Pairs: so many quiet ones do not come back in the same second."""
REFUSED_FOR = 600.0
"""Seconds that a pair stays on REST after Kraken has refused it, or has told no price of it."""
NO_PRICE = "Kraken told no price of it in time"


class PushedPrice(NamedTuple):
    """A price, and the time for which it holds, by the monotonic clock."""

    ticker: Ticker
    at: float


class Refused(NamedTuple):
    """Why a pair is on REST, and since when, by the monotonic clock."""

    why: str
    at: float


class Requests(NamedTuple):
    """What to send to Kraken, in this order."""

    unsubscribe: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PushedPair:
    """One pair of the subscription."""

    asked_at: Moment
    """When it was subscribed, or subscribed anew."""
    is_acknowledged: bool = False
    has_snapshot: bool = False
    is_known: bool = False
    """Whether it has been acknowledged and told since it was first subscribed here."""
    ticker: Ticker | None = None
    told_at: Moment = LONG_AGO

    @property
    def is_complete(self) -> bool:
        """Whether Kraken has answered the last request and told what there is."""
        return self.is_acknowledged and self.has_snapshot

    def is_late(self, now: Moment) -> bool:
        """Whether it should be complete by now."""
        return not self.is_complete and now.since(self.asked_at) > COMPLETE_WITHIN

    def is_quiet(self, now: Moment) -> bool:
        """Whether it has told nothing for so long that it is subscribed anew."""
        return self.is_complete and now.since(self.told_at) > RENEW_AFTER

    def renewed(self, now: Moment) -> PushedPair:
        """It is subscribed anew; its price is believed meanwhile."""
        return replace(self, asked_at=now, is_acknowledged=False, has_snapshot=False)

    def acknowledged(self) -> PushedPair:
        """Kraken has answered."""
        return replace(self, is_acknowledged=True, is_known=self.is_known or self.has_snapshot)

    def told(self, ticker: Ticker | None, now: Moment, *, is_snapshot: bool) -> PushedPair:
        """A row has come. Raises `Doubt` when a price was missed."""
        is_renewal = is_snapshot and not self.has_snapshot and self.ticker is not None
        if is_renewal and _best(ticker) != _best(self.ticker):
            raise Doubt("a pair has another price than the one that was told last")
        has_snapshot = self.has_snapshot or is_snapshot
        return replace(
            self, ticker=ticker, told_at=now, has_snapshot=has_snapshot,
            is_known=self.is_known or (self.is_acknowledged and has_snapshot),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class PriceSubscription:
    """Of one engine. Immutable; each method returns the subscription after an event."""

    state: StreamState = StreamState.DOWN
    pairs: Mapping[str, PushedPair] = field(default_factory=dict)
    """By symbol."""
    refused: Mapping[str, Refused] = field(default_factory=dict)
    """The pairs that are on REST, by symbol; it outlives a connection."""
    heard_at: Moment = LONG_AGO
    """When the last frame other than a pong came."""

    def opened(self, now: Moment) -> PriceSubscription:
        """A socket is open."""
        return replace(self._after(StreamEvent.OPENED), heard_at=now)

    def doubted(self) -> PriceSubscription:
        """It is not known what was missed, or nothing is subscribed any more."""
        return self._after(StreamEvent.DOUBTED)

    def ended(self) -> PriceSubscription:
        """Kraken refuses the connection."""
        return self._after(StreamEvent.REFUSED)

    def renewed(self) -> PriceSubscription:
        """It may be tried again."""
        return self._after(StreamEvent.RENEWED)

    def price(self, symbol: str, now: Moment) -> PushedPrice | None:
        """The price of a pair, if it is believed at `now`; it holds for the moment of the last sign of life."""
        pair = self.pairs.get(symbol)
        if pair is None or not pair.is_known or pair.ticker is None:
            return None
        if self.state is not StreamState.LIVE or self.is_silent(now):
            return None
        return PushedPrice(pair.ticker, self.heard_at.monotonic)

    def is_silent(self, now: Moment) -> bool:
        """Whether the last frame other than a pong is too long ago."""
        return now.since(self.heard_at) > SILENCE

    def after(self, frame: PriceFrame, now: Moment) -> PriceSubscription:
        """A frame has come. Raises `Doubt`."""
        if isinstance(frame, Pong):
            return self
        if self.is_silent(now):  # what came late may be older than what was missed
            raise Doubt("silence")
        heard = replace(self, heard_at=now)
        if isinstance(frame, SymbolAnswer):
            heard = heard._answered(frame, now)
        elif isinstance(frame, TickerFrame):
            heard = heard._told(frame, now)
        return heard._completed()

    def looked(self, wanted: Collection[str], now: Moment) -> tuple[PriceSubscription, Requests]:
        """What is subscribed at `now`, and the requests for it. Raises `Doubt` when Kraken tells no price at all.

        wanted: the symbols whose prices are asked for. One that Kraken refuses, or tells no price of, is on REST for
        `REFUSED_FOR`.
        """
        late = {symbol for symbol, pair in self.pairs.items() if pair.is_late(now)}
        if late and not any(pair.is_known for pair in self.pairs.values()):
            raise Doubt(f"no price within {COMPLETE_WITHIN:g} seconds")
        refused = still_refused(self.refused, now) | {symbol: Refused(NO_PRICE, now.monotonic) for symbol in late}
        kept = {symbol: pair for symbol, pair in self.pairs.items() if symbol in wanted and symbol not in late}
        new = tuple(symbol for symbol in wanted if symbol not in kept and symbol not in refused)
        quiet = sorted((pair.told_at, symbol) for symbol, pair in kept.items() if pair.is_quiet(now))
        again = tuple(symbol for _, symbol in quiet[:RENEWED_AT_ONCE])
        pairs = kept | {symbol: kept[symbol].renewed(now) for symbol in again} | dict.fromkeys(new, PushedPair(now))
        gone = tuple(symbol for symbol in self.pairs if symbol not in kept)
        return replace(self, pairs=pairs, refused=refused), Requests(gone + again, new + again)

    def _answered(self, answer: SymbolAnswer, now: Moment) -> PriceSubscription:
        pair = self.pairs.get(answer.symbol or "")
        if answer.symbol is None and answer.error is not None:
            raise Doubt(f"Kraken refused a request: {answer.error[:80]}")
        if answer.symbol is None or pair is None:
            return self
        if answer.error is None:
            return replace(self, pairs={**self.pairs, answer.symbol: pair.acknowledged()})
        others = {symbol: each for symbol, each in self.pairs.items() if symbol != answer.symbol}
        refused = {**self.refused, answer.symbol: Refused(answer.error[:80], now.monotonic)}
        return replace(self, pairs=others, refused=refused)

    def _told(self, frame: TickerFrame, now: Moment) -> PriceSubscription:
        told = {
            symbol: self.pairs[symbol].told(ticker, now, is_snapshot=frame.is_snapshot)
            for symbol, ticker in frame.tickers.items() if symbol in self.pairs
        }  # fmt: skip
        return replace(self, pairs={**self.pairs, **told})

    def _completed(self) -> PriceSubscription:
        is_begun = self.state is StreamState.SUBSCRIBING and any(pair.is_known for pair in self.pairs.values())
        return replace(self, state=next_state(self.state, StreamEvent.COMPLETE)) if is_begun else self

    def _after(self, event: StreamEvent) -> PriceSubscription:
        return PriceSubscription(next_state(self.state, event), refused=self.refused)


def still_refused(refused: Mapping[str, Refused], now: Moment) -> dict[str, Refused]:
    """Those that are on REST at `now`."""
    return {symbol: each for symbol, each in refused.items() if now.monotonic - each.at < REFUSED_FOR}


def _best(ticker: Ticker | None) -> tuple[Decimal, Decimal] | None:
    return None if ticker is None else (ticker.bid, ticker.ask)
