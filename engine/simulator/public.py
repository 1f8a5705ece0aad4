"""The public endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

from engine.simulator.book import Market
from engine.simulator.market import Pair, Row, asset_rows, find_pair, pair_ids, pair_rows
from engine.simulator.prices import DEPTH, INTERVALS
from engine.simulator.refusal import Refused

DEEPEST, MOST_TRADES = 500, 1000
STATUSES = frozenset({"online", "maintenance", "cancel_only", "post_only"})

Params = Mapping[str, Any]


class PublicDesk:
    """Answers public calls."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._wall = market.wall
        self.endpoints: Mapping[str, Callable[[Params], Any]] = {
            "Time": self._time,
            "SystemStatus": self._system_status,
            "Assets": _assets,
            "AssetPairs": _asset_pairs,
            "Ticker": self._ticker,
            "OHLC": self._ohlc,
            "Depth": self._depth,
            "Spread": self._spread,
            "Trades": self._trades,
        }

    def _time(self, _: Params) -> dict[str, Any]:
        now = int(self._wall())
        date = formatdate(now, usegmt=True)  # Tue, 11 Nov 2025 00:17:04 GMT
        return {"unixtime": now, "rfc1123": f"{date[:12]}{date[14:25]} +0000"}

    def _system_status(self, _: Params) -> dict[str, str]:
        now = datetime.fromtimestamp(int(self._wall()), UTC)
        return {"status": self._market.status, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"}


    def _ticker(self, params: Params) -> dict[str, Row]:
        ids = pair_ids(_names(params, "pair"))
        if ids is None:
            raise Refused("EQuery:Unknown asset pair")
        return self._market.prices.ticker(ids)

    def _ohlc(self, params: Params) -> dict[str, Any]:
        pair = _pair(params)
        minutes = _number(params, "interval", 1)
        if minutes not in INTERVALS:
            raise Refused("EGeneral:Invalid arguments:interval")
        rows, last = self._market.prices.candles(pair, minutes, _number(params, "since", 0))
        return {pair.id: rows, "last": last}

    def _depth(self, params: Params) -> dict[str, Any]:
        pair, count = _pair(params), _number(params, "count", DEPTH)
        if not 1 <= count <= DEEPEST:
            raise Refused("EGeneral:Invalid arguments:count")
        return {pair.id: self._market.prices.depth(pair, count)}

    def _spread(self, params: Params) -> dict[str, Any]:
        pair = _pair(params)
        rows = self._market.prices.spreads(pair)
        return {pair.id: rows, "last": rows[-1][0]}

    def _trades(self, params: Params) -> dict[str, Any]:
        pair, count, since = _pair(params), _number(params, "count", MOST_TRADES), _number(params, "since", 0)
        if not 1 <= count <= MOST_TRADES:
            raise Refused("EGeneral:Invalid arguments:count")
        rows, last = self._market.prices.trades(pair, count, since)
        return {pair.id: rows, "last": str(last)}


def _pair(params: Params) -> Pair:
    pair = find_pair(str(params.get("pair", "")))
    if pair is None:
        raise Refused("EQuery:Unknown asset pair")
    return pair


def _number(params: Params, name: str, default: int) -> int:
    try:
        return int(params.get(name, default))
    except ValueError:
        raise Refused(f"EGeneral:Invalid arguments:{name}") from None


def _assets(params: Params) -> dict[str, Row]:
    if params.get("aclass", "currency") != "currency":
        return {}
    return _known(asset_rows(_names(params, "asset")), "EQuery:Unknown asset")


def _asset_pairs(params: Params) -> dict[str, Row]:
    return _known(pair_rows(_names(params, "pair")), "EQuery:Unknown asset pair")


def _names(params: Params, name: str) -> Iterable[str] | None:
    return params[name].split(",") if name in params else None


def _known(rows: dict[str, Row] | None, otherwise: str) -> dict[str, Row]:
    if rows is None:
        raise Refused(otherwise)
    return rows
