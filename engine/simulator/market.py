"""Static data of the exchange: its assets, its pairs, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

Row = dict[str, Any]


class Asset(NamedTuple):
    """One asset, as the exchange lists it."""

    id: str
    altname: str
    decimals: int
    display_decimals: int
    collateral_value: float | None = None
    margin_rate: str | None = None


class Pair(NamedTuple):
    """One pair, as the exchange lists it, and its last price."""

    id: str
    altname: str
    wsname: str
    base: str
    quote: str
    pair_decimals: int
    ordermin: str
    costmin: str
    last: str


_ASSETS = (
    Asset("XXBT", "XBT", 10, 5, 0.99, "0.01"),
    Asset("XETH", "ETH", 10, 5, 0.98, "0.01"),
    Asset("ZUSD", "USD", 4, 2, 1, "0.025"),
    Asset("ZEUR", "EUR", 4, 2, 0.99, "0.02"),
    Asset("USDT", "USDT", 8, 4, 0.95, "0.025"),
    Asset("USDC", "USDC", 8, 4, 0.98),
    Asset("XAUT", "XAUT", 10, 6),
    Asset("XTZ", "XTZ", 8, 5, 0.8),
    Asset("ZRX", "ZRX", 10, 5),
    Asset("ZETA", "ZETA", 10, 5),
    Asset("DOT", "DOT", 10, 8, 0.85, "0.02"),
    Asset("DOT.S", "DOT.S", 10, 8),
    Asset("KFEE", "FEE", 2, 2),
    Asset("USD.M", "USD.M", 4, 4),
    Asset("USD.HOLD", "USD.HOLD", 4, 2),
    Asset("XBT.M", "XBT.M", 10, 5),
)
_PAIRS = (
    Pair("XXBTZUSD", "XBTUSD", "XBT/USD", "XXBT", "ZUSD", 1, "0.00005", "0.5", "68342.4"),
    Pair("XETHZUSD", "ETHUSD", "ETH/USD", "XETH", "ZUSD", 2, "0.002", "0.5", "2641.17"),
    Pair("XBTUSDT", "XBTUSDT", "XBT/USDT", "XXBT", "USDT", 1, "0.00005", "0.5", "68361.2"),
    Pair("ETHUSDT", "ETHUSDT", "ETH/USDT", "XETH", "USDT", 2, "0.002", "0.5", "2641.83"),
    Pair("XXBTZEUR", "XBTEUR", "XBT/EUR", "XXBT", "ZEUR", 1, "0.00005", "0.45", "63204.8"),
    Pair("XETHZEUR", "ETHEUR", "ETH/EUR", "XETH", "ZEUR", 2, "0.002", "0.45", "2442.06"),
    Pair("XETHXXBT", "ETHXBT", "ETH/XBT", "XETH", "XXBT", 5, "0.002", "0.00002", "0.03865"),
    Pair("USDTZUSD", "USDTUSD", "USDT/USD", "USDT", "ZUSD", 5, "5", "0.5", "0.99978"),
    Pair("USDCUSD", "USDCUSD", "USDC/USD", "USDC", "ZUSD", 4, "5", "0.5", "1.0000"),
    Pair("EURZUSD", "EURUSD", "EUR/USD", "ZEUR", "ZUSD", 5, "4.5", "0.5", "1.08130"),
    Pair("XAUTUSD", "XAUTUSD", "XAUT/USD", "XAUT", "ZUSD", 1, "0.002", "0.5", "2655.3"),
    Pair("XTZUSD", "XTZUSD", "XTZ/USD", "XTZ", "ZUSD", 4, "7", "0.5", "0.6892"),
    Pair("ZRXUSD", "ZRXUSD", "ZRX/USD", "ZRX", "ZUSD", 4, "15", "0.5", "0.3321"),
    Pair("ZETAUSD", "ZETAUSD", "ZETA/USD", "ZETA", "ZUSD", 4, "10", "0.5", "0.6483"),
    Pair("DOTUSD", "DOTUSD", "DOT/USD", "DOT", "ZUSD", 4, "1", "0.5", "4.3817"),
)


def asset_rows(names: Iterable[str] | None = None) -> dict[str, Row] | None:
    """The rows of `Assets`, by id; `None` when one of the names is unknown."""
    return _pick(_ASSET_ROWS, _ASSET_IDS, names)


def pair_rows(names: Iterable[str] | None = None) -> dict[str, Row] | None:
    """The rows of `AssetPairs`, by id; `None` when one of the names is unknown."""
    return _pick(_PAIR_ROWS, _PAIR_IDS, names)


def pair_ids(names: Iterable[str] | None = None) -> list[str] | None:
    """The ids of these pairs, or of all; `None` when one of the names is unknown."""
    rows = _pick(_PAIR_ROWS, _PAIR_IDS, names)
    return None if rows is None else list(rows)


def decimals_of(row: str) -> int:
    """How many decimals a balance row has."""
    found = _ASSET_ROWS.get(row) or _ASSET_ROWS.get(_ASSET_IDS.get(row.partition(".")[0], ""))
    return int(found["decimals"]) if found else 10


def find_pair(name: str) -> Pair | None:
    """The pair of this id, altname or name with a slash."""
    return _PAIR_BY_ID.get(_PAIR_IDS.get(name, ""))


def find_asset(name: str) -> str | None:
    """The id of the asset of this id or altname."""
    return _ASSET_IDS.get(name)


def dollars(row: str) -> Decimal:
    """What one unit of a balance row is worth; 0 for what has no market."""
    return _DOLLARS.get(_ASSET_IDS.get(row.partition(".")[0], ""), Decimal(0))


def _pick(
    rows: Mapping[str, Row], ids: Mapping[str, str], names: Iterable[str] | None
) -> dict[str, Row] | None:
    if names is None:
        return dict(rows)
    found = [ids.get(name.strip()) for name in names]
    return {id: rows[id] for id in found if id} if all(found) else None


def _asset_row(asset: Asset) -> Row:
    row = {"aclass": "currency", "status": "enabled", **asset._asdict()}
    return {name: value for name, value in row.items() if value is not None and name != "id"}


def _pair_row(pair: Pair) -> Row:
    return {
        "altname": pair.altname,
        "wsname": pair.wsname,
        "aclass_base": "currency",
        "base": pair.base,
        "aclass_quote": "currency",
        "quote": pair.quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": pair.pair_decimals,
        "lot_decimals": 8,
        "lot_multiplier": 1,
        "leverage_buy": [2, 3],
        "leverage_sell": [2, 3],
        "fees": [[0, 0.4], [10000, 0.35], [50000, 0.24]],
        "fees_maker": [[0, 0.25], [10000, 0.2], [50000, 0.14]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": pair.ordermin,
        "costmin": pair.costmin,
        "tick_size": f"{tick(pair):f}",
        "status": "online",
        "long_position_limit": 250,
        "short_position_limit": 200,
    }


def tick(pair: Pair) -> Decimal:
    """The smallest step of the pair's price."""
    return Decimal(1).scaleb(-pair.pair_decimals)


class Quoted(Protocol):
    """A bid and an ask."""

    @property
    def bid(self) -> Decimal: ...
    @property
    def ask(self) -> Decimal: ...


def ticker_row(pair: Pair, quote: Quoted) -> Row:
    """The row of `Ticker` at this bid and ask."""

    def show(ticks: int) -> str:
        return f"{max(tick(pair), quote.ask + ticks * tick(pair)):.5f}"

    return {
        "a": [show(0), "1", "1.000"],
        "b": [f"{quote.bid:.5f}", "6", "6.000"],
        "c": [show(0), "0.00200001"],
        "v": ["415.11208412", "2774.14051823"],
        "p": [show(-12), show(-20)],
        "t": [23209, 75935],
        "l": [show(-150), show(-300)],
        "h": [show(180), show(260)],
        "o": show(-40),
    }


_ASSET_ROWS = {asset.id: _asset_row(asset) for asset in _ASSETS}
_ASSET_IDS = {name: asset.id for asset in _ASSETS for name in (asset.id, asset.altname)}
_PAIR_BY_ID = {pair.id: pair for pair in _PAIRS}
_PAIR_ROWS = {pair.id: _pair_row(pair) for pair in _PAIRS}
_PAIR_IDS = {name: pair.id for pair in _PAIRS for name in (pair.id, pair.altname, pair.wsname)}
_DOLLARS = {"ZUSD": Decimal(1)} | {
    pair.base: Decimal(pair.last) for pair in _PAIRS if pair.quote == "ZUSD"
}
