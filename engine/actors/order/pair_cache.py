"""What is known of Kraken's markets: each is asked for when it is needed, beside the lane, and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.errors import CallError, InvalidArguments, OrderRejected
from engine.kraken.drift import Note, unnoted
from engine.kraken.pair_names import TOKENIZED, is_named, is_share, market_key, market_of, names_of, spelled
from engine.kraken.pairs import read_pairs
from engine.values import Pair

ASSET_PAIRS = "AssetPairs"
YOUNG = 300.0  # seconds that a market's facts are taken as they are
USABLE = 86_400.0  # seconds after which they are not used any more, even when Kraken cannot be asked

Fetch = Callable[[str, Mapping[str, Any], float], Any]

_VENUE = {"execution_venue": "bitnomial_exchange"}
_SHARES = {"aclass_base": TOKENIZED}


class PairCache:
    """The facts of markets by any of their names. Any thread may ask; it waits for Kraken when it has to.

    `fetch(endpoint, params, seconds)` is a public call. Facts older than `YOUNG` are asked for again; when that fails
    they serve on, since Kraken itself checks every order against what is true by then. A market has one entry, under
    whatever names it is asked for. `note` takes what is new or odd in the replies.
    """

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float], *, note: Note = unnoted) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._note = note
        self._facts: dict[str, tuple[Pair, float]] = {}  # by the market's identity
        self._markets: dict[str, str] = {}  # which market a name means
        self._lists: dict[str, tuple[float, Mapping[str, Pair]]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, seconds: float) -> Pair:
        """The facts of one market. Raises `OrderRejected` when there is none of that name, else the `CallError`."""
        known, since = self._entry(name)
        age = self._monotonic() - since
        if known is not None and age <= YOUNG:
            return known
        try:
            return self._learn(name, seconds)
        except CallError as error:
            if known is None or age > USABLE or isinstance(error, OrderRejected):
                raise
            return known

    def is_young(self, name: str) -> bool:
        """Whether `get` has the facts of that market without asking Kraken."""
        known, since = self._entry(name)
        return known is not None and self._monotonic() - since <= YOUNG

    def known(self, name: str) -> Pair | None:
        """What is known of a market by now, however old. Asks nobody."""
        return self._entry(name)[0]

    def _entry(self, name: str) -> tuple[Pair | None, float]:
        with self._lock:
            market = self._markets.get(name) or self._markets.get(spelled(name), "")
            return self._facts.get(market, (None, 0.0))

    def _learn(self, name: str, seconds: float) -> Pair:
        until, is_unread = self._monotonic() + seconds, False
        for params, is_one in _questions(name):
            try:
                asked, found = self._ask(params, is_one, max(0.0, until - self._monotonic()))
            except InvalidArguments:  # none of that name, or of that class
                continue
            is_unread |= is_one and not found
            pair = _meant(name, found, is_one=is_one)
            if pair is not None:
                self._keep(name, pair, asked)
                return pair
        if is_unread:
            raise OrderRejected(f"Kraken's answer for the pair {name!r} cannot be read; nothing was sent.")
        raise OrderRejected(f"Kraken has no pair {name!r}{self._hint(name)}; nothing was sent.")

    def _hint(self, name: str) -> str:
        """What was meant, perhaps, from the lists that were asked for."""
        import difflib  # noqa: PLC0415 - only for a wrong name

        with self._lock:
            names = {pair.altname for _, pairs in self._lists.values() for pair in pairs.values()}
        near = difflib.get_close_matches(name.upper(), sorted(names), n=1, cutoff=0.75)
        return f" (did you mean {near[0]}?)" if near else ""

    def _ask(self, params: Mapping[str, str], is_one: bool, seconds: float) -> tuple[float, Mapping[str, Pair]]:
        """When it was asked, and the pairs by name; a whole list is asked for once in a while."""
        now, key = self._monotonic(), "".join(params.values())
        with self._lock:
            listed = None if is_one else self._lists.get(key)
        if listed is not None and now - listed[0] <= YOUNG:
            return listed
        answer = now, read_pairs(self._fetch(ASSET_PAIRS, params, seconds), note=self._note)
        if not is_one:
            with self._lock:
                self._lists[key] = answer
        return answer

    def _keep(self, name: str, pair: Pair, asked: float) -> None:
        market = market_of(pair)
        with self._lock:
            self._facts[market] = (pair, asked)
            for each in names_of(pair):
                if each == pair.id or self._markets.get(each) is None:
                    self._markets[each] = market
            self._markets[name] = market


def _questions(name: str) -> Iterable[tuple[Mapping[str, str], bool]]:
    """What to ask AssetPairs for, one after the other, and whether that is for one name.

    Kraken takes no name with a venue there, and hides shares from whoever does not ask for them. The lists are for
    names that it does not take, such as ``aaplxusd``.
    """
    if ":" in name:
        return (_VENUE, False), ({}, False)
    one: list[tuple[Mapping[str, str], bool]] = [({"pair": spelled(name)}, True), ({"pair": name, **_SHARES}, True)]
    return *(reversed(one) if is_share(name) else one), ({}, False), (_SHARES, False)


def _meant(name: str, found: Mapping[str, Pair], *, is_one: bool) -> Pair | None:
    """The market of that name. A name that is written exactly so comes first: a letter's case tells a share."""
    pairs = tuple(dict.fromkeys(found.values()))
    if name in found:
        return found[name]
    if is_one and len(pairs) == 1 and name in (name.upper(), name.lower()):
        return pairs[0]
    meant = [pair for pair in pairs if is_named(pair, name)]
    if not meant and not is_share(name):
        meant = [pair for pair in pairs if _folded(name) in map(_folded, names_of(pair))]
    return meant[0] if len(meant) == 1 else None


def _folded(name: str) -> str:
    return market_key(name.upper())
