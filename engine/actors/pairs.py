"""What is known of Kraken's pairs: each is asked for when it is needed, beside the lane, and kept for a while."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from engine.errors import CallError, InvalidArguments, OrderRejected
from engine.kraken.pairs import read_pairs
from engine.values import Pair

ASSET_PAIRS = "AssetPairs"
YOUNG = 300.0  # seconds that a pair's facts are taken as they are
USABLE = 86_400.0  # seconds after which they are not used any more, even when Kraken cannot be asked

Fetch = Callable[[str, Mapping[str, Any], float], Any]


class PairBook:
    """The facts of pairs by any of their names. Any thread may ask; it waits for Kraken when it has to.

    `fetch(endpoint, params, seconds)` is a public call. Facts older than `YOUNG` are asked for again; when that fails
    they serve on, since Kraken itself checks every order against what is true by then.
    """

    def __init__(self, fetch: Fetch, monotonic: Callable[[], float]) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._known: dict[str, tuple[Pair, float]] = {}
        self._lock = threading.Lock()

    def get(self, name: str, seconds: float) -> Pair:
        """The facts of one pair. Raises `OrderRejected` when there is none of that name, else the `CallError`."""
        with self._lock:
            known, since = self._known.get(name, (None, 0.0))
        age = self._monotonic() - since
        if known is not None and age <= YOUNG:
            return known
        try:
            return self._learn(name, seconds)
        except InvalidArguments:
            raise OrderRejected(f"Kraken has no pair {name!r}; nothing was sent.") from None
        except CallError:
            if known is None or age > USABLE:
                raise
            return known

    def _learn(self, name: str, seconds: float) -> Pair:
        asked = self._monotonic()
        found = read_pairs(self._fetch(ASSET_PAIRS, {"pair": name}, seconds))
        pairs = set(found.values())
        if len(pairs) != 1:
            raise OrderRejected(f"Kraken's answer for the pair {name!r} cannot be read; nothing was sent.")
        pair = pairs.pop()
        with self._lock:
            self._known.update(dict.fromkeys((name, pair.id, pair.altname, pair.wsname), (pair, asked)))
        return pair
