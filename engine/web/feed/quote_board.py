"""Public facts for display: prices, the last trades, and how many decimals Kraken shows of an asset."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from engine.app.served import ServedEngine
from engine.errors import CallError, EngineError
from engine.kraken.pair_names import TOKENIZED, market_key, name_of, names_of, plain_code
from engine.kraken.pairs import read_pairs
from engine.kraken.tickers import read_tickers
from engine.rules.balance.valuation import Market, Prices, markets_for
from engine.values import Pair, Ticker
from engine.web.page.quotes import Quotes

LISTS_EVERY = 3600.0  # seconds between two requests for the lists of assets and pairs
PRICES_EVERY = 15.0
USABLE = 600.0  # seconds after which a price is shown no more
PATIENCE = 5.0
PAIRS_AT_ONCE = 60


class QuoteBoard:
    """The last known quotes. They are asked for outside the lane and only shown: nothing is decided by them.

    `look` waits for Kraken, at most `patience` seconds, and runs in one thread at a time; any thread may read `quotes`.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, patience: float = PATIENCE) -> None:
        self._monotonic, self._patience = monotonic, patience
        self._turn = threading.Lock()
        self._quotes = self._without_prices = Quotes()
        self._pairs: dict[str, Pair] = {}
        self._listed = self._asked = self._priced = float("-inf")

    @property
    def quotes(self) -> Quotes:
        """What is known now, the same object until it changes; no prices that are too old."""
        if self._monotonic() - self._priced > USABLE:
            return self._without_prices
        return self._quotes

    def is_due(self) -> bool:
        """Whether it is time to look again."""
        return self._monotonic() - self._asked >= PRICES_EVERY

    def look(self, engine: ServedEngine, assets: Iterable[str], pairs: Iterable[str]) -> None:
        """Ask for the prices of these assets and pairs. Raises nothing: what cannot be had now stays as it was."""
        if not self._turn.acquire(blocking=False):
            return
        try:
            self._asked = self._monotonic()
            self._look(engine, assets, pairs)
        except EngineError:
            pass  # asked again soon; what is shown grows old, and is then shown no more
        finally:
            self._turn.release()

    def _look(self, engine: ServedEngine, assets: Iterable[str], pairs: Iterable[str]) -> None:
        until = self._monotonic() + self._patience

        def ask(endpoint: str, params: Mapping[str, str] | None = None) -> Any:
            return engine.public(endpoint, params, max(0.0, until - self._monotonic()))

        if self._monotonic() - self._listed >= LISTS_EVERY:
            self._without_prices = Quotes(decimals=_decimals(ask("Assets")))
            self._pairs = read_pairs(ask("AssetPairs"))
            self._listed = self._monotonic()
        markets = {_market(pair): pair for pair in self._pairs.values() if _is_plain(pair)}
        wanted = [markets[each] for each in markets_for(assets, markets)]
        wanted += [self._pairs[each] for each in pairs if each in self._pairs]
        prices: dict[Market, Decimal] = {}
        last: dict[str, Decimal] = {}
        for pair, ticker in _tickers(ask, list(dict.fromkeys(wanted))):
            prices[_market(pair)] = (ticker.ask + ticker.bid) / 2
            if ticker.last is not None:
                last.update(dict.fromkeys((*names_of(pair), market_key(pair.altname)), ticker.last))
        self._quotes = Quotes(Prices(prices), last, self._without_prices.decimals)
        self._priced = self._monotonic()


def _tickers(ask: Callable[..., Any], pairs: list[Pair]) -> Iterable[tuple[Pair, Ticker]]:
    by_id = {pair.id: pair for pair in pairs}
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        names = ",".join(name_of(pair) for pair in pairs[start : start + PAIRS_AT_ONCE])
        try:
            found = read_tickers(ask("Ticker", {"pair": names}))
        except CallError:
            if start == 0:
                raise  # Kraken cannot be asked at all
            continue
        for name, each in found.items():
            if name in by_id and isinstance(each, Ticker):
                yield by_id[name], each


def _decimals(result: Any) -> Mapping[str, int]:
    rows = result.values() if isinstance(result, Mapping) else ()
    told = ((row.get("altname"), row.get("display_decimals")) for row in rows if isinstance(row, Mapping))
    return {name: each for name, each in told if isinstance(name, str) and isinstance(each, int) and 0 <= each <= 18}


def _market(pair: Pair) -> Market:
    return plain_code(pair.base), plain_code(pair.quote)


def _is_plain(pair: Pair) -> bool:
    return not pair.venue and pair.asset_class != TOKENIZED
