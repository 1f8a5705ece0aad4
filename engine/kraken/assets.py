"""Asset identity: the plain name of each row in Kraken's balances, by table.

Kraken's old assets have a prefix X or Z (``XXBT``, ``ZUSD``), newer ones do not, and some names merely begin with
those letters (``XAUT``, ``ZETA``), so letters are never stripped. A balance row may also have a suffix that names the
asset's wallet (``USD.F``); such rows omit the old prefix, and most are not in Kraken's Assets reply. Not every dot
begins a suffix: the tokenized share ``BRK.Bx`` is an asset of its own.
Sources: Kraken's support article 360039879471, its Assets reply, and the BalanceEx reference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from engine.values import Bucket
from engine.values.dataclass import dataclass


class Located(NamedTuple):
    """What a balance row is of: the asset's plain name, and the wallet."""

    asset: str
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class AssetTable:
    """The plain name of each of Kraken's names. Immutable; `with_assets` makes a new table.

    Guarantees: a plain name maps to itself; a name once mapped keeps its meaning in every table made from this one; a
    reply that is malformed or contradicts the table never merges two assets.
    """

    names: Mapping[str, str]

    @classmethod
    def shipped(cls) -> AssetTable:
        """The names that are known without Kraken's list."""
        return cls(MappingProxyType(_closed(_LEGACY) | {name: name for name in _AS_THEY_ARE}))

    def with_assets(self, assets: object) -> AssetTable:
        """A table that also has the `altname` of every asset in `assets`, the result of Kraken's Assets.

        Rows that are malformed, repeat a known name, or claim the plain name of another asset are left out: their
        assets keep Kraken's names.
        """
        listed = _listed(assets)
        claims = Counter(listed.values())
        new = {
            name: plain
            for name, plain in listed.items()
            if name not in self.names
            and (plain == name or (plain not in self.names and plain not in listed and claims[plain] == 1))
        }
        return AssetTable(MappingProxyType(_closed(new) | dict(self.names)))

    def locate(self, row_name: str) -> Located:
        """The asset and the wallet of a balance row.

        An unknown asset keeps its name; an unknown suffix is `Bucket.UNKNOWN`, never spendable. A bonded row may name
        its days: ``DOT28.S`` is DOT when the table knows DOT and not DOT28. ``ETH2.S`` stays ETH2. A tokenized share
        whose name has a dot (``BRK.Bx``) is known by the table, or by Kraken's form for such names.
        """
        base, suffix = self._split(row_name)
        if suffix is None:
            return Located(self.names.get(base, base), Bucket.SPOT)
        if not base:
            return Located(row_name, Bucket.UNKNOWN)
        if suffix == "S":
            base = self._without_days(base)
        return Located(self.names.get(base, base), _SUFFIXES.get(suffix, Bucket.UNKNOWN))

    def plain(self, name: str) -> str | None:
        """The plain name of the asset that a person calls `name`; `None` when it is not in the table.

        Accepts the plain name, Kraken's own (``ZUSD``), and the one that Kraken displays (``BTC``, ``DOGE``), each
        also in lower case.
        """
        for spelling in (name, name.upper()):
            shown = _SHOWN.get(spelling, spelling)
            if shown in self.names:
                return self.names[shown]
        return None

    def _split(self, row_name: str) -> tuple[str, str | None]:
        """The asset's own name and the suffix, `None` where there is none."""
        share = _SHARE.match(row_name)
        at = row_name.find(".", share.end() if share else 0)
        if row_name in self.names or at < 0:
            return row_name, None
        return row_name[:at], row_name[at + 1 :]

    def _without_days(self, base: str) -> str:
        days = _DAYS.fullmatch(base)
        return days[1] if days and base not in self.names and days[1] in self.names else base


def _closed(names: Mapping[str, str]) -> dict[str, str]:
    """The names, with every plain name mapped to itself as well."""
    return {plain: plain for plain in names.values()} | dict(names)


def _listed(assets: object) -> dict[str, str]:
    """The ``altname`` of each name in an Assets reply; only well-formed rows without a suffix.

    A row needs its name and ``altname``; without ``aclass`` a dot in the name is taken for the start of a suffix.
    """
    rows = assets.items() if isinstance(assets, Mapping) else ()
    named = ((name, row.get("altname"), row.get("aclass")) for name, row in rows if isinstance(row, Mapping))
    return {name: plain for name, plain, kind in named if _is_name(name, kind) and _is_name(plain, kind)}


def _is_name(value: object, kind: object) -> TypeGuard[str]:
    form = _SHARE_NAME if kind == "tokenized_asset" else _NAME
    return isinstance(value, str) and form.fullmatch(value) is not None


_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SHARE_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32})?")
# Kraken's name for a tokenized share whose own name has a dot: BRK.B is BRK.Bx. No suffix ends in x.
_SHARE = re.compile(r"[A-Z]+\.[A-Z]{1,2}x(?![^.])")
# Names that Kraken displays and uses in its newer interfaces, but not in balances.
_SHOWN = {"BTC": "XBT", "DOGE": "XDG"}
# Kraken writes the days of a bonded form in two digits (DOT28, KSM07), so the 2 of ETH2 is not a number of days.
_DAYS = re.compile(r"([A-Z0-9]*[A-Z])[0-9]{2}")

_SUFFIXES = {
    "F": Bucket.EARN_AUTO,
    "B": Bucket.BONDED,
    "S": Bucket.BONDED,
    "M": Bucket.OPT_IN,
    "P": Bucket.PARKED,
    "T": Bucket.TOKENISED,
    "HOLD": Bucket.HOLD,
}

_LEGACY = {
    "XXBT": "XBT", "XETH": "ETH", "XXDG": "XDG", "XLTC": "LTC", "XXMR": "XMR", "XXRP": "XRP", "XXLM": "XLM",
    "XZEC": "ZEC", "XETC": "ETC", "XMLN": "MLN", "XREP": "REP", "XICN": "ICN", "XNMC": "NMC", "XXVN": "XVN",
    "XDAO": "DAO", "ZUSD": "USD", "ZEUR": "EUR", "ZGBP": "GBP", "ZCAD": "CAD", "ZAUD": "AUD", "ZJPY": "JPY",
    "ZKRW": "KRW", "KFEE": "FEE",
}  # fmt: skip

# Names that look prefixed and are not, assets whose bonded forms name their days, and money that may be cash.
_AS_THEY_ARE = (
    "XAUT", "XTZ", "XION", "XCN", "XRT", "ZRX", "ZETA", "ZEUS", "ZORA", "ZK", "ZRO", "ETH2", "ETHW", "REPV2",
    "USDT", "USDC", "USDD", "USDG", "USDQ", "USDR", "USDS", "USD1", "DAI", "PYUSD", "RLUSD", "TUSD",
    "EUROP", "EURQ", "EURR", "AED", "CHF", "ATOM", "DOT", "FLOW", "GRT", "KAVA", "KSM", "MATIC", "SCRT", "SOL",
)  # fmt: skip
