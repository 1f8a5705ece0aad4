"""The prices of many pairs: what push tells, and the others asked for together.

What is missing in an answer is asked for again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from engine.errors import CallError, InvalidArguments
from engine.kraken.drift import Note
from engine.kraken.pair_names import ticker_params
from engine.kraken.pair_rows import find_rows
from engine.kraken.tickers import NoPrice, read_tickers
from engine.rules.stream.price_subscription import PushedPrice
from engine.values import Pair, Ticker
from engine.values.dataclass import dataclass

TICKER = "Ticker"
AGAIN_AFTER = 30.0  # seconds until a pair that Kraken would not name a price of is asked for again
MOST_CALLS = 24  # of one `ask`: enough to find two bad names among 40, and Kraken counts them by IP
TOO_LATE = "No answer came in time."
_NO_ROW = "Kraken's Ticker did not tell it."
_TOO_MANY = "Kraken refuses too many names: this one is asked for again in the next pass."

Public = Callable[[str, Mapping[str, Any], float], Any]
Pushed = Callable[[Collection[Pair], float], Mapping[str, PushedPrice]]


@dataclass(frozen=True, slots=True)
class Price:
    """What Kraken told of a pair: its prices, or why there are none."""

    ticker: Ticker | None = None
    at: float = float("-inf")
    """When it was asked for, by the monotonic clock; one that push tells holds for the stream's last sign of life."""
    problem: str | None = None


@dataclass(slots=True)
class _Round:
    """One `ask`: until when it may call again, and how many calls it has made."""

    end: float
    calls: int = 0


class PriceReader:
    """Asks Ticker for the prices of an account's passes. Any thread.

    Kraken has answered an unknown name among others in two ways: with the rows of the others, or with a refusal of the
    whole. Neither way hides a pair that is there: those without a row are asked for again, by halves while all are
    refused, and each alone in the end. A pair without an answer when it is alone is kept apart from the others and
    asked for again every `AGAIN_AFTER` seconds; its absence does not mean that it is not listed.
    """

    def __init__(self, public: Public, pushed: Pushed, note: Note, monotonic: Callable[[], float]) -> None:
        self._public, self._pushed, self._note, self._monotonic = public, pushed, note, monotonic
        self._apart: dict[str, Price] = {}

    def ask(self, pairs: Collection[Pair], seconds: float, max_age: float) -> dict[str, Price]:
        """The prices of these pairs by id; each of them is in it. A `CallError` becomes the problem of its pairs.

        The pairs are all of one asset class, and of Kraken's own venue. max_age: an older price denies. One that push
        tells is taken in place of a call while it has half of that time left.
        """
        pushed = self._pushed(pairs, max_age / 2)
        told = {pair.id: Price(*pushed[pair.id]) for pair in pairs if pair.id in pushed}
        return told | self._call([pair for pair in pairs if pair.id not in told], seconds)

    def _call(self, pairs: Collection[Pair], seconds: float) -> dict[str, Price]:
        now = self._monotonic()
        this = _Round(now + seconds)
        apart = {pair.id: kept for pair in pairs if (kept := self._apart.get(pair.id)) and len(pairs) > 1}
        told = self._ask([pair for pair in pairs if pair.id not in apart], this)
        for pair in (each for each in pairs if each.id in apart):
            is_due = now - apart[pair.id].at >= AGAIN_AFTER
            told |= self._ask([pair], this) if is_due else {pair.id: apart[pair.id]}
        return told

    def _ask(self, pairs: Sequence[Pair], this: _Round) -> dict[str, Price]:
        if not pairs:
            return {}
        at = self._monotonic()
        if this.calls and (at >= this.end or this.calls >= MOST_CALLS):
            return _all(pairs, Price(at=at, problem=_TOO_MANY if at < this.end else TOO_LATE))
        this.calls += 1
        try:
            rows = self._rows(pairs, this.end - at)
            problem = _NO_ROW
        except InvalidArguments as error:
            rows, problem = {}, str(error)
        except CallError as error:
            return _all(pairs, Price(at=at, problem=str(error)))
        told = {name: _price(row, at) for name, row in rows.items()}
        missing = [pair for pair in pairs if pair.id not in told]
        if len(pairs) == 1:
            return self._alone(pairs[0], told or _all(pairs, Price(at=at, problem=problem)), is_told=bool(told))
        for group in _groups(missing, by_halves=not told):
            told |= self._ask(group, this)
        return told

    def _alone(self, pair: Pair, told: dict[str, Price], *, is_told: bool) -> dict[str, Price]:
        if is_told:
            self._apart.pop(pair.id, None)
        else:
            self._apart[pair.id] = told[pair.id]
        return told

    def _rows(self, pairs: Sequence[Pair], seconds: float) -> Mapping[str, Ticker | NoPrice]:
        rows = read_tickers(self._public(TICKER, ticker_params(pairs), seconds), note=self._note)
        if len(pairs) == len(rows) == 1:  # whatever Kraken calls it, it is the one that was asked for
            return {pairs[0].id: next(iter(rows.values()))}
        return find_rows(rows, pairs)


def _groups(pairs: list[Pair], *, by_halves: bool) -> list[list[Pair]]:
    size = (len(pairs) + 1) // 2 if by_halves else 1
    return [pairs[first : first + size] for first in range(0, len(pairs), size)]


def _all(pairs: Sequence[Pair], price: Price) -> dict[str, Price]:
    return {pair.id: price for pair in pairs}


def _price(row: Ticker | NoPrice, at: float) -> Price:
    return Price(problem=row.why, at=at) if isinstance(row, NoPrice) else Price(row, at)
