"""What the pairs cost: a bid and an ask for each, which a test may move, and what they were before."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.market import Pair, Row, find_pair, tick, ticker_row

INTERVALS = frozenset({1, 5, 15, 30, 60, 240, 1440, 10080, 21600})  # minutes
ROWS_AT_MOST = 720
DEPTH = 100


class Quote(NamedTuple):
    """A price from some time on (Unix seconds)."""

    since: float
    bid: Decimal
    ask: Decimal

    @property
    def last(self) -> Decimal:
        """The price of the last trade of strangers."""
        return self.ask


def _stamp(seconds: float, number: int) -> int:
    """The time of a trade in nanoseconds; no two have the same."""
    return round(seconds * 10**6) * 1000 + number


class Prices:
    """Bids and asks by pair id, with an endless volume behind each. The exchange holds its lock around every method."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._began = wall()
        self._quotes: dict[str, list[Quote]] = {}

    def quote(self, pair: Pair) -> Quote:
        """What the pair costs now."""
        return self._history(pair)[-1]

    def move(self, pair: Pair, bid: Decimal, ask: Decimal) -> None:
        """Another bid and ask from now on. Raises `ValueError` unless 0 < bid < ask."""
        if not 0 < bid < ask:
            raise ValueError("a bid is above 0 and below the ask")
        self._history(pair).append(Quote(self._wall(), bid, ask))

    def ticker(self, pairs: Iterable[str]) -> dict[str, Row]:
        """The rows of `Ticker` for these pair ids."""
        known = [pair for each in pairs if (pair := find_pair(each))]
        return {pair.id: ticker_row(pair, self.quote(pair)) for pair in known}

    def depth(self, pair: Pair, count: int = DEPTH) -> dict[str, list[list[Any]]]:
        """The rows of `Depth`: each level a tick from the next."""
        now, quote, step = int(self._wall()), self.quote(pair), tick(pair)
        asks = [[f"{quote.ask + step * n:.5f}", "1.000", now] for n in range(count)]
        bids = [[f"{price:.5f}", "1.000", now] for n in range(count) if (price := quote.bid - step * n) > 0]
        return {"asks": asks, "bids": bids}

    def candles(self, pair: Pair, minutes: int, since: int = 0) -> tuple[list[list[Any]], int]:
        """The rows of `OHLC`, at most 720, the last one not finished; and its `last`."""
        width, now = minutes * 60, self._wall()
        newest = int(now) // width * width
        first = max(newest - width * (ROWS_AT_MOST - 1), 0)
        starts = [start for start in range(first, newest + 1, width) if start > since - width]
        return [self._candle(pair, start, width) for start in starts], newest - width

    def spreads(self, pair: Pair) -> list[list[Any]]:
        """The rows of `Spread`."""
        return [[int(each.since), f"{each.bid:.5f}", f"{each.ask:.5f}"] for each in self._history(pair)]

    def trades(self, pair: Pair, count: int, since: int = 0) -> tuple[list[list[Any]], int]:
        """The rows of `Trades`, one of strangers at each price there was; and its `last`.

        The first `count` after `since`, which is in nanoseconds; without it the last `count`.
        """
        numbered = enumerate(self._history(pair), start=1)
        found = [(_stamp(each.since, number), number, each) for number, each in numbered]
        wanted = [each for each in found if each[0] > since]
        wanted = wanted[:count] if since else wanted[-count:]
        rows = [[f"{each.last:.5f}", "0.01000000", each.since, "b", "l", "", number] for _, number, each in wanted]
        return rows, wanted[-1][0] if wanted else since

    def _candle(self, pair: Pair, start: int, width: int) -> list[Any]:
        history = self._history(pair)
        at = bisect_right(history, float(start), key=lambda quote: quote.since)
        until = bisect_left(history, float(start + width), lo=at, key=lambda quote: quote.since)
        inside = [quote.last for quote in history[at:until]]
        opening = history[max(0, at - 1)].last
        prices = [opening, *inside]
        shown = [f"{price:.5f}" for price in (opening, max(prices), min(prices), prices[-1])]
        return [start, *shown, shown[-1] if inside else "0.0", "1.00000000" if inside else "0.00000000", len(inside)]

    def _history(self, pair: Pair) -> list[Quote]:
        if pair.id not in self._quotes:
            last = Decimal(pair.last)
            self._quotes[pair.id] = [Quote(self._began, last - tick(pair), last)]
        return self._quotes[pair.id]

