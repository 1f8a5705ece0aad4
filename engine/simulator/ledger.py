"""An account's trades and ledger entries, listed in pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from engine.simulator.book_order import new_id
from engine.simulator.fill import Fill
from engine.simulator.market import decimals_of
from engine.simulator.parameters import Params, amount, text
from engine.simulator.refusal import Refused

PAGE = 50

Window = tuple[int, int]


class Change(NamedTuple):
    """What became of one asset's balance, and the balance after it."""

    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal


class LedgerEntry(NamedTuple):
    """One change of one asset's balance."""

    id: str
    refid: str
    time: float
    kind: str
    change: Change

    @property
    def asset(self) -> str:
        """The asset whose balance was changed."""
        return self.change.asset

    def row(self) -> dict[str, Any]:
        """The row of `Ledgers`; its amounts are in the decimals of the asset."""
        shown = decimals_of(self.asset)
        return {
            "refid": self.refid, "time": self.time, "type": self.kind, "subtype": "", "aclass": "currency",
            "asset": self.asset, "amount": f"{self.change.amount:.{shown}f}", "fee": f"{self.change.fee:.{shown}f}",
            "balance": f"{self.change.balance:.{shown}f}",
        }  # fmt: skip


class Ledger:
    """The trades and entries of one account, the oldest first. `entered` is called with each new entry."""

    def __init__(self, entered: Callable[[LedgerEntry], None] = lambda _: None) -> None:
        self._entered = entered
        self.fills: list[Fill] = []
        self.entries: list[LedgerEntry] = []
        self._of_fill: dict[str, list[str]] = {}

    def write(self, fill: Fill, changes: Iterable[Change]) -> None:
        """Write down a trade and what it changed."""
        self.fills.append(fill)
        self._of_fill[fill.id] = [self.enter("trade", fill.id, fill.time, change) for change in changes]

    def enter(self, kind: str, refid: str, time: float, change: Change) -> str:
        """Write down one change, of this kind and for this reason; the id of the entry."""
        entry = LedgerEntry(new_id("L"), refid, time, kind, change)
        self.entries.append(entry)
        self._entered(entry)
        return entry.id

    def of_fill(self, fill: Fill) -> list[str]:
        """The ids of the entries of a trade."""
        return self._of_fill[fill.id]


class Listed(NamedTuple):
    """An entry of a paged list, under its id. It happened at `times`."""

    id: str
    times: tuple[float, ...]
    row: Callable[[], dict[str, Any]]


def page(params: Params, found: Sequence[Listed], window: Window = (0, 0)) -> tuple[dict[str, dict[str, Any]], int]:
    """The newest 50 after ``ofs`` others of those that happened after ``start`` and by ``end``, and how many in all.

    `found` begins with the oldest. ``start`` and ``end`` are times, or the id of one of `found`. `window` is what the
    key may see, Unix seconds; 0 is not a limit.
    """
    start, end = (_moment(params, name, found) for name in ("start", "end"))
    low = max(start if start is not None else float("-inf"), window[0] or float("-inf"))
    high = min(end if end is not None else float("inf"), window[1] or float("inf"))
    newest = [each for each in reversed(found) if any(low < time <= high for time in each.times)]
    skipped = int(_moment(params, "ofs", ()) or 0)
    return {each.id: each.row() for each in newest[skipped : skipped + PAGE]}, len(newest)


def _moment(params: Params, name: str, found: Sequence[Listed]) -> float | None:
    told = text(params, name)
    if not told:
        return None
    number = amount(told)
    if number is not None:
        return float(number)
    for each in found:
        if each.id == told:
            return each.times[-1]
    raise Refused("EGeneral:Invalid arguments")
