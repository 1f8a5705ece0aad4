"""The placements that are in memory: found by id, name and state; and what of them the journal's file has not yet."""

from __future__ import annotations

from collections.abc import Iterable, Set
from decimal import Decimal

from engine.rules.order.own_name import same
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderState


class LiveRows:
    """Placements by their `cl_ord_id`. However many there are, one is found at once. One thread at a time."""

    def __init__(self) -> None:
        self._rows: dict[str, Placement] = {}
        self._by_id: dict[tuple[str, str], str] = {}
        self._by_name: dict[tuple[str, str], dict[str, None]] = {}  # at Kraken: two may have one, which is told
        self._by_state: dict[OrderState, dict[str, None]] = {state: {} for state in OrderState}
        self.unsaved: set[str] = set()
        """Those that were changed since they were written."""
        self.unwritten: dict[str, Placement | None] = {}
        """Those that were never written, and the placements whose ids they take."""
        self.in_doubt: set[str] = set()
        """Those of them that were to go out and could not be written: the file may have them as sent all the same."""

    def get(self, cl_ord_id: str) -> Placement | None:
        """The placement of that name."""
        return self._rows.get(cl_ord_id)

    def of_id(self, account: str, id: str) -> Placement | None:
        """The placement of that id."""
        return self._rows.get(self._by_id.get((account, id), ""))

    def of_name(self, account: str, name: str) -> Placement | None:
        """The placement whose order has, or had, that name at Kraken: its `cl_ord_id` or a txid."""
        holders = self._by_name.get((account, name))
        return self._rows[next(iter(holders))] if holders else None

    def in_state(self, states: Iterable[OrderState]) -> list[Placement]:
        """Those that are live and in one of these states, the oldest first."""
        rows = (self._rows[name] for state in states for name in self._by_state[state])
        return sorted((row for row in rows if row.is_live), key=_age)

    def names_in(self, state: OrderState) -> Set[str]:
        """The `cl_ord_id`s of those in a state."""
        return self._by_state[state].keys()

    def open_of_client(self, account: str, client: str | None, param: str, value: str | int) -> list[Placement]:
        """Those of a client that are not over and have this `cl_ord_id` or `userref` from it, the oldest first."""
        wanted = same(str(value))
        rows = [row for row in self._rows.values() if row.account == account and row.client == client]
        told = [(row, row.client_id if param == "cl_ord_id" else row.order.userref) for row in rows]
        found = [row for row, name in told if name is not None and same(str(name)) == wanted]
        return sorted((row for row in found if not row.state.is_over), key=_age)

    def reserved(self, account: str) -> dict[str, Decimal]:
        """What those of an account may take whose outcome or amounts are not known, by Kraken's asset name."""
        total: dict[str, Decimal] = {}
        for row in self._rows.values():
            if row.account == account and row.is_reserving:
                asset, amount = row.reserved
                total[asset] = total.get(asset, Decimal(0)) + amount
        return total

    # What changes them

    def intend(self, row: Placement, instead_of: Placement | None) -> None:
        """Take in a new one, which is not in the file; it takes the id from the other."""
        self.unwritten[row.cl_ord_id] = instead_of
        self.take(row)

    def change(self, row: Placement) -> None:
        """Take in what is not in the file yet."""
        self.take(row)
        self.unsaved.add(row.cl_ord_id)

    def wrote(self, row: Placement) -> None:
        """The file has it as it is here. One that is over is dropped from memory."""
        before = self.unwritten.pop(row.cl_ord_id, None)
        self.unsaved.discard(row.cl_ord_id)
        self.in_doubt.discard(row.cl_ord_id)
        if before is not None:
            self.leave(before)
        if not row.is_live:
            self.leave(row)

    def take_back(self, row: Placement) -> None:
        """Forget a new one, which could not be written; but one in doubt stays until what became of it is written."""
        if row.cl_ord_id in self.in_doubt:
            return
        before = self.unwritten[row.cl_ord_id]
        self.leave(row)
        if before is not None and before.cl_ord_id in self._rows:
            self.take(before)

    def along(self, going: Set[str], at_most: int) -> list[Placement]:
        """What else can be written with those that go out: live rows that the file has not, or not as they are."""
        new = (name for name, before in self.unwritten.items() if before is None)
        rows = [self._rows[name] for name in dict.fromkeys((*new, *self.unsaved)) if name not in going]
        return [row for row in rows if row.is_live][:at_most]

    def take(self, row: Placement) -> None:
        """Keep a row, in place of what it was before.

        Its id leads to the newest: the writing of an older one may have been given up, and done late.
        """
        before = self._rows.get(row.cl_ord_id)
        if before is None or before.state is not row.state:
            self._by_state[row.state][row.cl_ord_id] = None
        if before is not None and before.state is not row.state:
            del self._by_state[before.state][row.cl_ord_id]
        self._name(row, before)
        self._rows[row.cl_ord_id] = row
        known = self.of_id(row.account, row.id)
        if known is None or _age(known) <= _age(row):
            self._by_id[row.account, row.id] = row.cl_ord_id

    def leave(self, row: Placement) -> None:
        """It is not in memory any more."""
        self.unwritten.pop(row.cl_ord_id, None)
        self.unsaved.discard(row.cl_ord_id)
        self.in_doubt.discard(row.cl_ord_id)
        known = self._rows.pop(row.cl_ord_id, None)
        if known is None:
            return
        del self._by_state[known.state][row.cl_ord_id]
        for name in known.names:
            self._unname(known, name)
        if self._by_id.get((row.account, row.id)) == row.cl_ord_id:
            del self._by_id[row.account, row.id]

    def _name(self, row: Placement, before: Placement | None) -> None:
        had = () if before is None else before.names
        if had == row.names:
            return
        for name in row.names:
            self._by_name.setdefault((row.account, name), {})[row.cl_ord_id] = None
        for name in set(had) - set(row.names):
            self._unname(row, name)

    def _unname(self, row: Placement, name: str) -> None:
        holders = self._by_name[row.account, name]
        holders.pop(row.cl_ord_id, None)
        if not holders:
            del self._by_name[row.account, name]


def _age(row: Placement) -> float:
    return row.times.get(OrderState.PLANNED.value, 0.0)
