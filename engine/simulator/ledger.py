"""What an account's trades have written down: trades and ledger entries, told in pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from engine.simulator.checks import Params, text
from engine.simulator.order import Fill, new_id
from engine.simulator.refusal import Refused

PAGE = 50

Kept = TypeVar("Kept")


class Entry(NamedTuple):
    """One change of one asset's balance."""

    id: str
    refid: str
    time: float
    kind: str
    asset: str
    amount: Decimal
    fee: Decimal
    balance: Decimal

    def row(self) -> dict[str, Any]:
        """The row of `Ledgers`."""
        return {
            "refid": self.refid, "time": self.time, "type": self.kind, "subtype": "", "aclass": "currency",
            "asset": self.asset, "amount": f"{self.amount:.10f}", "fee": f"{self.fee:.10f}",
            "balance": f"{self.balance:.10f}",
        }  # fmt: skip


class Ledger:
    """The trades and entries of one account, the oldest first."""

    def __init__(self) -> None:
        self.fills: list[Fill] = []
        self.entries: list[Entry] = []

    def write(self, fill: Fill, changes: Iterable[tuple[str, Decimal, Decimal, Decimal]]) -> None:
        """Write down a trade and what it changed: asset, amount, fee and the balance after both."""
        self.fills.append(fill)
        for asset, amount, fee, balance in changes:
            self.entries.append(Entry(new_id("L"), fill.id, fill.time, "trade", asset, amount, fee, balance))


def page(params: Params, found: Sequence[Kept], times: Mapping[int, Iterable[float]]) -> tuple[list[Kept], int]:
    """The newest 50 of those whose times lie between ``start`` (not included) and ``end``, after ``ofs`` of them.

    `times` are those that count, by the place in `found`, which is the oldest first. Also how many there are in all.
    """
    start, end, skip = (_number(params, name) for name in ("start", "end", "ofs"))
    low = float("-inf") if start is None else start
    high = float("inf") if end is None else end
    inside = [each for place, each in enumerate(found) if any(low < time <= high for time in times[place])]
    newest = inside[::-1]
    first = int(skip or 0)
    return newest[first : first + PAGE], len(newest)


def _number(params: Params, name: str) -> float | None:
    told = params.get(name)
    if told in (None, ""):
        return None
    try:
        return float(text(params, name))
    except ValueError:
        raise Refused("EGeneral:Invalid arguments") from None
