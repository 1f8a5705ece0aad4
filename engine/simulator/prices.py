"""The prices of the pairs: a bid and an ask, which a test may move, and their history."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.catalogue import BIDS_ONLY, NO_SIDE
from engine.simulator.market import ListedPair, Row, shown, tick, ticker_row

INTERVALS = frozenset({1, 5, 15, 30, 60, 240, 1440, 10080, 21600})  # minutes
ROWS_AT_MOST = 720
DEPTH = 100


class Quote(NamedTuple):
    """A price since a time (Unix seconds). A bid or ask of 0 means that this side of the book is empty.

    last: the price of the last trade of strangers.  traded: there was one; otherwise `last` is only a reference.
    """

    since: float
    bid: Decimal
    ask: Decimal
    last: Decimal
    traded: bool = True


def _stamp(seconds: float, number: int) -> int:
    """The time of a trade in nanoseconds; no two have the same."""
    return round(seconds * 10**6) * 1000 + number


class Prices:
    """Bids and asks by pair id, each with unlimited volume. The exchange holds its lock around every method."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._began = wall()
        self._quotes: dict[str, list[Quote]] = {}

    def quote(self, pair: ListedPair) -> Quote:
        """What the pair costs now."""
        return self._history(pair)[-1]

    def move(self, pair: ListedPair, bid: Decimal, ask: Decimal) -> None:
        """Set bid and ask; 0 for none. Raises `ValueError` unless the bid is below the ask."""
        if bid < 0 or ask < 0 or (bid >= ask > 0):
            raise ValueError("a bid is below the ask, and neither is below 0")
        before = self.quote(pair)
        last = ask or before.last
        self._history(pair).append(Quote(self._wall(), bid, ask, last, before.traded or ask > 0))

    def ticker(self, pair: ListedPair) -> Row:
        """The row of `Ticker`."""
        quote = self.quote(pair)
        return ticker_row(pair, quote, traded=quote.traded)

    def depth(self, pair: ListedPair, count: int = DEPTH) -> dict[str, list[list[Any]]]:
        """The rows of `Depth`: each level a tick from the next."""
        now = int(self._wall())
        asks, bids = self.levels(pair, count)
        return {
            "asks": [[shown(price, pair), "1.000", now] for price in asks],
            "bids": [[shown(price, pair), "1.000", now] for price in bids],
        }

    def levels(self, pair: ListedPair, count: int) -> tuple[list[Decimal], list[Decimal]]:
        """The prices of the asks and of the bids, the best ones first; one unit is offered at each."""
        quote, step = self.quote(pair), tick(pair)
        asks = [quote.ask + step * n for n in range(count)] if quote.ask else []
        return asks, [price for n in range(count) if (price := quote.bid - step * n) > 0]

    def candles(self, pair: ListedPair, minutes: int, since: int = 0) -> tuple[list[list[Any]], int]:
        """The rows of `OHLC`, at most 720, the last one not finished; and its `last`."""
        width, now = minutes * 60, self._wall()
        newest = int(now) // width * width
        first = max(newest - width * (ROWS_AT_MOST - 1), 0)
        starts = [start for start in range(first, newest + 1, width) if start > since - width]
        return [self._candle(pair, start, width) for start in starts], newest - width

    def spreads(self, pair: ListedPair) -> list[list[Any]]:
        """The rows of `Spread`."""
        return [[int(each.since), shown(each.bid, pair), shown(each.ask, pair)] for each in self._history(pair)]

    def trades(self, pair: ListedPair, count: int, since: int = 0) -> tuple[list[list[Any]], int]:
        """The rows of `Trades`, one public trade for each past price; and its `last`.

        The first `count` after `since`, which is in nanoseconds; without it the last `count`.
        """
        numbered = ((number, each) for number, each in enumerate(self._history(pair), start=1) if each.traded)
        found = [(_stamp(each.since, number), number, each) for number, each in numbered]
        wanted = [each for each in found if each[0] > since]
        wanted = wanted[:count] if since else wanted[-count:]
        rows = [
            [shown(each.last, pair), "0.01000000", each.since, "b", "l", "", number] for _, number, each in wanted
        ]
        return rows, wanted[-1][0] if wanted else since

    def _candle(self, pair: ListedPair, start: int, width: int) -> list[Any]:
        history = self._history(pair)
        at = bisect_right(history, float(start), key=lambda quote: quote.since)
        until = bisect_left(history, float(start + width), lo=at, key=lambda quote: quote.since)
        inside = [quote.last for quote in history[at:until]]
        opening = history[max(0, at - 1)].last
        prices = [opening, *inside]
        told = [f"{price:.{pair.pair_decimals}f}" for price in (opening, max(prices), min(prices), prices[-1])]
        return [start, *told, told[-1] if inside else "0.0", "1.00000000" if inside else "0.00000000", len(inside)]

    def _history(self, pair: ListedPair) -> list[Quote]:
        if pair.id not in self._quotes:
            last = Decimal(pair.last)
            bid, ask = Decimal(0) if pair.book == NO_SIDE else last - tick(pair), last
            if pair.book in (NO_SIDE, BIDS_ONLY):
                ask = Decimal(0)
            self._quotes[pair.id] = [Quote(self._began, bid, ask, last, traded=pair.book != BIDS_ONLY)]
        return self._quotes[pair.id]

