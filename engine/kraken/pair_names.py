"""The names of markets: Kraken has several for each, accepts some of them, and keys its replies by any.

A market is identified by base, quote and venue, never by the requested name or by the key of a reply. Its names are
Kraken's id (``XXBTZUSD``), the altname (``XBTUSD``), the name that Kraken shows (``BTC/USD``) and that of the old
socket, ``wsname`` (``XBT/USD``), which REST refuses since 2026. Sources: Kraken's AssetPairs reference and the replies
of its live exchange.

A tokenized share is a market for each of its listings: ``AAPLxUSD`` and ``AAPLSPVUSD`` have one altname and two
prices. Its names are read as they are, since the case of a letter counts: ``SNxUSD`` is a share, ``SNXUSD`` a coin.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.kraken.assets import AssetTable
from engine.values import Pair

TOKENIZED = "tokenized_asset"

_CODES = {code: plain for code, plain in AssetTable.shipped().names.items() if code != plain}
_SHOWN = {"XBT": "BTC", "XDG": "DOGE"}
_PLAIN = _CODES | {shown: plain for plain, shown in _SHOWN.items()}
_QUOTES = frozenset({
    "USD", "EUR", "GBP", "CAD", "AUD", "CHF", "JPY", "XBT", "BTC", "ETH", "DAI", "USDT", "USDC", "PYUSD", "USDG",
    "RLUSD", "USD1", "USDQ", "USDR", "USDD", "EURC", "EUROP", "EURQ", "EURR",
})  # fmt: skip
"""Before these ``BTC`` and ``DOGE`` mean bitcoin and dogecoin; ``DOGEUR`` is DOG in euros."""
_BASES = frozenset({*_CODES.values(), "USDT"})
"""What has an old code, or is traded for an asset that has one."""
_SHARE = re.compile(r"[A-Z0-9.]+x/?[A-Z]+")
_CLASS_FIELDS = {
    **dict.fromkeys(("AddOrder", "AddOrderBatch", "EditOrder", "Ticker", "OHLC", "Depth", "Trades"), "asset_class"),
    "AssetPairs": "aclass_base",
}


def plain_code(asset: str) -> str:
    """The one name of an asset that Kraken writes as ``XXBT``, ``XBT`` or ``BTC``."""
    return _PLAIN.get(asset, asset)


def listed_code(asset: str) -> str:
    """The code of an asset that may be written as Kraken shows it: ``BTC`` is ``XBT``, and ``XXBT`` stays."""
    return asset if asset in _CODES else plain_code(asset)


def spelled(name: str) -> str:
    """A name as Kraken's REST accepts it, by its spelling alone: ``xbt/usd`` is ``BTC/USD``, ``BTCUSD`` is ``XBTUSD``.

    What Kraken takes stays as it is, and so does a name in which the case of the letters is mixed.
    """
    if name not in (name.upper(), name.lower()):
        return name
    body, colon, venue = name.upper().partition(":")
    base, slash, quote = body.partition("/")
    body = f"{shown_code(base)}/{shown_code(quote)}" if slash else _listed(base)
    return body + colon + venue


def market_key(name: str) -> str:
    """The same key for all names of one market, without asking Kraken: ``XXBTZUSD`` and ``btc/usd`` are ``XBTUSD``.

    For names known only by their spelling. Names of different markets have different keys.
    """
    body, colon, venue = spelled(name).partition(":")
    base, slash, quote = body.partition("/")
    return (plain_code(base) + plain_code(quote) if slash else _decoded(base)) + colon + venue


def market_of(pair: Pair) -> str:
    """The identity of a market, such as ``XBT/USD``; with its venue where that is not Kraken's own."""
    if pair.asset_class == TOKENIZED:
        return pair.id.replace("/", "")
    return f"{plain_code(pair.base)}/{plain_code(pair.quote)}" + (f":{pair.venue}" if pair.venue else "")


def name_of(pair: Pair) -> str:
    """The name for requests: the altname; the id where two markets share the altname."""
    return pair.id if pair.asset_class == TOKENIZED or pair.venue else spelled(pair.altname)


def names_of(pair: Pair) -> tuple[str, ...]:
    """The names that mean this market; of a share that is listed twice, the second listing has its id alone.

    Every name of a market on another venue has the venue in it: Kraken may give such a row the names of its own market.
    """
    if pair.asset_class == TOKENIZED and pair.id.replace("/", "") != pair.altname:
        return (pair.id,)
    shown = f"{shown_code(pair.base)}/{shown_code(pair.quote)}"
    names: tuple[str, ...] = (pair.id, pair.altname, pair.wsname, shown)
    if pair.venue:
        names = tuple(each if ":" in each else f"{each}:{pair.venue}" for each in names if each)
    return tuple(dict.fromkeys(each for each in names if each))


def is_named(pair: Pair, name: str) -> bool:
    """Whether this name means this market, in any spelling."""
    return name in names_of(pair) or market_key(name) in (market_key(market_of(pair)), market_key(name_of(pair)))


def ticker_params(pairs: Iterable[Pair]) -> dict[str, str]:
    """The parameters of Ticker for these markets, which are all of one class."""
    pairs = tuple(pairs)
    classed = {"asset_class": TOKENIZED} if any(pair.asset_class == TOKENIZED for pair in pairs) else {}
    return {"pair": ",".join(map(name_of, pairs)), **classed}


def is_share(name: str) -> bool:
    """Whether a name is written as that of a tokenized share is, such as ``BRK.BxUSD``."""
    return _SHARE.fullmatch(name) is not None


def with_names(
    endpoint: str, params: Mapping[str, Any], find: Callable[[str], Pair | None] = lambda name: None
) -> Mapping[str, Any]:
    """The parameters of a call with a `pair` that Kraken accepts, and with the asset class if Kraken requires one.

    `find` returns what is known of a market by any name. A name that Kraken accepts stays, since its reply may be keyed
    by it; so does a class that the caller gives. Lists are handled name by name.
    """
    named, field = params.get("pair"), _CLASS_FIELDS.get(endpoint, "")
    if not isinstance(named, str) or not named or params.get(field, "currency") != "currency":
        return params
    names = [each.strip() for each in named.split(",")]
    found = [find(each) for each in names]
    told = {**params, "pair": ",".join(_taken(name, pair) for name, pair in zip(names, found, strict=True))}
    is_classed = field and field not in params and all(map(_is_tokenized, names, found))
    return {**told, field: TOKENIZED} if is_classed else told


def _taken(name: str, pair: Pair | None) -> str:
    if pair is None:
        return spelled(name)
    return name if name in names_of(pair) and name == spelled(name) else name_of(pair)


def _is_tokenized(name: str, pair: Pair | None) -> bool:
    return is_share(name) if pair is None else pair.asset_class == TOKENIZED


def shown_code(asset: str) -> str:
    """The code of an asset as Kraken shows it: ``XXBT`` and ``XBT`` are ``BTC``."""
    plain = plain_code(asset)
    return _SHOWN.get(plain, plain)


def _listed(name: str) -> str:
    """A name without a slash, with the codes that Kraken lists in the place of those that it shows."""
    for shown, plain in (("BTC", "XBT"), ("DOGE", "XDG")):
        if name.startswith(shown) and name.removeprefix(shown) in _QUOTES:
            name = plain + name.removeprefix(shown)
    base = name.removesuffix("BTC")
    return base + "XBT" if base not in ("", name) else name


@functools.lru_cache(maxsize=1024)
def _decoded(name: str) -> str:
    """A name without a slash, without the codes of an old id: ``XXBTZUSD`` is ``XBTUSD``, ``XTZUSD`` stays."""
    for code, plain in _CODES.items():
        if name.startswith(code) and name != code:
            rest = name.removeprefix(code)
            return plain + _CODES.get(rest, rest)
    for code, plain in _CODES.items():
        base = name.removesuffix(code)
        if base != name and base in _BASES:
            return base + plain
    return name
