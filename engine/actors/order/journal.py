"""The journal of placements: every intent is durable before anything is sent (promise G9)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine.errors import CallNotSent, ConfigError, IdInUse, PairUnsettled, StoreDamaged, StoreError
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent, OrderState
from engine.store import Store, open_or_replace, put_aside

FILE_NAME = "orders.sqlite"
SWITCH = "dead man's switch "  # before the account, in the names of what is no placement
FORGET_EVERY = 500  # plans between two looks for rows that need not be kept

_DAMAGED = (
    "The journal of orders was damaged and put aside as {name} in {directory}: what was under way then is not known. "
    "Look up your open and closed orders at Kraken, then move that file away; live orders are taken again after that."
)


class Journal:
    """Placements by their `cl_ord_id`, in memory and in ``orders.sqlite``. The only writer of that file. Thread-safe.

    - `plan` and `send` return when the row is durable, and change nothing when they raise.
    - `note` changes a row in memory, at once; `save` makes that durable. A crash in between leaves an older state,
      which is settled by looking up.
    - A row found at the start that was sent and not answered is *unknown*; one that was only planned was not sent.
    - After damage nothing is planned until a person has moved the damaged file out of the directory.

    `wall` gives Unix seconds.
    """

    def __init__(self, directory: Path, *, wall: Callable[[], float]) -> None:
        self._directory = directory
        self._wall = wall
        self._lock = threading.RLock()
        self._store, self.damage = open_or_replace(directory / FILE_NAME)
        try:
            self._rows, self.damage = _load(self._store, self.damage)
        except _NotOurs as error:  # sealed as ours are, and of another version
            self._store.close()
            aside = put_aside(directory / FILE_NAME)
            self._store, self._rows = Store(directory / FILE_NAME), {}
            self.damage = f"{error} It was put aside as {aside.name}."
        self._live = {name: row for name, row in self._rows.items() if row.is_live}
        in_order = sorted(self._rows.values(), key=lambda row: (not row.may_repeat, _age(row)))
        self._by_id = {(row.account, row.id): row.cl_ord_id for row in in_order}
        self.switches = _switches(self._store)
        self._unsaved: set[str] = set()
        self._planned = 0
        self._recover()

    @property
    def obstacle(self) -> str | None:
        """Why nothing may be placed now, for a person; `None` when it may."""
        aside = sorted(self._directory.glob(f"{FILE_NAME}.damaged-*"))
        if not aside:
            return None
        return _DAMAGED.format(name=aside[0].name, directory=self._directory)

    def rows(self, *states: OrderState) -> list[Placement]:
        """The placements in one of these states, of those that are live (none: all), the oldest first."""
        with self._lock:
            rows = self._live.values() if states else self._rows.values()
            return sorted((row for row in rows if not states or row.state in states), key=_age)

    def row(self, cl_ord_id: str) -> Placement | None:
        """The placement of that name."""
        with self._lock:
            return self._rows.get(cl_ord_id)

    def find(self, account: str, name: str) -> Placement | None:
        """The placement of that id, `cl_ord_id` or txid, also one that an edit has replaced."""
        with self._lock:
            found = self._rows.get(self._by_id.get((account, name), name))
            if found is not None and found.account == account:
                return found
            return next((row for row in self._rows.values() if row.account == account and name in row.names), None)

    def plan(self, row: Placement) -> None:
        """Write a new placement down.

        Raises `IdInUse` when its id names another order, `PairUnsettled`, or `CallNotSent` when it cannot be written.
        An id whose placement was not sent may be planned again; everything else that has the id is for the caller.
        """
        with self._lock:
            self._check_may_plan(row)
            before = self._by_id.get((row.account, row.id))
            self._write(row)
            self._by_id[row.account, row.id] = row.cl_ord_id
            if before is not None:
                self._drop([before])
            self._planned += 1
            if self._planned % FORGET_EVERY == 0:
                self.forget()

    def send(self, cl_ord_id: str, deadline: float) -> Placement:
        """Its turn has come: write down that it goes out now, with its deadline.

        Said again (a call that is signed again), it keeps the first deadline. Raises `CallNotSent`: it must not go.
        """
        with self._lock:
            row = self._rows[cl_ord_id]
            if row.state is OrderState.SENT:
                return row
            if row.state is not OrderState.PLANNED:
                raise CallNotSent(f"The placement is {row.state.value} and is not sent again.")
            if row.cancel_wanted:
                raise CallNotSent("A cancel that covers this placement came before its turn; it was not sent.")
            self._check_pair(row)
            row = row.after(OrderEvent.SENT, self._wall(), deadline=deadline)
            self._write(row)
            return row

    def note(self, cl_ord_id: str, event: OrderEvent, **changes: Any) -> Placement:
        """Take in event of a placement, in memory. Raises `IllegalTransition`."""
        with self._lock:
            row = self._rows[cl_ord_id].after(event, self._wall(), **changes)
            self._take(row)
            self._unsaved.add(cl_ord_id)
            return row

    def want_cancel(self, cl_ord_id: str) -> Placement:
        """A cancel has come for it: if it was not sent, its id is used up; else it is to be canceled, until it is over.

        In memory, as with `note`; `save` makes it durable.
        """
        with self._lock:
            row = self._rows[cl_ord_id]
            wanted = replace(row, may_repeat=False, cancel_wanted=row.cancel_wanted or not row.state.is_over)
            if wanted != row:
                self._take(wanted)
                self._unsaved.add(cl_ord_id)
            return wanted

    def save(self) -> None:
        """Make durable what was noted. Raises `StoreError`; what could not be written is tried again the next time."""
        with self._lock:
            names = self._unsaved & self._rows.keys()
            self._store.put_all({name: self._rows[name].to_dict() for name in names})
            self._unsaved.clear()

    def keep_switch(self, account: str, seconds: int) -> None:
        """Write down that the account's dead man's switch is armed, or with 0 being disarmed. Raises `StoreError`."""
        self._store.put(SWITCH + account, seconds)
        self.switches[account] = seconds

    def forget_switch(self, account: str) -> None:
        """The account's switch is disarmed."""
        self.switches.pop(account, None)
        with contextlib.suppress(StoreError):  # found again at the next start, it is disarmed once more
            self._store.remove([SWITCH + account])

    def reserved(self, account: str) -> dict[str, Decimal]:
        """What the placements of an account may take whose outcome or amounts are not known, by Kraken's asset name."""
        with self._lock:
            total: dict[str, Decimal] = {}
            for row in self._live.values():
                if row.account == account and row.is_reserving:
                    asset, amount = row.reserved
                    total[asset] = total.get(asset, Decimal(0)) + amount
            return total

    def forget(self) -> None:
        """Drop what has been over for long enough (`rules.placement`)."""
        with self._lock:
            now = self._wall()
            self._drop([name for name, row in self._rows.items() if row.is_forgotten(now)])

    def close(self) -> None:
        """Write what is not written yet, and close the file."""
        with self._lock:
            with contextlib.suppress(StoreError):
                self.save()
            self._store.close()

    def _recover(self) -> None:
        for row in self.rows(OrderState.PLANNED):
            reason = "The engine ended before its turn came; it was not sent."
            self.note(row.cl_ord_id, OrderEvent.NOT_SENT, reason=reason, may_repeat=True)
        for row in self.rows(OrderState.SENT):
            self.note(row.cl_ord_id, OrderEvent.NO_ANSWER, reason="The engine ended before the answer came.")
        self.forget()

    def _check_may_plan(self, row: Placement) -> None:
        obstacle = self.obstacle
        if obstacle is not None:
            raise CallNotSent(obstacle)
        known = self._rows.get(self._by_id.get((row.account, row.id), ""))
        if known is not None and known.order != row.order:
            raise IdInUse(f"The id {row.id!r} of account {row.account} names another order: give this one its own.")
        if known is not None and not known.may_repeat:
            raise ConfigError(f"The id {row.id!r} is placed already.")  # the actor looks first
        self._check_pair(row)

    def _check_pair(self, row: Placement) -> None:
        for other in self._live.values():
            if other.state is OrderState.UNKNOWN and other.account == row.account and row.shares_market_with(other):
                raise PairUnsettled(
                    f"It is not known yet whether order {other.id!r} on {row.pair} was placed; until then no other "
                    "goes out on that pair."
                )

    def _write(self, row: Placement) -> None:
        try:
            self._store.put(row.cl_ord_id, row.to_dict())
        except StoreError as error:
            raise CallNotSent(f"The order could not be written down, so it was not sent: {error}") from None
        self._take(row)

    def _take(self, row: Placement) -> None:
        self._rows[row.cl_ord_id] = row
        if row.is_live:
            self._live[row.cl_ord_id] = row
        else:
            self._live.pop(row.cl_ord_id, None)

    def _drop(self, names: Iterable[str]) -> None:
        names = list(names)
        for name in names:
            row = self._rows.pop(name)
            if self._by_id.get((row.account, row.id)) == name:
                del self._by_id[row.account, row.id]
        with contextlib.suppress(StoreError):  # read again at the next start, and dropped then
            self._store.remove(names)


class _NotOurs(StoreDamaged):
    """A document of the journal that is sealed and yet no placement."""


def _load(store: Store, damage: str | None) -> tuple[dict[str, Placement], str | None]:
    rows = {}
    for name, document in store.documents().items():
        if name.startswith(SWITCH):
            continue
        try:
            rows[name] = Placement.from_dict(document)
        except (KeyError, TypeError, ValueError, ArithmeticError, ConfigError):
            raise _NotOurs(f"{store.path} holds a row that this version cannot read.") from None
    return rows, damage


def _switches(store: Store) -> dict[str, int]:
    found = {name.removeprefix(SWITCH): seconds for name, seconds in store.documents().items() if SWITCH in name}
    return {account: seconds for account, seconds in found.items() if isinstance(seconds, int)}


def _age(row: Placement) -> float:
    return row.times.get(OrderState.PLANNED.value, 0.0)


