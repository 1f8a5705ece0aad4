"""Compares Kraken's public replies of today with what the engine knows of them. Needs no key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.actors.drift_log import DriftLog
from engine.doctor.changes import change_findings
from engine.doctor.finding import Finding, bad, ok, skipped, warn
from engine.errors import CallError
from engine.kraken.assets import AssetTable
from engine.kraken.pairs import read_pairs
from engine.kraken.shapes import compare
from engine.kraken.tickers import read_tickers
from engine.values import Clock, Pair, Settings, Ticker

Ask = Callable[[str, Mapping[str, Any]], Any]
"""One public call: its result. Raises `CallError`."""

_STATUS_PAGE = "Look at https://status.kraken.com, and try again in a few minutes."
_OLD_ENGINE = "Look for a newer version of this engine: Kraken has changed its reply."


class PublicReplies:
    """Calls each public endpoint once. `drift` collects what is new, missing or odd in the replies."""

    CHECKS = ("assets", "pairs", "prices")

    def __init__(self, ask: Ask, settings: Settings, clock: Clock) -> None:
        self._ask, self._settings, self._cash = ask, settings, settings.cash
        self._bitcoin: list[str] = []
        self.drift = DriftLog(clock, lambda _: None)

    def findings(self) -> Iterator[Finding]:
        """One for each endpoint, then one for each change that the engine handles."""
        for check, look in zip(self.CHECKS, (self._assets, self._pairs, self._prices), strict=True):
            try:
                yield look()
            except CallError as error:
                yield warn(check, str(error), _STATUS_PAGE)
        yield from change_findings(self.drift.read(), self._settings)

    def _assets(self) -> Finding:
        told = self._ask("Assets", {})
        compare("Assets", told, self.drift.noter("Assets"))
        unread = sum(not (isinstance(row, Mapping) and isinstance(row.get("altname"), str)) for row in told.values())
        return _listed("assets", "asset", len(told), unread, "keep the names that they came with")

    def _pairs(self) -> Finding:
        told = self._ask("AssetPairs", {})
        read = set(read_pairs(told, note=self.drift.noter("AssetPairs")).values())
        self._bitcoin = sorted(pair.altname for pair in read if self._is_for_cash(pair))
        return _listed("pairs", "pair", len(told), len(told) - len(read), "cannot be traded")

    def _prices(self) -> Finding:
        names = self._bitcoin
        if not names:
            return skipped("prices", f"no pair of bitcoin for {' or '.join(self._cash)} is known")
        told = self._ask("Ticker", {"pair": ",".join(names)})
        read = read_tickers(told, note=self.drift.noter("Ticker"))
        if not any(isinstance(each, Ticker) for each in read.values()):
            return bad("prices", f"Kraken gives no price for {', '.join(names)} that can be read.", _OLD_ENGINE)
        return ok("prices", f"Kraken gives the prices of {', '.join(names)}.")

    def _is_for_cash(self, pair: Pair) -> bool:
        table = AssetTable.shipped()
        base, quote = (table.locate(each).asset for each in (pair.base, pair.quote))
        return base == "XBT" and quote in self._cash and ":" not in pair.altname


def _listed(check: str, what: str, rows: int, unread: int, so: str) -> Finding:
    if not rows or unread >= rows:
        return bad(check, f"Kraken lists {rows} {what}s, and none of them can be read.", _OLD_ENGINE)
    if unread:
        return warn(check, f"{unread} of Kraken's {rows} {what}s cannot be read: they {so}.", _OLD_ENGINE)
    return ok(check, f"Kraken lists {rows} {what}s, and each of them can be read.")
