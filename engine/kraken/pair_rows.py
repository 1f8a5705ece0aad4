"""Which row of a reply is which pair's. Kraken keys such rows by the id, by the altname, or by the name asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import TypeVar

from engine.values import Pair

Row = TypeVar("Row")

_DISPLAYED = {"XBT": "BTC", "XDG": "DOGE"}  # the two assets whose display names differ from Kraken's short ones


def find_rows(rows: Mapping[str, Row], pairs: Collection[Pair]) -> dict[str, Row]:
    """The row of each pair, by the pair's id; a pair without one is not in it.

    A name counts exactly as it is written, since Kraken has names that differ in case alone. A name that two of the
    pairs share finds no row, and the id of one pair is never another's name.
    """
    ids = {pair.id for pair in pairs}
    owners = Counter(name for pair in pairs for name in names_of(pair))
    found = {}
    for pair in pairs:
        others = (name for name in names_of(pair) if name not in ids and owners[name] == 1)
        name = next((name for name in (pair.id, *others) if name in rows), None)
        if name is not None:
            found[pair.id] = rows[name]
    return found


def names_of(pair: Pair) -> frozenset[str]:
    """Every name under which Kraken may speak of a pair, with and without the slash."""
    base, _, quote = pair.wsname.partition("/")
    shown = f"{_DISPLAYED.get(base, base)}/{_DISPLAYED.get(quote, quote)}" if pair.wsname else ""
    names = {pair.id, pair.altname, pair.wsname, shown}
    return frozenset(names | {name.replace("/", "") for name in names}) - {""}
