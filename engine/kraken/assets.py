"""Asset identity: the table from Kraken's balance row names to plain names.

Kraken's old assets carry an X or a Z (``XXBT``, ``ZUSD``), newer ones do not, and some names merely begin with
those letters (``XAUT``, ``ZETA``), so letters are never stripped. A balance row may also carry a suffix that says in
which wallet the asset lies (``USD.F``); such rows drop the old prefix, and most are not in Kraken's Assets reply. A dot
need not begin a suffix: the tokenized share ``BRK.Bx`` is an asset of its own.
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
    """The plain name of each of Kraken's names. Immutable; `with_assets` returns a new table.

    Guarantees: a plain name maps to itself; a name once mapped keeps its meaning in every table made from this one;
    a malformed reply, or one that contradicts the table, never merges two assets.
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
        """The plain name of an asset by any of its names; `None` if the table does not have it.

        Takes a plain name, Kraken's own (``ZUSD``), the one that Kraken shows (``BTC``, ``DOGE``), and each in lower
        case.
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
    """The names, with every plain name standing for itself as well."""
    return {plain: plain for plain in names.values()} | dict(names)


def _told(assets: object) -> dict[str, str]:
    """What an Assets reply says: name to altname, well-formed rows without a suffix only.

    Needed are the name and ``altname``; without ``aclass`` a name with a dot is taken for a row with a suffix.
    """
    rows = assets.items() if isinstance(assets, Mapping) else ()
    named = ((name, row.get("altname"), row.get("aclass")) for name, row in rows if isinstance(row, Mapping))
    return {name: plain for name, plain, kind in named if _is_name(name, kind) and _is_name(plain, kind)}


def _is_name(value: object, kind: object) -> TypeGuard[str]:
    form = _SHARE_NAME if kind == "tokenized_asset" else _NAME
    return isinstance(value, str) and form.fullmatch(value) is not None


_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SHARE_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}(\.[A-Za-z0-9_-]{1,32})?")
# How Kraken names a tokenized share of which the exchange's own name has a dot: BRK.B is BRK.Bx. No suffix ends in x.
_SHARE = re.compile(r"[A-Z]+\.[A-Z]{1,2}x(?![^.])")
# Names that Kraken shows to people and in its newer interfaces, and does not use for balances.
_SHOWN = {"BTC": "XBT", "DOGE": "XDG"}
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

# Names that look like something else, assets with bonded forms that name their days, and money that may be cash.
_AS_THEY_ARE = (
    "XAUT", "XTZ", "XION", "XCN", "XRT", "ZRX", "ZETA", "ZEUS", "ZORA", "ZK", "ZRO", "ETH2", "ETHW", "REPV2",
    "USDT", "USDC", "USDD", "USDG", "USDQ", "USDR", "USDS", "USD1", "DAI", "PYUSD", "RLUSD", "TUSD",
    "EUROP", "EURQ", "EURR", "AED", "CHF", "ATOM", "DOT", "FLOW", "GRT", "KAVA", "KSM", "MATIC", "SCRT", "SOL",
)  # fmt: skip
