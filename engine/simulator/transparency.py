"""`GroupedBook`, and the two endpoints that Kraken offers for regulated transparency: `PreTrade` and `PostTrade`.

Their form is that of Kraken's reference pages as of May 2026; no recorded reply was found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any
from zlib import crc32

from engine.simulator.catalogue import ListedPair
from engine.simulator.market import shown, tick
from engine.simulator.prices import Prices
from engine.simulator.refusal import Refused

DEPTHS = frozenset({10, 25, 100, 250, 1000})
GROUPINGS = frozenset({1, 5, 10, 25, 50, 100, 250, 500, 1000})
_LEVELS = 10
_EVERY = 10**9  # trade
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_VENUE = "PGSL"  # the market identifier code of Kraken's exchange


def grouped_book(prices: Prices, pair: ListedPair, depth: int, grouping: int) -> dict[str, Any]:
    """`GroupedBook`: asks are rounded up to `grouping` ticks, bids down. Raises `Refused`."""
    if depth not in DEPTHS or grouping not in GROUPINGS:
        raise Refused("EGeneral:Invalid arguments")
    step = tick(pair) * grouping
    asks, bids = prices.levels(pair, depth * grouping)
    told = {"asks": _grouped(asks, step, ROUND_CEILING), "bids": _grouped(bids, step, ROUND_FLOOR)}
    levels = {side: list(found.items())[:depth] for side, found in told.items()}
    rows = {
        side: [{"price": shown(price, pair), "qty": f"{units}.00000000"} for price, units in found]
        for side, found in levels.items()
    }
    return {"pair": pair.display, "grouping": grouping, **rows}


def _grouped(levels: Iterable[Decimal], step: Decimal, rounding: str) -> dict[Decimal, int]:
    found: dict[Decimal, int] = {}
    for price in levels:
        level = (price / step).to_integral_value(rounding) * step
        found[level] = found.get(level, 0) + 1
    return found


def pre_trade(prices: Prices, pair: ListedPair, now: float) -> dict[str, Any]:
    """`PreTrade`: the ten best levels of each side."""
    asks, bids = prices.levels(pair, _LEVELS)

    def level(side: str, price: Decimal) -> dict[str, Any]:
        told = {"side": side, "price": shown(price, pair), "qty": "1.00000000", "count": 1}
        return {**told, "publication_ts": moment(now)}

    return {
        **_instrument(pair), "base_notation": "NOML", "venue": _VENUE, "system": "CLOB",
        "bids": [level("BUY", price) for price in bids], "asks": [level("SELL", price) for price in asks],
    }  # fmt: skip


def post_trade(prices: Prices, pairs: Iterable[ListedPair], count: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """`PostTrade`: the trades after ``from_ts`` and until ``to_ts``, oldest first. Raises `Refused`."""
    after, until = _time(params, "from_ts", _FIRST), _time(params, "to_ts", _LAST)
    rows = ((_at(row[2]), pair, row) for pair in pairs for row in prices.trades(pair, _EVERY)[0])
    found = [(at, _trade(pair, row)) for at, pair, row in rows if after < at <= until]
    found.sort(key=lambda each: each[0])
    kept = found[:count] if "from_ts" in params else found[-count:]
    last = kept[-1][1]["trade_ts"] if kept else str(params.get("from_ts", ""))
    return {"last_ts": last, "count": len(kept), "trades": [trade for _, trade in kept]}


def moment(seconds: float) -> str:
    """A time as these endpoints write it, in microseconds."""
    return f"{_at(seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _trade(pair: ListedPair, row: list[Any]) -> dict[str, Any]:
    of_pair = f"{crc32(pair.id.encode()):010X}"
    return {
        **_instrument(pair), "trade_id": f"T{of_pair[:5]}-{of_pair[5:]}-{row[6]:06}", "price": row[0],
        "quantity": row[1], "base_notation": "UNIT", "trade_venue": _VENUE, "trade_ts": moment(row[2]),
        "publication_venue": _VENUE, "publication_ts": moment(row[2]),
    }  # fmt: skip


def _instrument(pair: ListedPair) -> dict[str, str]:
    base, _, quote = pair.display.partition("/")
    return {
        "symbol": pair.display, "description": f"{base} / {quote}", "base_asset": base, "quote_asset": quote,
        "quote_notation": "MONE",
    }  # fmt: skip


def _time(params: Mapping[str, Any], name: str, default: datetime) -> datetime:
    if name not in params:
        return default
    try:
        told = datetime.fromisoformat(str(params[name]))
    except ValueError:
        raise Refused("EGeneral:Invalid arguments") from None
    return told.replace(tzinfo=told.tzinfo or UTC)
