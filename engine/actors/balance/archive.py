"""Writes last-known balances and their history to disk, so that they survive a restart."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine.actors.balance.asset_catalogue import read_names
from engine.actors.balance.history_file import (
    HISTORY_NAME,
    Kept,
    hourly,
    marked,
    read_newest,
    read_numbered_marks,
)
from engine.actors.balance.messages import BalanceRecord
from engine.actors.events import AvailabilityChanged, EngineWarning, OrderChanged, OrderFilled, warn_by
from engine.actors.runtime.actor import EngineActor
from engine.actors.runtime.mailbox import PatientMailbox
from engine.errors import CallError, StoreError
from engine.kraken.assets import AssetTable
from engine.kraken.balances import counted_once, read_rows, sum_cash
from engine.kraken.cash_names import plain_names
from engine.rules.balance.history import (
    MARKS,
    BalanceMark,
    BalancePoint,
    hour_of,
    hour_place,
    place,
)
from engine.rules.balance.snapshot import BalanceSnapshot, moment
from engine.rules.order.order import OrderReceipt
from engine.rules.order.states import OrderState
from engine.store import AT_ONCE, check_outline, open_or_replace, read_documents
from engine.store.write_outage import WriteOutage
from engine.values import SYSTEM_CLOCK, Account, Clock, Settings

logger = logging.getLogger(__name__)

FILE_NAME = "balances.sqlite"


class _Newest(NamedTuple):
    """An account's newest point on disk, and the newest balance, which has the same amounts.

    The balance is the one that its actor shows, so that it is in memory once.
    """

    number: int
    kept_at: datetime
    key_id: str
    snapshot: BalanceSnapshot


_Marked = AvailabilityChanged | OrderChanged | OrderFilled


class Flush:
    """Asks the `ArchiveActor` to write every record that it has; the answer comes when that has ended."""

    __slots__ = ()


class ArchiveActor(EngineActor):
    """Keeps every account's last good reply, the points of its history and their marks. The only writer of its files.

    Records that arrive during a write are written together, so a slow disk delays only the writing. A failed write is
    published as a warning, once until a write succeeds; the balance itself stays in memory. At the start a damaged file
    is put aside, with a warning: its content is lost. Stopping writes what is left.
    """

    @staticmethod
    def _create_actor_inbox() -> PatientMailbox:
        return PatientMailbox()

    def __init__(
        self, directory: Path, *, publish: Callable[[Any], None], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        super().__init__()
        self._clock = clock
        self._outage = WriteOutage("balance-not-kept", "A balance could not be kept: {error}", warn_by(publish))
        self._balances: dict[str, Any] = {}  # documents to be written, by name
        self._points: dict[str, Any] = {}
        self._taken = 0  # records since the last write
        self._newest: dict[str, _Newest] = {}
        self._marks: dict[str, int] = {}  # the number of each account's newest mark
        self._orders: dict[str, deque[str]] = {}  # what was marked of its orders
        self._store, damage = open_or_replace(directory / FILE_NAME)
        if damage is not None:
            publish(EngineWarning("balances-lost", f"The last known balances are lost: {damage}"))
        try:
            self._history, damage = open_or_replace(directory / HISTORY_NAME, check=check_outline)
        except BaseException:
            self._store.close()
            raise
        if damage is not None:
            publish(EngineWarning("history-lost", f"The history of the balances is lost: {damage}"))

    def on_receive(self, message: Any) -> None:
        """Take in one record, and write unless another waits. Runs in the actor's thread."""
        match message:
            case BalanceRecord():
                self._taken += 1
                self._keep(partial(self._take, message))
            case AvailabilityChanged():
                self._taken += 1
                self._keep(partial(self._mark, message))
            case OrderFilled() | OrderChanged(receipt=OrderReceipt(state=OrderState.PLACED)):
                self._keep(partial(self._mark, message))  # so many are written with the next balance
            case OrderChanged():
                self._keep(lambda: None)  # that an order was placed is all that the history says of it
            case Flush():
                self._attempt(self._write)
            case _:
                super().on_receive(message)

    def closing(self) -> None:
        """Write what is left and close the files."""
        try:
            self._write()
        except StoreError as error:
            logger.warning("The last balances could not be kept: %s", error)
        finally:
            self._store.close()
            self._history.close()

    def _keep(self, take: Callable[[], None]) -> None:
        is_noted = self._attempt(take)
        if self._taken and (self.actor_inbox.empty() or self._taken >= AT_ONCE):
            is_written = self._attempt(self._write)
            if is_noted and is_written:
                self._outage.succeeded()

    def _attempt(self, step: Callable[[], None]) -> bool:
        try:
            step()
            return True
        except StoreError as error:
            for known in (self._newest, self._marks):  # what is on disk is unknown now
                known.clear()
            self._outage.failed(error)
            return False

    def _take(self, record: BalanceRecord) -> None:
        account = record.snapshot.account
        self._balances[account] = _document(record)
        point = BalancePoint.of(record.snapshot)
        assert point is not None
        number, key_id, last = self._last_kept(account)
        self._take_hour(account, record.key_id, point)
        if last is None or key_id != record.key_id or point.says_more_than(last):
            number, last = number + 1, point
            name = f"{account}/{place(number):03}"
            self._points[name] = {"number": number, "key": record.key_id, **point.to_dict()}
        self._newest[account] = _Newest(number, last.as_of, record.key_id, record.snapshot)

    def _last_kept(self, account: str) -> Kept:
        newest = self._newest.get(account)
        if newest is None:
            return read_newest(self._history.path, account)
        point = BalancePoint.of(newest.snapshot)
        assert point is not None
        return Kept(newest.number, newest.key_id, replace(point, as_of=newest.kept_at))

    def _take_hour(self, account: str, key_id: str, point: BalancePoint) -> None:
        """The first point of each hour is kept for a year."""
        hour, newest = hour_of(point.as_of), self._newest.get(account)
        before = newest.snapshot.as_of if newest is not None and newest.key_id == key_id else None
        if before is None or hour_of(before) != hour:
            document = {"number": hour, "key": key_id, **point.to_dict()}
            self._points[f"{hourly(account)}/{hour_place(hour):04}"] = document

    def _mark(self, event: _Marked) -> None:
        """Take in an outage, a recovery, an order or a fill."""
        account, mark = event.account, _mark_of(event, moment(self._clock.wall_ns()))
        if account not in self._marks:
            kept = read_numbered_marks(self._history.path, account)
            self._marks[account] = kept[-1][0] if kept else 0
            orders = [each.text for _, each in kept if each.kind == "order"]
            if orders:
                self._orders[account] = deque(orders, MARKS)
        if mark.kind == "order":
            told = self._orders.get(account) or self._orders.setdefault(account, deque(maxlen=MARKS))
            if mark.text in told:
                return  # it was told before, and something else about it is new
            told.append(mark.text)
        self._marks[account] += 1
        number = self._marks[account]
        self._points[f"{marked(account)}/{number % MARKS:03}"] = {"number": number, **mark.to_dict()}

    def _write(self) -> None:
        """Write the records taken in; after a failure they are not tried again."""
        self._taken = 0
        balances, self._balances = self._balances, {}
        points, self._points = self._points, {}
        self._store.put_all(balances)
        self._history.put_all(points)


def read_balances(
    directory: Path, accounts: Iterable[Account] | None, settings: Settings, clock: Clock = SYSTEM_CLOCK
) -> dict[str, BalanceSnapshot]:
    """The last known balances in a state directory, by account. Read-only; works while an engine owns the directory.

    `accounts`: only their balances, and only those fetched with the key that the account has now; `None`: all. A
    record that cannot be read is left out: no balance is better than a wrong one. Raises `StoreError`.
    """
    keys = None if accounts is None else {each.name: each.key_id for each in accounts}
    table = read_names(directory)
    found = {}
    for name, record in read_documents(directory / FILE_NAME).items():
        try:
            if keys is None or keys.get(name) == record["key"]:
                found[name] = restore(record, name, settings, clock, table)
        except (CallError, KeyError, TypeError, ValueError):
            logger.warning("The stored balance of account %s cannot be read and is left out.", name)
    return found


def restore(
    record: dict[str, Any], account: str, settings: Settings, clock: Clock, table: AssetTable
) -> BalanceSnapshot:
    """The snapshot of an earlier run from its record: STALE, with its old `as_of`, not available.

    Raises `CallUnknown`, `KeyError`, `TypeError` or `ValueError` when the engine did not write the record.
    """
    counted = plain_names(settings.cash, table)
    assets = read_rows(record["endpoint"], record["result"], table, needed=counted)
    assets = counted_once(assets, assets.keys() & set(record.get("earn_in_base", ())))
    cash, free = sum_cash(assets, counted)
    as_of = datetime.fromisoformat(record["as_of"])
    age = max(0.0, (moment(clock.wall_ns()) - as_of).total_seconds())
    return BalanceSnapshot(
        account, as_of=as_of, cash=cash, available_cash=free, cash_assets=counted, assets=assets, restored=True,
        max_age=settings.max_age, _as_of_monotonic=clock.monotonic() - age, _clock=clock,
    )  # fmt: skip


def _mark_of(event: _Marked, at: datetime) -> BalanceMark:
    if isinstance(event, AvailabilityChanged):
        return BalanceMark(at, "available" if event.is_available else "not available", event.reason or "")
    order = event.receipt.order
    if isinstance(event, OrderFilled):
        return BalanceMark(at, "fill", f"{order.side} {event.volume:f} {order.pair} for {event.cost:f}")
    return BalanceMark(at, "order", f"{event.receipt.id}: {order.side} {order.volume:f} {order.pair} {order.type}")


def recorded_accounts(directory: Path) -> list[str]:
    """The accounts whose last known balance is in a state directory. Raises `StoreError`."""
    return sorted(read_documents(directory / FILE_NAME))


def _document(record: BalanceRecord) -> dict[str, Any]:
    as_of = record.snapshot.as_of
    assert as_of is not None
    return {
        "key": record.key_id,
        "endpoint": record.endpoint,
        "result": _plain(record.result),
        "as_of": as_of.isoformat(),
        "earn_in_base": [name for name, each in record.snapshot.assets.items() if each.earn_in_base],
    }


def _plain(value: Any) -> Any:
    """The value as JSON without loss: fractional numbers become text."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return str(value) if isinstance(value, Decimal) else value
