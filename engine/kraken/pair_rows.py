"""Finds the row of a pair in a reply. Kraken keys such rows by the id, the altname or the requested name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeVar

from engine.kraken.pair_names import market_key, market_of, spelled
from engine.values import Pair

Row = TypeVar("Row")


def find_rows(rows: Mapping[str, Row], pairs: Collection[Pair]) -> dict[str, Row]:
    """The row of each pair, by the pair's id; a pair without one is not in it.

    Names from AssetPairs match exactly; other names, such as an old id, match if they mean the same market. A name that
    two of the pairs share matches nothing, and the id of one pair is never the name of another.
    """
    ids = {pair.id for pair in pairs}
    owners = Counter(name for pair in pairs for name in names_of(pair))
    markets = Counter(market_key(market_of(pair)) for pair in pairs)
    found = {}
    for pair in pairs:
        others = (name for name in names_of(pair) if name not in ids and owners[name] == 1)
        name = next((name for name in (pair.id, *others) if name in rows), None)
        if name is None and markets[key := market_key(market_of(pair))] == 1:
            alike = (name for name in rows if name not in ids and name == spelled(name))
            name = next((name for name in alike if market_key(name) == key), None)
        if name is not None:
            found[pair.id] = rows[name]
    return found


def names_of(pair: Pair) -> frozenset[str]:
    """Every name under which Kraken may speak of a pair, with and without the slash."""
    names = {pair.id, pair.altname, pair.wsname, spelled(pair.wsname)}
    return frozenset(names | {name.replace("/", "") for name in names}) - {""}
