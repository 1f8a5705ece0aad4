"""The assets and the pairs of the exchange by their names, and their rows."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Protocol

from engine.simulator.catalogue import (
    ASSETS,
    AT_BITNOMIAL,
    BITNOMIAL,
    CURRENCY,
    INTERNATIONAL,
    PAIRS,
    SHARES,
    TOKENIZED,
    ListedAsset,
    ListedPair,
)
from engine.simulator.rules import Rules

__all__ = ["ListedAsset", "ListedPair"]

CLASSES = frozenset({CURRENCY, TOKENIZED})
VENUES = frozenset({INTERNATIONAL, BITNOMIAL})
Row = dict[str, Any]
TODAY = Rules()

_OLD_FEES = ([[0, 0.4], [10000, 0.35], [50000, 0.24]], [[0, 0.25], [10000, 0.2], [50000, 0.14]])
_COST_DECIMALS = {"XXBT": 10, "XETH": 10}  # of a quote; others have five, or two more than their prices


def find_pair(name: str, rules: Rules = TODAY, *, aclass: str = CURRENCY) -> ListedPair | None:
    """The pair that is called so where one asks for pairs of this class; those of another venue are not."""
    if aclass == TOKENIZED:
        return _SHARES_BY_NAME.get(name)
    return (_BY_WSNAME if rules.wsnames_taken else _BY_NAME).get(name)


def find_order_pair(name: str, rules: Rules = TODAY, *, aclass: str = CURRENCY) -> ListedPair | None:
    """The pair that an order names: those of another venue too."""
    at_venue = _AT_BITNOMIAL_BY_NAME.get(name) if aclass == CURRENCY and rules.venues_told else None
    return at_venue or find_pair(name, rules, aclass=aclass)


def find_any_pair(name: str) -> ListedPair | None:
    """The pair of this id, altname or name with a slash, of whatever class and venue."""
    return find_order_pair(name) or find_pair(name, aclass=TOKENIZED) or _BY_WSNAME.get(name)


def pairs_of(aclass: str = CURRENCY, venue: str = INTERNATIONAL, *, all_venues: bool = False) -> tuple[ListedPair, ...]:
    """All pairs of a class and a venue, or of every venue."""
    if aclass == TOKENIZED:
        return SHARES if venue == INTERNATIONAL else ()
    if all_venues:
        return PAIRS + AT_BITNOMIAL
    return PAIRS if venue == INTERNATIONAL else AT_BITNOMIAL


def key_of(name: str, pair: ListedPair, rules: Rules) -> str:
    """The key in a reply of a pair requested by this name: a name with a slash comes back unchanged."""
    return name if "/" in name and rules.names_echoed else pair.id


def find_asset(name: str) -> str | None:
    """The id of the asset of this id or altname."""
    return _ASSET_IDS.get(name)


def altname_of(asset: str) -> str:
    """The altname of the asset of this id."""
    return _ASSET_OF[asset].altname


def find_assets(names: Iterable[str] | None, aclass: str = CURRENCY) -> list[ListedAsset] | None:
    """The assets of a class with these ids or altnames, or all; `None` when one of the names is unknown."""
    listed = {asset.id: asset for asset in ASSETS if asset.aclass == aclass}
    if names is None:
        return list(listed.values())
    found = [listed.get(_ASSET_IDS.get(name.strip(), "")) for name in names]
    return [asset for asset in found if asset] if all(found) else None


def decimals_of(row: str) -> int:
    """How many decimals a balance row has."""
    found = _ASSET_OF.get(row) or _ASSET_OF.get(_asset_of_row(row))
    return found.decimals if found else 10


def dollars(row: str) -> Decimal:
    """What one unit of a balance row is worth; 0 for what has no market."""
    return _DOLLARS.get(_asset_of_row(row), Decimal(0))


def tick(pair: ListedPair) -> Decimal:
    """The smallest step of the pair's price."""
    return Decimal(1).scaleb(-pair.pair_decimals)


def asset_row(asset: ListedAsset) -> Row:
    """The row of `Assets`."""
    told = {
        "aclass": asset.aclass, "altname": asset.altname, "decimals": asset.decimals,
        "display_decimals": asset.display_decimals, "collateral_value": asset.collateral_value,
        "status": asset.status, "margin_rate": asset.margin_rate,
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def pair_row(pair: ListedPair, rules: Rules = TODAY) -> Row:
    """The row of `AssetPairs`."""
    taker, maker = _OLD_FEES if rules.fees_told else ([], [])
    status = pair.status or ("online" if rules.status_always else None)
    limits = pair.limits or (None, None)
    told = {
        "altname": pair.altname, "wsname": pair.wsname, "aclass_base": pair.aclass, "base": pair.base,
        "aclass_quote": CURRENCY, "quote": pair.quote, "lot": "unit" if pair.lot_decimals == 8 else "unit5",
        "cost_decimals": cost_decimals(pair),
        "pair_decimals": pair.pair_decimals, "lot_decimals": pair.lot_decimals, "lot_multiplier": 1,
        "leverage_buy": list(range(2, pair.buyers + 1)), "leverage_sell": list(range(2, pair.sellers + 1)),
        "fees": taker, "fees_maker": maker, "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
        "ordermin": pair.ordermin, "costmin": pair.costmin, "tick_size": f"{tick(pair):f}", "status": status,
        "execution_venue": pair.venue if rules.venues_told else None,
        "long_position_limit": limits[0], "short_position_limit": limits[1],
    }  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


class Quoted(Protocol):
    """A bid and an ask, 0 where there is none, and the price of the last trade."""

    @property
    def bid(self) -> Decimal: ...
    @property
    def ask(self) -> Decimal: ...
    @property
    def last(self) -> Decimal: ...


def cost_decimals(pair: ListedPair) -> int:
    """How many decimals the costs and the fees of a pair have, and the average price of an order."""
    return _COST_DECIMALS.get(pair.quote, max(5, pair.pair_decimals + 2))


def shown(price: Decimal, pair: ListedPair) -> str:
    """A price as most replies write it: with five decimals, or more where the pair has more."""
    return f"{price:.{max(5, pair.pair_decimals)}f}"


def ticker_row(pair: ListedPair, quote: Quoted, *, traded: bool = True) -> Row:
    """The row of `Ticker`. A side of the book without orders, and a pair without trades, has zeros."""

    def show(ticks: int) -> str:
        return shown(max(tick(pair), quote.last + ticks * tick(pair)), pair) if traded else shown(Decimal(0), pair)

    return {
        "a": [shown(quote.ask, pair), *(("1", "1.000") if quote.ask else ("0", "0.000"))],
        "b": [shown(quote.bid, pair), *(("6", "6.000") if quote.bid else ("0", "0.000"))],
        "c": [show(0), "0.00200001" if traded else "0.000000"],
        "v": ["415.11208412", "2774.14051823"] if traded else ["0.000000", "0.000000"],
        "p": [show(-12), show(-20)],
        "t": [23209, 75935] if traded else [0, 0],
        "l": [show(-150), show(-300)],
        "h": [show(180), show(260)],
        "o": show(-40),
    }


def _by_name(pairs: tuple[ListedPair, ...], *, wsnames: bool = False) -> dict[str, ListedPair]:
    names = {name: pair for pair in pairs for name in (pair.altname, pair.wsname if wsnames else pair.display)}
    return names | {pair.id: pair for pair in pairs}


def _asset_of_row(row: str) -> str:
    return _ASSET_IDS.get(row) or _ASSET_IDS.get(row.partition(".")[0], "")


_BY_NAME, _BY_WSNAME = _by_name(PAIRS), _by_name(PAIRS, wsnames=True)
_SHARES_BY_NAME, _AT_BITNOMIAL_BY_NAME = _by_name(SHARES), _by_name(AT_BITNOMIAL)
_ASSET_OF = {asset.id: asset for asset in ASSETS}
_ASSET_IDS = {name: asset.id for asset in ASSETS for name in (asset.id, asset.altname)}
_DOLLARS = {"ZUSD": Decimal(1)} | {pair.base: Decimal(pair.last) for pair in PAIRS + SHARES if pair.quote == "ZUSD"}
