"""How it is found out what became of an order: which calls are made, and what their answers mean together.

The steps of a look are a generator: it yields a call, is sent that call's `result` or thrown the `CallError` with which
it failed, and returns what it found. So the rules are here, and the calls with their time and place elsewhere.

A row that is found settles, whatever else is odd about the reply it stands in. An order can be missing from the lists
for a moment, and a lost request may still be under way to the exchange. So that an order is *absent* is only what a
thorough look says that began when Kraken takes the order no more, from lists that are complete: a list that failed or
whose count does not fit, and a row that cannot be read or matched, is doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import field
from decimal import Decimal
from typing import Any

from engine.errors import CallError, CallUnknown
from engine.kraken.drift import ODD
from engine.kraken.pair_names import is_share, market_key
from engine.rules.order.found import Found, read_order
from engine.rules.order.lists import (
    SLACK,
    Call,
    LookupSteps,
    NoteOf,
    Row,
    Rows,
    by_txid,
    mappings,
    no_notes,
    pages,
    read,
    read_rows,
)
from engine.rules.order.order import Order
from engine.rules.order.own_name import KrakenName
from engine.values.dataclass import dataclass

TRADES_AT_ONCE = 20  # names that QueryTrades takes
OPENED_EARLIER = 180.0  # an order that was opened so many seconds before our deadline is not ours: that is 60 at most


def _nobodys(txid: str) -> bool:
    """Of which orders another placement has, where that is not known."""
    return False


def look_up(
    name: KrakenName, sent: float, *, thorough: bool, open_only: bool = False, like: Order | None = None,
    noter: NoteOf = no_notes, is_others: Callable[[str], bool] = _nobodys,
) -> LookupSteps:  # fmt: skip
    """The orders with that name, by txid: first the open ones, then the closed ones, since that way they move.

    `sent`: Kraken's time when it went out. `thorough`: look through the account's trades as well, and where these
    cannot be had, through its ledger. `open_only`: a cheap look, at the open orders alone. `like`: the order as it was
    sent; a row without a name that cannot be this order is not a doubt. `is_others`: whether a txid is of an order that
    another placement has; an order that an edit has made has no name, and is not a doubt here.

    Returns what was found; nothing found means absent from complete lists. Raises `CallUnknown` where nothing was found
    and that does not mean absence, or the `CallError` of the first list that failed.
    """
    search = _Search(name, sent, like, noter, is_others)
    yield from search.open_orders()
    if not search.found and not open_only:
        yield from search.closed_orders()
    if not search.found and thorough:
        yield from search.trades()
    return search.outcome()


@dataclass(slots=True)
class _Search:
    """Looks for the orders with one name, in one list after the other, and keeps what is doubtful."""

    name: KrakenName
    sent: float
    like: Order | None
    noter: NoteOf
    is_others: Callable[[str], bool]
    found: dict[str, Found] = field(default_factory=dict)
    doubts: list[CallError] = field(default_factory=list)

    @property
    def start(self) -> int:
        """From when on history is asked for."""
        return int(self.sent - SLACK)

    def open_orders(self) -> Generator[Call, Any, None]:
        try:
            result = yield "OpenOrders", dict(self.name.filter())
        except CallError as error:
            self.doubts.append(error)
            return
        rows = read_rows(result, "open", self.doubts, self.noter("OpenOrders"))
        yield from self._take(rows, "OpenOrders")

    def closed_orders(self) -> Generator[Call, Any, None]:
        asked = {**self.name.filter(), "start": self.start}
        rows = yield from pages("ClosedOrders", asked, "closed", self.doubts, self.noter, enough=self._are_named)
        yield from self._take(rows, "ClosedOrders")

    def trades(self) -> Generator[Call, Any, None]:
        """The orders of the account's trades since then: one that was filled is among them, whatever list lags."""
        before = len(self.doubts)
        asked = {**self.name.filter(), "start": self.start}
        trades = yield from pages("TradesHistory", asked, "trades", self.doubts, self.noter)
        txids = {str(row["ordertxid"]) for row in trades.values() if row.get("ordertxid")}
        if any(not row.get("ordertxid") for row in trades.values()):
            self.doubts.append(_unreadable("TradesHistory"))
        if len(self.doubts) > before:
            txids |= yield from self._from_ledger()
        yield from self._ask(sorted(txids), filtered=False)

    def outcome(self) -> dict[str, Found]:
        if not self.found and self.doubts:
            raise self.doubts[0]
        return self.found

    def _from_ledger(self) -> Generator[Call, Any, set[str]]:
        """The orders whose trades the ledger has, where the list of trades is not whole."""
        asked = {"type": "trade", "start": self.start}
        entries = yield from pages("Ledgers", asked, "ledger", [], self.noter)
        trades = sorted({str(row["refid"]) for row in entries.values() if row.get("refid")})
        found: set[str] = set()
        for at in range(0, len(trades), TRADES_AT_ONCE):
            try:
                rows = yield "QueryTrades", {"txid": ",".join(trades[at : at + TRADES_AT_ONCE])}
            except CallError as error:
                self.doubts.append(error)
                continue
            found |= {str(row["ordertxid"]) for row in mappings(rows).values() if row.get("ordertxid")}
        return found

    def _take(self, rows: Rows, endpoint: str) -> Generator[Call, Any, None]:
        """Take in a list that was asked for with our name. A row in it without a name is asked for once more."""
        named = {txid: row for txid, row in rows.items() if self._is_named(row)}
        self.found |= read(named, self.noter(endpoint))
        nameless = [txid for txid, row in rows.items() if not self._is_told(row) and self._may_be_it(txid, row)]
        if nameless and not self.found:
            self.noter(endpoint)(self.name.param, ODD)
            yield from self._ask(nameless, filtered=True)

    def _ask(self, txids: Sequence[str], *, filtered: bool) -> Generator[Call, Any, None]:
        """Ask for orders by txid. filtered: each of them may be ours, as it came in a list for our name."""
        rows = yield from by_txid(txids, self.doubts, self.noter("QueryOrders"))
        named = {txid: row for txid, row in rows.items() if self._is_named(row)}
        self.found |= read(named, self.noter("QueryOrders"))
        is_one_told = filtered or self.like is not None
        strangers = {
            txid
            for txid, row in rows.items()
            if self.name.is_of_another(row) or not is_one_told or not self._may_be_it(txid, row)
        }
        if set(txids) - strangers - named.keys():
            self.doubts.append(_unmatched("QueryOrders"))

    def _are_named(self, rows: Rows) -> bool:
        return any(self._is_named(row) for row in rows.values())

    def _is_named(self, row: Row) -> bool:
        return self.name.is_of(row)

    def _is_told(self, row: Row) -> bool:
        """Whether a row has a name, be it this or another."""
        return self.name.is_of(row) or self.name.is_of_another(row)

    def _may_be_it(self, txid: str, row: Row) -> bool:
        """Whether nothing that a row tells says that it is another order."""
        opened, descr, like = row.get("opentm"), row.get("descr"), self.like
        if isinstance(opened, int | float | Decimal) and opened < self.sent - OPENED_EARLIER:
            return False
        if self.is_others(txid):
            return False
        if like is None or not isinstance(descr, Mapping):
            return True
        volume = None if "viqc" in like.flags else read_order("", row).volume
        told = [(descr.get("type"), like.side), (descr.get("ordertype"), like.type), (volume, like.volume)]
        if isinstance(descr.get("pair"), str) and not is_share(like.pair):
            told.append((market_key(descr["pair"]), market_key(like.pair)))
        return all(said is None or said == asked for said, asked in told)


def _unreadable(endpoint: str) -> CallUnknown:
    return CallUnknown(f"Kraken's {endpoint} has a row that names no order.", endpoint=endpoint)


def _unmatched(endpoint: str) -> CallUnknown:
    return CallUnknown("Kraken has an order without our name that may be this one.", endpoint=endpoint)
