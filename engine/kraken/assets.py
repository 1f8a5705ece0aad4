"""Asset identity: from the row names of Kraken's balances to plain names, by table.

Kraken's old assets carry an X or a Z (``XXBT``, ``ZUSD``), newer ones do not, and some names merely begin with
those letters (``XAUT``, ``ZETA``), so letters are never stripped. A balance row may also carry a suffix that says in
which wallet the asset lies (``USD.F``); such rows drop the old prefix, and most are not in Kraken's Assets reply.
Sources: Kraken's support article 360039879471, its Assets reply, and the BalanceEx reference.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from engine.values import Bucket


class Located(NamedTuple):
    """Where a balance row belongs: the asset's plain name, and the wallet."""

    asset: str
    bucket: Bucket


@dataclass(frozen=True, slots=True)
class AssetTable:
    """Which plain name each of Kraken's names has. Immutable; `with_assets` makes a new one.

    Guarantees: a plain name maps to itself; a name once mapped keeps its meaning in every table made from this one;
    two assets are never merged on the word of a reply that is malformed or contradicts the table.
    """

    names: Mapping[str, str]

    @classmethod
    def shipped(cls) -> AssetTable:
        """The names that are known without asking Kraken."""
        return cls(MappingProxyType(_closed(_LEGACY) | {name: name for name in _AS_THEY_ARE}))

    def with_assets(self, assets: object) -> AssetTable:
        """A table that also knows the `altname` of every asset in `assets`, the result of Kraken's Assets.

        Rows that are malformed, speak of a name that is known already, or claim a plain name that another asset has
        are passed over: their assets keep the names that they came with.
        """
        told = _told(assets)
        claims = Counter(told.values())
        new = {
            name: plain
            for name, plain in told.items()
            if name not in self.names
            and (plain == name or (plain not in self.names and plain not in told and claims[plain] == 1))
        }
        return AssetTable(MappingProxyType(_closed(new) | dict(self.names)))

    def locate(self, row_name: str) -> Located:
        """The asset and the wallet of a balance row.

        An unknown asset keeps its name; an unknown suffix is `Bucket.UNKNOWN`, never spendable. A bonded row may name
        its days: ``DOT28.S`` is DOT when the table knows DOT and not DOT28. ``ETH2.S`` stays ETH2.
        """
        base, dot, suffix = row_name.partition(".")
        if not dot:
            return Located(self.names.get(base, base), Bucket.SPOT)
        if not base:
            return Located(row_name, Bucket.UNKNOWN)
        if suffix == "S":
            base = self._without_days(base)
        return Located(self.names.get(base, base), _SUFFIXES.get(suffix, Bucket.UNKNOWN))

    def _without_days(self, base: str) -> str:
        days = _DAYS.fullmatch(base)
        return days[1] if days and base not in self.names and days[1] in self.names else base


def _closed(names: Mapping[str, str]) -> dict[str, str]:
    """The names, with every plain name standing for itself as well."""
    return {plain: plain for plain in names.values()} | dict(names)


def _told(assets: object) -> dict[str, str]:
    """What an Assets reply says: name to altname, well-formed rows without a suffix only."""
    rows = assets.items() if isinstance(assets, Mapping) else ()
    named = ((name, row.get("altname")) for name, row in rows if isinstance(row, Mapping))
    return {name: plain for name, plain in named if _is_name(name) and _is_name(plain)}


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
# Kraken writes the days of a bonded form in two digits (DOT28, KSM07), so the 2 of ETH2 is not one.
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

# Names that look like something else, and assets with bonded forms that name their days.
_AS_THEY_ARE = (
    "XAUT", "XTZ", "XION", "XCN", "XRT", "ZRX", "ZETA", "ZEUS", "ZORA", "ZK", "ZRO", "ETH2", "ETHW", "REPV2",
    "USDT", "USDC", "ATOM", "DOT", "FLOW", "GRT", "KAVA", "KSM", "MATIC", "SCRT", "SOL",
)  # fmt: skip
