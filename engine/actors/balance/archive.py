"""Writes last-known balances and their history to disk, so that they survive a restart."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine.actors.balance.asset_catalogue import read_names
from engine.actors.balance.messages import BalanceRecord
from engine.actors.events import AvailabilityChanged, EngineWarning, OrderChanged, OrderFilled
from engine.actors.runtime.actor import EngineActor
from engine.actors.runtime.mailbox import PatientMailbox
from engine.errors import CallError, StoreError
from engine.kraken.assets import AssetTable
from engine.kraken.balances import counted_once, read_rows, sum_cash
from engine.kraken.cash_names import plain_names
from engine.rules.balance.history import (
    MARKS,
    YEAR,
    BalanceMark,
    BalancePoint,
    hour_of,
    hour_place,
    hour_places,
    merged,
    place,
)
from engine.rules.balance.snapshot import BalanceSnapshot, moment
from engine.rules.order.order import OrderReceipt
from engine.rules.order.states import OrderState
from engine.store import AT_ONCE, check_outline, open_or_replace, read_documents, read_group, read_range
from engine.values import SYSTEM_CLOCK, Account, Clock, Settings

logger = logging.getLogger(__name__)

FILE_NAME = "balances.sqlite"
HISTORY_NAME = "history.sqlite"


class _Kept(NamedTuple):
    """A point of an account's history on disk: its number, the id of the key that fetched it, and its amounts."""

    number: int
    key_id: str
    point: BalancePoint | None


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
        self._publish, self._clock = publish, clock
        self._failing = False
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
            self._failing = self._failing and not (is_noted and is_written)

    def _attempt(self, step: Callable[[], None]) -> bool:
        try:
            step()
            return True
        except StoreError as error:
            self._newest.clear()  # what is on disk is unknown now
            self._marks.clear()
            if not self._failing:
                self._publish(EngineWarning("balance-not-kept", f"A balance could not be kept: {error}"))
            self._failing = True
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

    def _last_kept(self, account: str) -> _Kept:
        newest = self._newest.get(account)
        if newest is None:
            return _read_newest(self._history.path, account)
        point = BalancePoint.of(newest.snapshot)
        assert point is not None
        return _Kept(newest.number, newest.key_id, replace(point, as_of=newest.kept_at))

    def _take_hour(self, account: str, key_id: str, point: BalancePoint) -> None:
        """The first point of each hour is kept for a year."""
        hour, newest = hour_of(point.as_of), self._newest.get(account)
        before = newest.snapshot.as_of if newest is not None and newest.key_id == key_id else None
        if before is None or hour_of(before) != hour:
            document = {"number": hour, "key": key_id, **point.to_dict()}
            self._points[f"{_hourly(account)}/{hour_place(hour):04}"] = document

    def _mark(self, event: _Marked) -> None:
        """Take in an outage, a recovery, an order or a fill."""
        account, mark = event.account, _mark_of(event, moment(self._clock.wall_ns()))
        if account not in self._marks:
            kept = _read_marks(self._history.path, account)
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
        self._points[f"{_marked(account)}/{number % MARKS:03}"] = {"number": number, **mark.to_dict()}

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


def read_history(
    directory: Path, account: str, key_id: str | None = None, *, days: float = YEAR
) -> tuple[BalancePoint, ...]:
    """The points of an account's history, the newest last: of the last so many days, counted from the newest.

    The one before these is there as well. Only those that the key `key_id` fetched; `None`: the key of the newest
    point. Read-only; works while an engine owns the directory. Raises `StoreError`.
    """
    path = directory / HISTORY_NAME
    fine = _read_points(path, account)
    newest = next((each.point for each in reversed(fine) if each.point is not None), None)
    if newest is None:
        return ()
    key_id = key_id or fine[-1].key_id
    hourly = _read_hours(path, account, days, newest.as_of)
    points = merged(_of_key(hourly, key_id), _of_key(fine, key_id))
    start = newest.as_of - timedelta(days=days)
    before = [each for each in points if each.as_of < start]
    return (*before[-1:], *(each for each in points if each.as_of >= start))


def read_marks(directory: Path, account: str) -> tuple[BalanceMark, ...]:
    """What happened to an account, the newest last. Read-only. Raises `StoreError`."""
    return tuple(mark for _, mark in _read_marks(directory / HISTORY_NAME, account))


def _read_marks(path: Path, account: str) -> list[tuple[int, BalanceMark]]:
    found = []
    for document in read_group(path, _marked(account)).values():
        try:
            found.append((int(document["number"]), BalanceMark.from_dict(document)))
        except (KeyError, TypeError, ValueError):
            logger.warning("A stored mark in the history of account %s cannot be read and is left out.", account)
    return sorted(found, key=lambda each: each[0])


def _mark_of(event: _Marked, at: datetime) -> BalanceMark:
    if isinstance(event, AvailabilityChanged):
        return BalanceMark(at, "available" if event.is_available else "not available", event.reason or "")
    order = event.receipt.order
    if isinstance(event, OrderFilled):
        return BalanceMark(at, "fill", f"{order.side} {event.volume:f} {order.pair} for {event.cost:f}")
    return BalanceMark(at, "order", f"{event.receipt.id}: {order.side} {order.volume:f} {order.pair} {order.type}")


def _of_key(points: Iterable[_Kept], key_id: str | None) -> list[BalancePoint]:
    return [each.point for each in points if each.point is not None and each.key_id == key_id]


def _hourly(account: str) -> str:
    """The group of an account's hourly points. No name of an account has a space."""
    return f"{account} hourly"


def _marked(account: str) -> str:
    return f"{account} marks"


def recorded_accounts(directory: Path) -> list[str]:
    """The accounts whose last known balance is in a state directory. Raises `StoreError`."""
    return sorted(read_documents(directory / FILE_NAME))


def _read_newest(path: Path, account: str) -> _Kept:
    points = _read_points(path, account)
    return points[-1] if points else _Kept(0, "", None)


def _read_points(path: Path, account: str) -> list[_Kept]:
    """An account's points by number; one that cannot be read is left out."""
    return _kept(account, read_group(path, account).values())


def _read_hours(path: Path, account: str, days: float, now: datetime) -> list[_Kept]:
    """An account's hourly points of the last so many days; one that is a year older is still there, and left out."""
    group, oldest = _hourly(account), hour_of(now) - int(days * 24) - 2
    found = (
        read_range(path, f"{group}/{each.start:04}", f"{group}/{each.stop - 1:04}~") for each in hour_places(days, now)
    )
    points = _kept(account, (document for part in found for document in part.values()))
    return [each for each in points if each.number >= oldest]


def _kept(account: str, documents: Iterable[Any]) -> list[_Kept]:
    found = []
    for document in documents:
        try:
            found.append(_Kept(int(document["number"]), document["key"], BalancePoint.from_dict(document)))
        except (KeyError, TypeError, ValueError, ArithmeticError):
            logger.warning("A stored point in the history of account %s cannot be read and is left out.", account)
    return sorted(found, key=lambda each: each.number)


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
