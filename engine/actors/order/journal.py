"""The journal of placements: every intent is durable before anything is sent (promise G9)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from engine.actors.order.live_rows import LiveRows
from engine.errors import CallNotSent, ConfigError, PairUnsettled, StoreError
from engine.rules.order.own_name import same
from engine.rules.order.placement import Placement
from engine.rules.order.states import OrderEvent, OrderState
from engine.store.backing import JournalRows

FORGET_EVERY = 50  # plans between two looks for rows that need not be kept
FORGET_AT_MOST = 100  # of them at a time, so that no placement waits long for it
ALONG = 20  # rows that are written at most together with one that goes out
WRITE_AGAIN = 5.0  # seconds after which another try makes sense
_GIVEN_UP = "The placement was given up before its turn; it was not sent."

T = TypeVar("T")


class PlacedAlready(ConfigError):
    """The id was placed before: `row` is that placement."""

    def __init__(self, row: Placement) -> None:
        super().__init__(f"The id {row.id!r} is placed already.")
        self.row = row


class Journal:
    """Placements by their `cl_ord_id`. Those that are live are in memory, the others in `kept` alone.

    The only writer of `kept`, which it closes, also when its constructor raises. Thread-safe.

    - `plan`, `write` and `send` return when the row is durable, and change nothing when they raise.
    - `intend` and `note` change a row in memory, at once; `save` makes that durable, and so does the next `send`, which
      takes along what is not written. A crash in between leaves an older state, which is settled by looking up, or no
      row of what was never sent.
    - A row found at the start that was sent and not answered is *unknown*; one that was only planned was not sent.
    - After damage, or when the file was lost, nothing is planned until a person has moved what is left of it out of the
      directory: `damage` and `obstacle` tell.

    `wall` gives Unix seconds. What cannot be read is `CallNotSent`.
    """

    def __init__(self, kept: JournalRows, *, wall: Callable[[], float]) -> None:
        self._wall, self._kept = wall, kept
        self._lock, self._planned = threading.RLock(), 0
        self._sent = threading.Condition(self._lock)
        self.damage = self._kept.damage
        self.switches: Mapping[str, int] = self._kept.switches
        self.pauses: Mapping[str, float] = self._kept.pauses
        self._rows = LiveRows()  # those that are live, and those that are not saved
        try:
            for row in self._kept.live:
                self._rows.take(row)
            self._recover()
        except BaseException:
            self._kept.close()
            raise

    @property
    def obstacle(self) -> str | None:
        """Why nothing may be placed now, for a person; `None` when it may."""
        return self._kept.obstacle

    def rows(self, *states: OrderState) -> list[Placement]:
        """The placements in one of these states, of those that are live (none: all of them), the oldest first."""
        with self._lock:
            return self._rows.in_state(states or OrderState)

    def rows_of(self, account: str) -> list[Placement]:
        """The placements of an account that are live, the oldest first."""
        return [row for row in self.rows() if row.account == account]

    def row(self, cl_ord_id: str) -> Placement | None:
        """The placement of that name."""
        with self._lock:
            here = self._rows.get(cl_ord_id)
            kept = None if here is not None else self._read(lambda: self._kept.get(cl_ord_id))
            return here if kept is None else self._newer(kept)

    def find(self, account: str, name: str) -> Placement | None:
        """The placement of that id, `cl_ord_id` or txid, also one that an edit has replaced."""
        with self._lock:
            here = self._rows.of_id(account, name) or self._rows.of_name(account, name)
            return here or self._find_kept(account, name)

    def find_all(self, account: str, names: Mapping[str, str | None]) -> dict[str, Placement]:
        """The placements of these orders, by txid; each with the `cl_ord_id` that Kraken has for it, if any."""
        with self._lock:
            here = partial(self._rows.of_name, account)
            found = {txid: here(txid) or here(same(name or "")) for txid, name in names.items()}
            left = {txid: same(names[txid] or "") for txid, row in found.items() if row is None}
            kept = self._read(lambda: self._kept.find_all(account, left)) if left else {}
            known = {txid: row for txid, row in found.items() if row is not None}
            return known | {txid: self._newer(row) for txid, row in kept.items()}

    def of_client(self, account: str, client: str | None, param: str, value: str | int) -> list[Placement]:
        """A client's placements with this `cl_ord_id` or `userref`, also those that are over; the newest first."""
        with self._lock:
            kept = self._read(lambda: self._kept.of_client(account, client, param, value))
            return [self._newer(row) for row in kept]

    def open_of_client(self, account: str, client: str | None, param: str, value: str | int) -> list[Placement]:
        """Those of them that are not over; without a look at the disk."""
        with self._lock:
            return self._rows.open_of_client(account, client, param, value)

    def other_of(self, row: Placement, txid: str) -> Placement | None:
        """Another placement of the account that has this txid.

        Where the file cannot be read, only those in memory are known: what Kraken says is taken in all the same.
        """
        try:
            found = self.find(row.account, txid)
        except CallNotSent:
            return None
        return None if found is None or found.cl_ord_id == row.cl_ord_id else found

    def plan(self, row: Placement) -> None:
        """Write a new placement down. Raises what `intend` and `write` raise."""
        self.intend(row)
        self.write(row.cl_ord_id)

    def intend(self, row: Placement) -> None:
        """Take in a new placement, in memory.

        Raises `PlacedAlready` with the placement that has its id, `IdInUse` when that is another order,
        `PairUnsettled`, or `CallNotSent` when nothing may be placed. An id whose placement was not sent may be planned
        again.
        """
        with self._lock:
            self._rows.intend(row, self._check_may_plan(row))
            self._planned += 1
            if self._planned % FORGET_EVERY == 0:
                self.forget()

    def write(self, cl_ord_id: str, patience: float = 0.0) -> None:
        """Write down a placement that was taken in, unless it is sent within `patience` seconds, and so written.

        Of several that wait for their turn only the first is waited for: the lane is busy. Raises `CallNotSent` when it
        cannot be written: it is forgotten then, and cannot be sent any more. One that the lane could not write either
        is not forgotten, since its answer will end it.
        """
        with self._sent:
            if patience and self._rows.names_in(OrderState.PLANNED) <= {cl_ord_id}:
                self._sent.wait_for(lambda: cl_ord_id not in self._rows.unwritten, patience)
            if cl_ord_id in self._rows.unwritten:
                try:
                    self._begin(cl_ord_id)
                except StoreError as error:
                    self._rows.take_back(self._known(cl_ord_id))
                    raise _not_written(error) from None

    def send(self, cl_ord_id: str, deadline: float) -> Placement:
        """Its turn has come: write down that it goes out now, with its deadline. Otherwise like `send_all`."""
        return self.send_all({cl_ord_id: deadline})[0]

    def send_all(self, deadlines: Mapping[str, float]) -> list[Placement]:
        """Their turn has come: write down, with one write, that all of them go out now, each with its deadline.

        Said again (a call that is signed again), each keeps its first deadline. Raises `CallNotSent`: none may go.
        """
        with self._sent:
            rows = [self._in_turn(name, deadline) for name, deadline in deadlines.items()]
            self._write_sent([row for row in rows if row is not self._rows.get(row.cl_ord_id)])
            self._sent.notify_all()
            return rows

    def _in_turn(self, cl_ord_id: str, deadline: float) -> Placement:
        """The placement as it goes out."""
        row = self.row(cl_ord_id)
        if row is None:
            raise CallNotSent(_GIVEN_UP)
        if row.state is OrderState.SENT:
            return row
        if row.state is not OrderState.PLANNED:
            raise CallNotSent(f"The placement is {row.state.value} and is not sent again.")
        if row.cancel_wanted:
            told = "A cancel that covers this placement came before its turn; it was not sent."
            raise CallNotSent(told).in_krakens_words("EOrder:Order cancelled")
        self._check_pair(row)
        return row.after(OrderEvent.SENT, self._wall(), deadline=deadline)

    def _write_sent(self, rows: Sequence[Placement]) -> None:
        if not rows:
            return
        first, *others = rows
        along = self._rows.along({row.cl_ord_id for row in rows}, ALONG)
        try:
            self._kept.send(first, self._rows.unwritten.get(first.cl_ord_id), [*others, *along])
        except StoreError as error:
            self._rows.in_doubt.update(self._rows.unwritten.keys() & {row.cl_ord_id for row in rows})
            raise _not_written(error) from None
        for row in rows:
            self._rows.take(row)
        for row in (*rows, *along):
            self._rows.wrote(row)

    def note(self, cl_ord_id: str, event: OrderEvent, **changes: Any) -> Placement:
        """Take in event of a placement, in memory. Raises `IllegalTransition`."""
        with self._lock:
            row = self._known(cl_ord_id).after(event, self._wall(), **changes)
            self._rows.change(row)
            return row

    def give_up(self, cl_ord_id: str, reason: str) -> Placement | None:
        """Take in, in memory, that a placement is not sent, unless its turn has come; returns what is known of it."""
        with self._lock:
            row = self.row(cl_ord_id)
            if row is None or row.state is not OrderState.PLANNED:
                return row
            return self.note(cl_ord_id, OrderEvent.NOT_SENT, reason=reason, may_repeat=True)

    def want_cancel(self, cl_ord_id: str) -> Placement:
        """A cancel has come for it: if it was not sent, its id is used up; else it is to be canceled, until it is over.

        One that is over and still looked at may have been replaced: then that order is to be canceled.

        In memory, as with `note`; `save` makes it durable.
        """
        with self._lock:
            row = self._known(cl_ord_id)
            is_wish = row.cancel_wanted or row.is_live
            is_replaced = row.state.is_over and is_wish and not row.cancel_wanted  # perhaps: nobody here canceled it
            edits = (*row.edits, *row.txids) if is_replaced else row.edits
            return self._change(row, may_repeat=False, cancel_wanted=is_wish, edits=edits)

    def note_edits(self, cl_ord_id: str, edits: tuple[str, ...]) -> Placement:
        """Take in which edits may still replace its order, in memory as with `note`."""
        with self._lock:
            return self._change(self._known(cl_ord_id), edits=edits)

    def verify(self) -> None:
        """Raise `StoreError` when the directory is not this engine's any more, so that nothing more is kept."""
        self._kept.verify()

    def save(self) -> None:
        """Make durable what was noted. Raises `StoreError`; what could not be written is tried again the next time."""
        with self._lock:
            for name in [*self._rows.unwritten]:
                self._begin(name)
            rows = [self._known(name) for name in self._rows.unsaved]
            if rows:
                self._kept.keep(rows)
            for row in rows:
                self._rows.wrote(row)

    def keep_switch(self, account: str, seconds: int) -> None:
        """Write down that the account's dead man's switch is armed, or with 0 being disarmed. Raises `StoreError`."""
        with self._lock:
            self._kept.keep_switch(account, seconds)

    def forget_switch(self, account: str) -> None:
        """The account's switch is disarmed."""
        with self._lock, contextlib.suppress(StoreError):  # found again at the next start, it is disarmed once more
            self._kept.forget_switch(account)

    def keep_pause(self, account: str) -> None:
        """Write down that the account's trading is paused, since the first time. Raises `StoreError`."""
        with self._lock:
            if account not in self._kept.pauses:
                self._kept.keep_pause(account, self._wall())

    def forget_pause(self, account: str) -> None:
        """Write down that the account's trading goes on. Raises `StoreError`."""
        with self._lock:
            if account in self._kept.pauses:
                self._kept.forget_pause(account)

    def reserved(self, account: str) -> dict[str, Decimal]:
        """What the placements of an account may take whose outcome or amounts are not known, by Kraken's asset name."""
        with self._lock:
            return self._rows.reserved(account)

    def forget(self) -> None:
        """Drop some of what has been over for long enough (`rules.order.placement`)."""
        with self._lock, contextlib.suppress(StoreError):  # tried again at the next look
            self._kept.forget(self._wall(), FORGET_AT_MOST)

    def close(self) -> None:
        """Write what is not written yet, and close the file."""
        with self._lock:
            with contextlib.suppress(StoreError):
                self.save()
            self._kept.close()

    def _recover(self) -> None:
        for row in self.rows(OrderState.PLANNED):
            reason = "The engine ended before its turn came; it was not sent."
            self.note(row.cl_ord_id, OrderEvent.NOT_SENT, reason=reason, may_repeat=True)
        for row in self.rows(OrderState.SENT):
            self.note(row.cl_ord_id, OrderEvent.NO_ANSWER, reason="The engine ended before the answer came.")
        self.forget()

    def _check_may_plan(self, row: Placement) -> Placement | None:
        """The placement that had its id before, and was not sent."""
        known = self._of_id(row.account, row.id)
        if known is not None and known.is_again(row.order):
            raise PlacedAlready(known)
        obstacle = self.obstacle
        if obstacle is not None:
            raise CallNotSent(obstacle).in_krakens_words("EService:Market in cancel_only mode")
        self._check_pair(row)
        return known

    def _check_pair(self, row: Placement) -> None:
        for other in self._rows.in_state((OrderState.UNKNOWN,)):
            if other.account == row.account and row.shares_market_with(other):
                raise PairUnsettled(
                    f"It is not known yet whether order {other.id!r} on {row.pair} was placed; until then no other "
                    "goes out on that pair."
                )

    def _begin(self, cl_ord_id: str) -> None:
        row = self._known(cl_ord_id)
        self._kept.begin(row, self._rows.unwritten[cl_ord_id])
        self._rows.wrote(row)

    def _change(self, row: Placement, **changes: Any) -> Placement:
        changed = replace(row, **changes)
        if changed != row:
            self._rows.change(changed)
        return changed

    def _known(self, cl_ord_id: str) -> Placement:
        row = self.row(cl_ord_id)
        if row is None:
            raise KeyError(cl_ord_id)
        return row

    def _of_id(self, account: str, name: str) -> Placement | None:
        known = self._rows.of_id(account, name) or self._find_kept(account, name)
        return known if known is not None and known.id == name else None  # not one whose txid it is

    def _find_kept(self, account: str, name: str) -> Placement | None:
        found = self._read(lambda: self._kept.find(account, name))
        return None if found is None else self._newer(found)

    def _newer(self, row: Placement) -> Placement:
        """What is in memory of a row that was read: that is newer.

        One that waits for its turn is always there; else it was given up, and written late.
        """
        here = self._rows.get(row.cl_ord_id)
        if here is None and row.state is OrderState.PLANNED:
            return row.after(OrderEvent.NOT_SENT, self._wall(), reason=_GIVEN_UP, may_repeat=True)
        return here or row

    @staticmethod
    def _read(read: Callable[[], T]) -> T:
        try:
            return read()
        except StoreError as error:
            raise CallNotSent(f"The journal of orders cannot be read: {error}") from None


def _not_written(error: StoreError) -> CallNotSent:
    return CallNotSent(
        f"The order could not be written down, so it was not sent: {error}", retry_after=WRITE_AGAIN
    )
