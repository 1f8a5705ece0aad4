"""The history of balances: what is worth a point, how many are kept, and that it is there after everything."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import (
    AvailabilityChanged,
    BalanceChanged,
    BalanceMark,
    BalancePoint,
    BalanceSnapshot,
    Engine,
    Order,
    OrderChanged,
    OrderFilled,
    OrderReceipt,
    OrderState,
)
from engine.actors.balance.archive import FILE_NAME, ArchiveActor, Flush
from engine.actors.balance.history_file import HISTORY_NAME, read_history, read_marks
from engine.actors.balance.messages import BalanceRecord
from engine.actors.runtime.actor import stop_actor, wait_finished
from engine.errors import UnknownName
from engine.rules.balance.history import AT_LEAST_EVERY, HOURS, MOST, hour_of, hour_place, hour_places
from engine.simulator import Fault, Simulator
from engine.store import read_documents
from tests import ROOT
from tests.conftest import QUICK, Events
from tests.stopwatch import PATIENCE

BEGAN = datetime(2026, 11, 24, tzinfo=UTC)
AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False)
POINTS = st.builds(
    BalancePoint,
    as_of=st.datetimes(timezones=st.just(UTC)),
    cash=AMOUNTS,
    available_cash=st.none() | AMOUNTS,
    assets=st.dictionaries(st.text(max_size=5), AMOUNTS, max_size=3).map(MappingProxyType),
)


def at(seconds: float, cash: str = "1.0", free: str | None = "1.0") -> BalancePoint:
    moment = BEGAN + timedelta(seconds=seconds)
    return BalancePoint(moment, Decimal(cash), None if free is None else Decimal(free), {})


@given(POINTS)
def test_a_point_is_the_same_after_json(point: BalancePoint) -> None:
    """G12: exact to the last digit."""
    again = BalancePoint.from_dict(json.loads(json.dumps(point.to_dict())))
    assert again == point
    assert again.assets == point.assets


def test_no_reply_ever_is_no_point() -> None:
    """G6: not a zero."""
    assert BalancePoint.of(BalanceSnapshot("MASTER")) is None


@pytest.mark.parametrize(
    ("last", "point", "worth"),
    [
        (at(0), at(5), False),
        (at(0), at(5, cash="1.00000000001"), True),
        (at(0), at(5, free=None), True),
        (at(0), at(AT_LEAST_EVERY), True),
        (at(AT_LEAST_EVERY), at(0), True),
    ],
)
def test_what_is_worth_keeping(last: BalancePoint, point: BalancePoint, worth: bool) -> None:
    assert point.says_more_than(last) is worth


def test_the_oldest_fall_out(tmp_path: Path) -> None:
    """Also over a restart in the middle; and each change writes one small document, not the whole history."""
    tmp_path.chmod(0o700)
    for numbers in (range(150), range(150, MOST + 60)):
        archive = ArchiveActor.start(tmp_path, publish=print)
        for number in numbers:
            archive.tell(record(number))
        stop_actor(archive)
        assert wait_finished(archive, PATIENCE)
    kept = read_history(tmp_path, "MASTER")
    assert [point.cash for point in kept] == list(range(60, MOST + 60))
    assert read_history(tmp_path, "MASTER", "another key") == read_history(tmp_path, "ALICE") == ()
    documents = read_documents(tmp_path / HISTORY_NAME)
    fine = [name for name in documents if name.startswith("MASTER/")]
    assert len(fine) == MOST
    assert documents.keys() - set(fine) == {f"MASTER hourly/{hour_place(hour_of(BEGAN)):04}"}
    assert max(len(json.dumps(each)) for each in documents.values()) < 400


def test_a_year_of_hours_is_kept_before_the_fine_points(tmp_path: Path) -> None:
    """Bounded: an hour takes the place of the same hour a year before, and what is older is never told."""
    tmp_path.chmod(0o700)
    archive = ArchiveActor.start(tmp_path, publish=print)
    for number in range(MOST + 400):
        archive.tell(record(number, every=1800))
    stop_actor(archive)
    assert wait_finished(archive, PATIENCE)
    told = [int(point.cash) for point in read_history(tmp_path, "MASTER")]
    assert told == [*range(0, 400, 2), *range(400, MOST + 400)], "one an hour, then all"
    week = read_history(tmp_path, "MASTER", days=7)
    assert next(int(point.cash) for point in week) == MOST + 400 - 1 - 7 * 48 - 1, "and the one before it"
    assert [int(point.cash) for point in read_history(tmp_path, "MASTER", days=25)][:2] == [198, 200]


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.floats(0, 400))
def test_where_hours_lie(now: datetime, days: float) -> None:
    places = [place for part in hour_places(days, now) for place in part]
    assert len(places) == len(set(places)) <= HOURS
    assert places[-1] == hour_place(hour_of(now))
    assert hour_place(hour_of(now - timedelta(days=min(days, 365)))) in places


def test_marks_tell_of_outages_orders_and_fills(tmp_path: Path) -> None:
    """Also those of the run before; an order that is told of again is not marked again."""
    tmp_path.chmod(0o700)
    order = Order("XBTUSD", "buy", "limit", "0.02", "30000")
    receipt = OrderReceipt("one", "MASTER", order, OrderState.PLACED)
    filled = OrderFilled("MASTER", receipt, Decimal("0.01"), Decimal("300.0"), Decimal("0.78"))
    told, placed = AvailabilityChanged("MASTER", False, "No reply."), OrderChanged("MASTER", receipt)
    for event in (told, AvailabilityChanged("MASTER", True, None), placed, filled, placed):
        archive = ArchiveActor.start(tmp_path, publish=print)
        archive.tell(event)
        stop_actor(archive)
        assert wait_finished(archive, PATIENCE)
    assert [(mark.kind, mark.text) for mark in read_marks(tmp_path, "MASTER")] == [
        ("not available", "No reply."), ("available", ""), ("order", "one: buy 0.02 XBTUSD limit"),
        ("fill", "buy 0.01 XBTUSD for 300.0"),
    ]  # fmt: skip
    assert read_marks(tmp_path, "ALICE") == ()
    mark = read_marks(tmp_path, "MASTER")[0]
    assert BalanceMark.from_dict(json.loads(json.dumps(mark.to_dict()))) == mark


def record(cash: int, result: dict[str, Any] | None = None, every: int = 1) -> BalanceRecord:
    asked = BEGAN + timedelta(seconds=every * cash)
    snapshot = BalanceSnapshot("MASTER", as_of=asked, cash=Decimal(cash), available_cash=Decimal(cash))
    return BalanceRecord(snapshot, "BalanceEx", {} if result is None else result, "key")


class Held(dict[str, Any]):
    """A reply that takes its time to be written down, as with a slow disk."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def items(self) -> Any:
        self.go.wait(PATIENCE)
        return super().items()


def test_what_a_slow_disk_delays_is_written_together(tmp_path: Path) -> None:
    """The newest balance of the account, and every point."""
    tmp_path.chmod(0o700)
    held = Held()
    archive = ArchiveActor.start(tmp_path, publish=print)
    archive.tell(record(0, held))
    for number in range(1, 100):
        archive.tell(record(number, {"number": number}))
    held.go.set()
    stop_actor(archive)
    assert wait_finished(archive, PATIENCE)
    assert [point.cash for point in read_history(tmp_path, "MASTER")] == list(range(100))
    assert read_documents(tmp_path / FILE_NAME)["MASTER"]["result"] == {"number": 99}


def test_an_unreadable_history_is_reported_once_and_the_balances_are_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    warnings: list[Any] = []
    archive = ArchiveActor.start(tmp_path, publish=warnings.append)
    (tmp_path / HISTORY_NAME).chmod(0o666)  # others may write to it, so it is not read any more
    for number in range(3):
        archive.tell(record(number, {"number": number}))
        archive.ask(Flush(), timeout=PATIENCE)
    assert [warning.code for warning in warnings] == ["balance-not-kept"]
    (tmp_path / HISTORY_NAME).chmod(0o600)
    archive.tell(record(4, {"number": 4}))
    stop_actor(archive)
    assert wait_finished(archive, PATIENCE)
    assert len(warnings) == 1
    assert [point.cash for point in read_history(tmp_path, "MASTER")] == [4]
    assert read_documents(tmp_path / FILE_NAME)["MASTER"]["result"] == {"number": 4}


def test_a_flush_is_answered_when_it_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    held = Held()
    archive = ArchiveActor.start(tmp_path, publish=print)
    archive.tell(record(0, held))
    archive.tell(record(1))
    flushed = archive.ask(Flush(), block=False)
    archive.tell(record(2, held))
    held.go.set()
    flushed.get(timeout=PATIENCE)
    assert [point.cash for point in read_history(tmp_path, "MASTER")][:2] == [0, 1]
    stop_actor(archive)
    assert wait_finished(archive, PATIENCE)


def test_a_damaged_point_costs_no_other(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    archive = ArchiveActor.start(tmp_path, publish=print)
    for number in range(5):
        archive.tell(record(number))
    stop_actor(archive)
    assert wait_finished(archive, PATIENCE)
    with contextlib.closing(sqlite3.connect(tmp_path / HISTORY_NAME)) as file, file:
        file.execute("UPDATE documents SET value = replace(value, '\"cash\": \"2\"', '\"cash\": \"9\"')")
    assert [point.cash for point in read_history(tmp_path, "MASTER")] == [0, 1, 3, 4]


def cash_is(amount: str) -> Any:
    return lambda event: isinstance(event, BalanceChanged) and event.snapshot.cash == Decimal(amount)


def test_every_change_is_there_after_a_restart(sim: Simulator, tmp_path: Path) -> None:
    """Also read by the command line, while the engine runs; another key of the account begins anew."""
    events = Events()
    amounts = [f"{number}.5" for number in range(5)]
    master = sim.accounts[:1]
    engine = Engine(master, url=sim.url, state_dir=tmp_path, settings=QUICK)
    engine.subscribe(events)
    sim.set_balance("MASTER", {"ZUSD": amounts[0]})
    with engine:
        for amount in amounts:
            sim.set_balance("MASTER", {"ZUSD": amount})
            events.wait_for(cash_is(amount))
        with pytest.raises(UnknownName):
            engine.history("NOBODY")
    with sim.outage(), Engine(master, url=sim.url, state_dir=tmp_path, settings=QUICK) as again:
        history = again.history("MASTER")
        assert [str(point.cash) for point in history] == amounts
        assert [point.as_of for point in history] == sorted(point.as_of for point in history)
        told = subprocess.run(
            [sys.executable, "-m", "engine", "--json", "balances", "--history", "--state-dir", str(tmp_path)],
            capture_output=True, text=True, timeout=60, check=True, cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("KRAKEN_")},
        )  # fmt: skip
        (account,) = json.loads(told.stdout)["accounts"]
        assert account["account"] == "MASTER"
        assert [each["cash"] for each in account["history"]] == amounts
        assert account["history"][0]["assets"] == {"USD": amounts[0]}
    other = sim.replace_key("MASTER")
    events = Events()
    engine = Engine([other], url=sim.url, state_dir=tmp_path, settings=QUICK)
    engine.subscribe(events)
    outage = sim.fault(Fault.http(502))
    with engine:
        assert engine.history("MASTER") == ()
        outage.remove()
        events.wait_for(cash_is(amounts[-1]))
    assert len(read_history(tmp_path, "MASTER", other.key)) == 0
    assert [str(point.cash) for point in read_history(tmp_path, "MASTER")] == amounts[-1:]


def test_a_damaged_history_is_put_aside_and_reported(sim: Simulator, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    file = tmp_path / HISTORY_NAME
    file.write_bytes(b"no database" * 100)
    file.chmod(0o600)
    with Engine(sim.accounts, url=sim.url, state_dir=tmp_path, settings=QUICK) as engine:
        assert "history-lost" in [warning.code for warning in engine.status().warnings]
        assert engine.balance("MASTER", max_age=0).cash is not None
    assert list(tmp_path.glob(f"{HISTORY_NAME}.damaged-*"))
    assert read_history(tmp_path, "MASTER")
