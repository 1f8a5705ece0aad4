"""What the dashboard shows, as a value: the page is rendered from it, and later messages bring what has changed.

A *cell* is one text with its state, and with an age that the browser advances. *Rows* are a table that is sent as a
whole. No text is escaped yet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from engine.actors.lane.report import KeyReport
from engine.app.status import EngineStatus
from engine.kraken.balances import spendable_total
from engine.kraken.drift import Drift
from engine.rules.balance.availability import Standing
from engine.rules.balance.cash import elsewhere, line_to_count
from engine.rules.balance.silence import SILENT
from engine.rules.balance.snapshot import BalanceSnapshot
from engine.rules.gates.report import GateReport, GateResult, GateState
from engine.rules.order.open_order import OpenOrder
from engine.rules.order.order import OrderReceipt
from engine.web.push_view import push_rows, push_sentence

CLASSES = ("cancel", "order", "settle", "read")

_WORDS = {
    Standing.UNKNOWN: ("warn", "no reply yet"),
    Standing.AVAILABLE: ("good", "available"),
    Standing.DEGRADED: ("warn", "available, with errors"),
    Standing.UNAVAILABLE: ("bad", "not available"),
    Standing.RECOVERING: ("bad", "not available, trying"),
    Standing.BLOCKED: ("bad", "key refused"),
}
GLYPHS = {"good": "✓", "warn": "!", "bad": "✕", "plain": "·"}
_GATES = {
    GateState.PASSED: "good", GateState.DENIED: "bad", GateState.UNKNOWN: "bad", GateState.NOT_REACHED: "plain",
}  # fmt: skip
_STATES = {"fresh": "good", "stale": "warn", "unknown": "bad"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One text. `age`: seconds that tick up; `due`: seconds that tick down; `part`: of a meter, from 0 to 1."""

    text: str
    state: str = "plain"
    age: float | None = None
    due: float | None = None
    part: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; what is not there is left out."""
        told = {"t": self.text, "s": self.state, "age": self.age, "due": self.due, "part": self.part}
        return {name: value for name, value in told.items() if value is not None}

    def looks_like(self, other: Cell | None) -> bool:
        """Whether the browser, which advances ages itself, shows the same already."""
        return other is not None and (
            (self.text, self.state, self.part) == (other.text, other.state, other.part)
            and _ticks_alike(self.age, other.age, 1.0)
            and _ticks_alike(self.due, other.due, -1.0)
        )


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the page. `shape` changes when there are other accounts: the page is then loaded anew."""

    shape: str
    now: float
    cells: Mapping[str, Cell]
    rows: Mapping[str, Sequence[Sequence[str]]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        cells = {name: cell.to_dict() for name, cell in self.cells.items()}
        return {"shape": self.shape, "now": self.now, "cells": cells, "rows": dict(self.rows)}

    def changes(self, before: View) -> dict[str, Any]:
        """What differs from an earlier view, JSON-ready in the same form."""
        cells = {name: each for name, each in self.cells.items() if not each.looks_like(before.cells.get(name))}
        rows = {name: each for name, each in self.rows.items() if each != before.rows.get(name)}
        return View(self.shape, self.now, cells, rows).to_dict()


def view_of(
    status: EngineStatus,
    events: Sequence[Mapping[str, str]],
    rates: Mapping[str, float],
    orders: Sequence[OrderReceipt],
    others: Sequence[OpenOrder] = (),
    unknown: Sequence[str] = (),
) -> View:
    """The page for one state of the engine; `rates` are nonces a second by account, `orders` those not over.

    `others` are open orders that the engine has not placed; for the accounts in `unknown` they are not known.
    """
    cells: dict[str, Cell] = {}
    rows: dict[str, Sequence[Sequence[str]]] = {
        "events": [(each["time"], each["state"], each["kind"], each["text"]) for each in events],
        "orders": [*map(_order, orders), *map(_other_order, others)],
        "gates": [_gate(report, each) for report in status.passes.values() for each in report.results],
        "drift": [_drift(each) for each in status.drift],
        "push": push_rows(status),
    }
    changes = len(status.drift)
    cells["drift-count"] = Cell(f"{changes} seen, and passed over" if changes else "none seen", "good")
    cells["gates-count"] = _passes(status)
    cells["orders-count"] = _orders(orders, others, unknown)
    cells["push-count"] = Cell(*push_sentence(status))
    _verdict(status, cells)
    for snapshot in status.accounts:
        _account(snapshot, status, cells)
        rows[f"a-{snapshot.account}-assets"] = _assets(snapshot)
        if status.lane is not None and snapshot.account in status.lane.keys:
            _key(snapshot.account, status, status.lane.keys[snapshot.account], rates, cells)
    _lane(status, cells)
    shape = " ".join(each.account for each in status.accounts)
    return View(shape, status.as_of.timestamp(), cells, rows)


def _verdict(status: EngineStatus, cells: dict[str, Cell]) -> None:
    out = [each.account for each in status.accounts if not each.is_available]
    number = len(status.accounts)
    if not status.running:
        cells["verdict"] = Cell("The engine has stopped", "bad")
    elif not number:
        cells["verdict"] = Cell("There is no account", "warn")
    elif not out:
        cells["verdict"] = Cell("All accounts are available" if number > 1 else "The account is available", "good")
    elif status.silent_since is not None:
        cells["verdict"] = Cell(f"{SILENT}: no good reply since {status.silent_since:%H:%M:%S} UTC", "bad")
    else:
        names = ", ".join(out[:3]) + (f" and {len(out) - 3} more" if len(out) > 3 else "")
        cells["verdict"] = Cell(f"{names} {'is' if len(out) == 1 else 'are'} not available", "bad")
    cells["verdict-count"] = Cell(f"{number - len(out)} of {number} available", cells["verdict"].state)


def _account(snapshot: BalanceSnapshot, status: EngineStatus, cells: dict[str, Cell]) -> None:
    of = f"a-{snapshot.account}"
    state, word = _WORDS[snapshot.standing] if status.running else ("bad", "engine stopped")
    key = status.keys.get(snapshot.account)
    age, value = snapshot.age, snapshot.state.value
    why = snapshot.last_error or (key.sentence if key is not None and key.state != "open" else "")
    cells |= {
        f"{of}-standing": Cell(word, state),
        f"{of}-cash": Cell(amount(snapshot.cash), _STATES[value] if snapshot.cash is None else "plain"),
        f"{of}-available-cash": Cell(amount(snapshot.available_cash)),
        f"{of}-elsewhere": _elsewhere(snapshot),
        f"{of}-state": Cell(value, _STATES[value]),
        f"{of}-age": Cell("never", "bad") if age is None else Cell("", _STATES[value], age=round(age, 1)),
        f"{of}-errors": Cell(str(snapshot.error_count), "bad" if snapshot.error_count else "plain"),
        f"{of}-error": Cell(why, "bad" if why else "plain"),
        f"{of}-next": _next(snapshot, status),
    }


def _elsewhere(snapshot: BalanceSnapshot) -> Cell:
    """Money that cash does not count, with the line to configure."""
    amounts = {name: spendable_total(each) for name, each in snapshot.assets.items()}
    found = elsewhere(amounts, snapshot.cash_assets)
    if not found:
        return Cell("")
    return Cell(f"{', '.join(found)} not counted; to count it, configure {line_to_count(found, snapshot.cash_assets)}",
                "warn")  # fmt: skip


def _next(snapshot: BalanceSnapshot, status: EngineStatus) -> Cell:
    if snapshot.next_attempt is None or not status.running:
        return Cell("none planned")
    return Cell("", due=round((snapshot.next_attempt - status.as_of).total_seconds(), 1))


def _assets(snapshot: BalanceSnapshot) -> list[tuple[str, ...]]:
    return [
        (name, amount(each.total), amount(each.available), amount(each.held))
        for name, each in sorted(snapshot.assets.items())
    ]


def _key(name: str, status: EngineStatus, key: KeyReport, rates: Mapping[str, float], cells: dict[str, Cell]) -> None:
    of, room = f"k-{name}", max(0.0, key.limit - key.level)
    part = room / key.limit if key.limit else 0.0
    told = status.keys.get(name)
    is_open = told is None or told.state == "open"
    cells |= {
        f"{of}-state": Cell("taken" if told is None or is_open else told.state, "good" if is_open else "bad"),
        f"{of}-room": Cell(f"{room:.0f} of {key.limit:g} points free", _room_state(part), part=round(part, 2)),
        f"{of}-rate": Cell(f"{rates.get(name, 0.0):.1f} / s"),
        f"{of}-lead": Cell("follows the clock" if key.lead == 0 else f"{key.lead:.1f} s ahead of the clock",
                           "warn" if key.lead > 60 else "plain"),
    }  # fmt: skip


def _lane(status: EngineStatus, cells: dict[str, Cell]) -> None:
    if status.under_way is None:
        cells["under-way"] = Cell("nothing")
    else:
        late = status.under_way_left is not None and status.under_way_left < 0
        seconds = round(status.under_way_seconds or 0.0, 1)
        cells["under-way"] = Cell(" ".join(status.under_way), "bad" if late else "good", age=seconds)
    for name in CLASSES:
        waiting = status.waiting.get(name, 0)
        cells[f"waiting-{name}"] = Cell(str(waiting), "warn" if waiting else "plain")
    skew = None if status.lane is None else status.lane.skew
    cells["skew"] = Cell("not known yet") if skew is None else Cell(*_skew(skew))
    cells["cuts"] = Cell(str(status.cuts))


def _orders(orders: Sequence[OrderReceipt], others: Sequence[OpenOrder], unknown: Sequence[str]) -> Cell:
    unsettled = sum(not each.state.is_settled for each in orders)
    if unsettled:
        return Cell(f"{unsettled} not settled: whether Kraken has them is being looked up", "bad")
    ours = f"{len(orders)} open, all settled" if orders else "none open"
    besides = f"; {len(others)} placed elsewhere" if others else ""
    doubt = f"; those placed elsewhere are not known for {', '.join(unknown)}" if unknown else ""
    return Cell(ours + besides + doubt, "warn" if unknown else "good")


def _passes(status: EngineStatus) -> Cell:
    stopped = [name for name, report in status.passes.items() if not report.passed]
    if not status.passes:
        return Cell("no pass yet")
    if stopped:
        return Cell(f"{', '.join(stopped)}: stopped in the last pass", "warn")
    return Cell("every last pass went through", "good")


def _gate(report: GateReport, result: GateResult) -> tuple[str, ...]:
    told = " ".join(result.reasons) or result.seen
    when = f"{report.as_of:%H:%M:%S} UTC, {'live' if report.live else 'dry run'}"
    return (_GATES[result.state], result.state.value, report.account, result.gate, told, when)


def _drift(drift: Drift) -> tuple[str, ...]:
    return ("warn", drift.what, drift.endpoint, drift.field, str(drift.count), f"{drift.since:%Y-%m-%d %H:%M:%S} UTC")


def _order(receipt: OrderReceipt) -> tuple[str, ...]:
    order = receipt.order
    price = "" if order.price is None else f" at {_plain(order.price)}"
    what = f"{order.side} {_plain(order.volume)} {order.pair} {order.type}{price}"
    state = "good" if receipt.state.is_settled else "bad"
    filled = f"{_plain(receipt.filled)} filled"
    return (state, receipt.state.value, receipt.account, receipt.id, what, filled, ", ".join(receipt.txids))


def _other_order(order: OpenOrder) -> tuple[str, ...]:
    filled = "" if order.filled is None else f"{amount(order.filled)} filled"
    return ("plain", "not ours", order.account, "", order.description or "", filled, order.txid or "")


def _plain(value: Decimal | str) -> str:
    return value if isinstance(value, str) else amount(value)


def _skew(skew: float) -> tuple[str, str]:
    where = "ahead of" if skew > 0 else "behind"
    return f"{abs(skew):.1f} s {where} Kraken's", "bad" if abs(skew) > 300 else "plain"


def _room_state(part: float) -> str:
    return "bad" if part < 0.1 else "warn" if part < 0.3 else "good"


def amount(value: Decimal | None) -> str:
    """An amount for people: all its digits, in groups of three."""
    if value is None:
        return "unknown"
    whole, point, fraction = format(value, "f").partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{fraction}"


def _ticks_alike(now: float | None, then: float | None, direction: float) -> bool:
    """Whether an age is what the browser has made of it one second later."""
    if now is None or then is None:
        return now is then
    return abs(now - then - direction) < 0.6
