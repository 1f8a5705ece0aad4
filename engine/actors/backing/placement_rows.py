"""The placements, pauses and dead man's switches of a journal, over documents that are found by name and in order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from engine.actors.backing import journal_rows as layout
from engine.errors import StoreDamaged, StoreError
from engine.rules.order.placement import Placement
from engine.store import AT_ONCE

_AFTER_NAMES = "g"  # the names of placements are hexadecimal digits
CLIENTS_AT_MOST = 5_000  # placements of one name that are looked at, the newest


class OrderedDocuments(Protocol):
    """Documents by name. Everything raises `StoreError`; what writes returns when it is durable, all or none."""

    def named(self, names: Sequence[str]) -> dict[str, Any]:
        """The documents of these names that there are, at most `AT_ONCE`."""
        ...

    def names(self, first: str, end: str, at_most: int | None = None) -> list[str]:
        """The names from `first` to before `end`, in the order of their bytes."""
        ...

    def between(self, first: str, end: str) -> dict[str, Any]:
        """The documents of these names."""
        ...

    def put_all(self, documents: Mapping[str, Any]) -> None:
        """Write documents."""
        ...

    def remove(self, names: Sequence[str]) -> None:
        """Remove documents; a missing name is ignored."""
        ...


class PlacementRows:
    """Placements over documents, laid out as `journal_rows` says. One thread writes at a time.

    `get` and `find` take one or two lookups by name, however many placements there are.

    After `read_live`: `live` are the placements that are live, and `switches` the dead man's switches that are armed,
    in seconds by account (0: it is being disarmed); `pauses` tells since when an account's trading is paused, in Unix
    seconds; `lost` are the marks of live placements that cannot be read, or are gone.
    """

    def __init__(self, documents: OrderedDocuments, where: str) -> None:
        self._documents, self._where = documents, where
        self.live: list[Placement] = []
        self.lost: list[str] = []
        self.switches: dict[str, int] = {}
        self.pauses: dict[str, float] = {}

    def read_live(self) -> None:
        """Read what is live, without a look at the others."""
        marks = self._documents.names(layout.LIVE, f"{layout.LIVE}~")
        rows = self.readable([mark.removeprefix(layout.LIVE) for mark in marks])
        self.live = [row for row in rows.values() if row.is_live]
        self.lost = [mark for mark in marks if mark.removeprefix(layout.LIVE) not in rows]
        self.switches = layout.switches(self._documents.between(layout.SWITCH, f"{layout.SWITCH}~"))
        self.pauses = layout.pauses(self._documents.between(layout.PAUSE, f"{layout.PAUSE}~"))
        with contextlib.suppress(StoreError):  # the engine ended between two writes; tried again at the next start
            self._documents.remove([layout.live_mark(row) for row in rows.values() if not row.is_live])

    def get(self, cl_ord_id: str) -> Placement | None:
        """The placement of that name."""
        return self.rows([cl_ord_id]).get(cl_ord_id)

    def find(self, account: str, name: str) -> Placement | None:
        """The placement of that id, `cl_ord_id` or txid."""
        leads = layout.leads(account, name)
        found = self._documents.named(leads)
        row = self.get(next((str(found[lead]) for lead in leads if lead in found), name))
        return row if row is not None and row.account == account else None

    def find_all(self, account: str, names: Mapping[str, str | None]) -> dict[str, Placement]:
        """Placements by the txid, with the `cl_ord_id` of each where it is known."""
        leads = {txid: layout.leads(account, txid)[1] for txid in names}
        told = self._named([*leads.values()])
        targets = {txid: str(told.get(lead) or names[txid] or "") for txid, lead in leads.items()}
        rows = self.rows(list(dict.fromkeys(targets.values())))
        return {txid: rows[name] for txid, name in targets.items() if name in rows and rows[name].account == account}

    def of_client(self, account: str, client: str | None, param: str, value: str | int) -> list[Placement]:
        """A client's placements with this name, the newest first."""
        first = layout.of_client(account, client, param, value)
        names = [mark.rpartition("/")[2] for mark in self._documents.names(first, f"{first}~")]
        rows = self.rows(names[-CLIENTS_AT_MOST:])
        return [rows[name] for name in reversed(names) if name in rows]

    def begin(self, row: Placement, instead_of: Placement | None) -> None:
        """Write a new placement; it takes the id from the one that is dropped."""
        self._documents.put_all(layout.new_documents(row))
        self._drop(instead_of)

    def send(self, row: Placement, instead_of: Placement | None = None, along: Sequence[Placement] = ()) -> None:
        """Write a placement that goes out as soon as this returns, and others that are live, new or not.

        If it is new, it takes the id from the one that is dropped.
        """
        self._put_sent(dict(each for one in (row, *along) for each in layout.new_documents(one).items()))
        self._drop(instead_of)

    def _put_sent(self, documents: Mapping[str, Any]) -> None:
        self._documents.put_all(documents)

    def _drop(self, row: Placement | None) -> None:
        if row is not None:
            with contextlib.suppress(StoreError):  # its id does not lead to it any more
                self._documents.remove(layout.names(row))

    def keep(self, rows: Sequence[Placement]) -> None:
        """Write what is known now of placements that were written before."""
        self._documents.put_all({name: each for row in rows for name, each in layout.documents(row).items()})
        with contextlib.suppress(StoreError):  # found to be over at the next start
            self._documents.remove([layout.live_mark(row) for row in rows if not row.is_live])

    def keep_switch(self, account: str, seconds: int) -> None:
        """Write how long a dead man's switch is armed for."""
        self._documents.put_all({layout.SWITCH + account: seconds})
        self.switches[account] = seconds

    def forget_switch(self, account: str) -> None:
        """A switch is disarmed."""
        self.switches.pop(account, None)
        self._documents.remove([layout.SWITCH + account])

    def keep_pause(self, account: str, since: float) -> None:
        """Write that the account's trading is paused."""
        self._documents.put_all({layout.PAUSE + account: since})
        self.pauses[account] = since

    def forget_pause(self, account: str) -> None:
        """Write that the account's trading goes on."""
        self._documents.remove([layout.PAUSE + account])
        self.pauses.pop(account, None)

    def forget(self, now: float, at_most: int = AT_ONCE) -> None:
        """Drop placements that need not be kept any longer at `now`, no more than some at a time."""
        marks = self._documents.names(layout.OVER, layout.over_before(now), at_most)
        rows = self.rows([mark.rpartition("/")[2] for mark in marks]).values()
        old = [row for row in rows if row.is_forgotten(now)]
        self.keep([row for row in rows if not row.is_forgotten(now)])  # marked anew: something happened to them later
        held = self._documents.named([layout.leads(row.account, row.id)[0] for row in old])
        names = [name for row in old for name in layout.names(row)]
        self._documents.remove([*names, *layout.lost_leads(old, held), *marks])

    def parts(self) -> Iterator[list[Placement]]:
        """Every placement, some at a time."""
        first = ""
        while names := self._documents.names(first, _AFTER_NAMES, AT_ONCE):
            yield list(self.rows(names).values())
            first = f"{names[-1]}\x01"

    def adopt(self, rows: Sequence[Placement]) -> None:
        """Write placements of another journal, in place of those of the same name. `live` does not tell of them."""
        rows = sorted(rows, key=layout.claim)
        before = self.rows([row.cl_ord_id for row in rows])
        leads = {row.cl_ord_id: layout.leads(row.account, row.id)[0] for row in rows}
        held = self._named([*leads.values()])
        holders = self.rows([str(name) for name in held.values()])
        documents: dict[str, Any] = {}
        for row in rows:
            holder = holders.get(str(held.get(leads[row.cl_ord_id])))
            found = layout.new_documents(row)
            if holder is not None and layout.claim(holder) > layout.claim(row):
                found.pop(leads[row.cl_ord_id], None)
            documents |= found
        self._documents.put_all(documents)
        self._documents.remove([name for row in before.values() for name in layout.names(row) if name not in documents])

    def rows(self, names: Sequence[str]) -> dict[str, Placement]:
        """The placements of these names that there are."""
        found = self._named([name for name in names if layout.is_name(name)])
        return {name: layout.placement(each, self._where) for name, each in found.items()}

    def readable(self, names: Sequence[str]) -> dict[str, Placement]:
        """Those of the live placements that can be read."""
        try:
            return self.rows(names)
        except StoreDamaged:
            found: dict[str, Placement] = {}
            for name in names:
                with contextlib.suppress(StoreDamaged):
                    found |= self.rows([name])
            return found

    def _named(self, names: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for at in range(0, len(names), AT_ONCE):
            found |= self._documents.named(names[at : at + AT_ONCE])
        return found
