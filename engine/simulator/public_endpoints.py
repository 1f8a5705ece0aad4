"""The public endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from engine.simulator import transparency
from engine.simulator.book import MarketState
from engine.simulator.catalogue import BITNOMIAL, CURRENCY, INTERNATIONAL, ListedPair
from engine.simulator.market import (
    CLASSES,
    VENUES,
    Row,
    asset_row,
    find_assets,
    find_pair,
    key_of,
    pair_row,
    pairs_of,
)
from engine.simulator.prices import DEPTH, INTERVALS
from engine.simulator.refusal import Partly, Refused

DEEPEST, MOST_TRADES = 500, 1000
STATUSES = frozenset({"online", "maintenance", "cancel_only", "post_only"})
UNKNOWN_PAIR = "EQuery:Unknown asset pair"
_INFO = {
    "info": None,
    "leverage": ("leverage_buy", "leverage_sell"),
    "fees": ("fees", "fees_maker", "fee_volume_currency"),
    "margin": ("margin_call", "margin_stop"),
}

Params = Mapping[str, Any]


class PublicEndpoints:
    """Answers public calls."""

    def __init__(self, market: MarketState) -> None:
        self._market = market
        self._rules = market.rules
        self._wall = market.wall
        self.endpoints: Mapping[str, Callable[[Params], Any]] = {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "MaintenanceSchedule": _maintenance_schedule,
            "Assets": _assets,
            "AssetPairs": self._asset_pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
            "Depth": self._depth,
            "GroupedBook": self._grouped_book,
            "Spread": self._spread,
            "Trades": self._trades,
            "PreTrade": self._pre_trade,
            "PostTrade": self._post_trade,
        }

    def _time(self, _: Params) -> dict[str, Any]:
        now = int(self._wall())
        date = formatdate(now, usegmt=True)  # Tue, 11 Nov 2025 00:17:04 GMT
        return {"unixtime": now, "rfc1123": f"{date[:12]}{date[14:25]} +0000"}

    def _system_status(self, _: Params) -> dict[str, str]:
        now = datetime.fromtimestamp(int(self._wall()), UTC)
        return {"status": self._market.status, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"}

    def _asset_pairs(self, params: Params) -> dict[str, Row]:
        aclass = _one_of(params, "aclass_base", CLASSES, CURRENCY)
        fields = _INFO[_one_of(params, "info", _INFO, "info")]
        found = self._named(params, aclass) if "pair" in params else self._listed(params, aclass)
        if None in found.values():
            raise Refused(UNKNOWN_PAIR)
        rows = {name: pair_row(pair, self._rules) for name, pair in found.items() if pair}
        return {name: {field: row[field] for field in fields or row} for name, row in rows.items()}

    def _listed(self, params: Params, aclass: str) -> dict[str, ListedPair | None]:
        rules = self._rules
        venue = _one_of(params, "execution_venue", VENUES, INTERNATIONAL) if rules.venues_told else INTERNATIONAL
        every = rules.all_venues_listed and venue != BITNOMIAL
        return {pair.id: pair for pair in pairs_of(aclass, venue, all_venues=every)}

    def _ticker(self, params: Params) -> dict[str, Row]:
        aclass = _one_of(params, "asset_class", CLASSES, CURRENCY)
        found = self._named(params, aclass) if "pair" in params else {pair.id: pair for pair in pairs_of(aclass)}
        rows = {name: self._market.prices.ticker(pair) for name, pair in found.items() if pair}
        if len(rows) == len(found):
            return rows
        if not self._rules.partial_ticker:
            raise Partly(UNKNOWN_PAIR, {})
        raise Partly(UNKNOWN_PAIR, rows) if rows else Refused(UNKNOWN_PAIR)

    def _ohlc(self, params: Params) -> dict[str, Any]:
        name, pair = self._one(params)
        minutes = _number(params, "interval", 1)
        if minutes not in INTERVALS:
            raise Refused("EGeneral:Invalid arguments:interval")
        rows, last = self._market.prices.candles(pair, minutes, _number(params, "since", 0))
        return {name: rows, "last": last}

    def _depth(self, params: Params) -> dict[str, Any]:
        (name, pair), count = self._one(params), _number(params, "count", DEPTH)
        if not 1 <= count <= DEEPEST:
            raise Refused("EGeneral:Invalid arguments:count")
        return {name: self._market.prices.depth(pair, count)}

    def _grouped_book(self, params: Params) -> dict[str, Any]:
        _, pair = self._one(params)
        depth, grouping = _number(params, "depth", 10), _number(params, "grouping", 1)
        return transparency.grouped_book(self._market.prices, pair, depth, grouping)

    def _spread(self, params: Params) -> dict[str, Any]:
        name, pair = self._one(params)
        rows = self._market.prices.spreads(pair)
        return {name: rows, "last": rows[-1][0]}

    def _trades(self, params: Params) -> dict[str, Any]:
        (name, pair), since = self._one(params), _number(params, "since", 0)
        rows, last = self._market.prices.trades(pair, _count_of_trades(params), since)
        return {name: rows, "last": str(last)}

    def _pre_trade(self, params: Params) -> dict[str, Any]:
        _, pair = self._one({"pair": params.get("symbol", "")})
        return transparency.pre_trade(self._market.prices, pair, self._wall())

    def _post_trade(self, params: Params) -> dict[str, Any]:
        pairs = [self._one({"pair": params["symbol"]})[1]] if "symbol" in params else list(pairs_of())
        return transparency.post_trade(self._market.prices, pairs, _count_of_trades(params), params)

    def _one(self, params: Params) -> tuple[str, ListedPair]:
        """The one pair that is asked for, and what the reply calls it."""
        name = str(params.get("pair", ""))
        pair = find_pair(name, self._rules, aclass=_one_of(params, "asset_class", CLASSES, CURRENCY))
        if pair is None:
            raise Refused(UNKNOWN_PAIR)
        return key_of(name, pair, self._rules), pair

    def _named(self, params: Params, aclass: str) -> dict[str, ListedPair | None]:
        """The pairs that are asked for, by what the reply calls them; `None` for a name that is unknown."""
        found: dict[str, ListedPair | None] = {}
        for name in (each.strip() for each in params["pair"].split(",")):
            pair = find_pair(name, self._rules, aclass=aclass)
            found[key_of(name, pair, self._rules) if pair else name] = pair
        return found


def _assets(params: Params) -> dict[str, Row]:
    aclass = _one_of(params, "aclass", CLASSES, CURRENCY)
    found = find_assets(params["asset"].split(",") if "asset" in params else None, aclass)
    if found is None:
        raise Refused("EQuery:Unknown asset")
    return {asset.id: asset_row(asset) for asset in found}


def _maintenance_schedule(_: Params) -> dict[str, Any]:
    return {"events": []}


def _count_of_trades(params: Params) -> int:
    count = _number(params, "count", MOST_TRADES)
    if not 1 <= count <= MOST_TRADES:
        raise Refused("EGeneral:Invalid arguments:count")
    return count


def _number(params: Params, name: str, default: int) -> int:
    try:
        return int(params.get(name, default))
    except ValueError:
        raise Refused(f"EGeneral:Invalid arguments:{name}") from None


def _one_of(params: Params, name: str, words: Any, default: str) -> str:
    told = str(params.get(name, default))
    if told not in words:
        raise Refused("EGeneral:Invalid arguments")
    return told
