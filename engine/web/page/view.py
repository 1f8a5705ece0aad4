"""Everything on the page as one value: the page is rendered from it, and later messages bring what has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.web.page.absent import absent_accounts
from engine.web.page.accounts import account_rows
from engine.web.page.cell import Cell, Moment, Row, cell
from engine.web.page.gates import drift_rows, drift_sum, gate_rows, gate_sum
from engine.web.page.headline import headline
from engine.web.page.lane import key_rows, lane_cells
from engine.web.page.lanes import lane_rows, lanes_sum
from engine.web.page.mode import mode_of
from engine.web.page.orders import open_rows, open_sum, unknown_rows, unknown_sum
from engine.web.page.push import push_rows, push_sum
from engine.web.page.seen import LoggedEvent, Seen

EVENTS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class View:
    """Everything on the page. `shape` changes when there are other accounts: the page is then loaded anew."""

    shape: str
    now: float
    title: str
    state: str
    """That of the headline, also of the tab's icon."""
    cells: Mapping[str, Cell]
    rows: Mapping[str, Sequence[Row]]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        cells = {name: each.to_dict() for name, each in self.cells.items()}
        rows = {name: [each.to_dict() for each in table] for name, table in self.rows.items()}
        return {"shape": self.shape, "now": self.now, "title": self.title, "state": self.state,
                "cells": cells, "rows": rows}  # fmt: skip

    def changes(self, before: View) -> dict[str, Any]:
        """What differs from an earlier view, JSON-ready in the same form: in `changed` the rows that do, by table.

        A cell of such a row that is as it was is `None`. Where other rows than before are in a table, or in another
        order, the keys of all are told as well.
        """
        cells = {name: each for name, each in self.cells.items() if not each.looks_like(before.cells.get(name))}
        found = ((name, _changes(each, before.rows.get(name, ()))) for name, each in self.rows.items())
        told = View(self.shape, self.now, self.title, self.state, cells, {}).to_dict()
        return told | {"changed": {name: each for name, each in found if each is not None}}


def view_of(seen: Seen) -> View:
    """The page for one state of the engine."""
    status = seen.status
    absent = absent_accounts(status, seen.node, asks_others=seen.asks_others)
    first = headline(status, seen.orders, seen.unsettled, absent)
    cells = {
        "headline": first.sentence,
        "consequence": first.consequence,
        "orders-sum": open_sum(seen),
        "unknown-sum": unknown_sum(seen),
        "drift-sum": drift_sum(seen),
        "push-sum": push_sum(seen),
        "lanes-sum": lanes_sum(seen),
        **lane_cells(status),
    }
    rows: dict[str, Sequence[Row]] = {
        "accounts": account_rows(seen),
        "orders": open_rows(seen),
        "unknown": unknown_rows(seen),
        "keys": key_rows(seen),
        "drift": drift_rows(seen),
        "push": push_rows(seen),
        "lanes": lane_rows(seen),
        "events": [event_row(each) for each in list(seen.events)[:EVENTS_SHOWN]],
    }
    for each in status.accounts:
        report = status.passes.get(each.account)
        cells[f"gates-{each.account}"] = gate_sum(each.account, report)
        rows[f"gates-{each.account}"] = gate_rows(report) if report is not None else []
        rows[f"assets-{each.account}"] = seen.holding(each).assets
    title = f"{first_glyph(first.state)} {first.title} · {mode_of(status).word} · kraken-engine"
    return View(_shape(seen), status.as_of.timestamp(), title, first.state, cells, rows)


def _shape(seen: Seen) -> str:
    """Which accounts and parts the page has, as a digest: it is in every message."""
    accounts, has = (each.account for each in seen.status.accounts), (bool(seen.status.push), seen.node is not None)
    return hashlib.sha256(repr((*accounts, *has)).encode()).hexdigest()[:16]


def first_glyph(state: str) -> str:
    """The beginning of the tab's title."""
    return {"good": "✓", "warn": "!", "bad": "✕"}[state]


def event_row(event: LoggedEvent) -> Row:
    """One event, the newest first."""
    times = f" ({event.times} times)" if event.times > 1 else ""
    cells = (
        cell(Moment(event.at)), cell(event.kind, state=event.state), cell(event.account), cell(event.text + times)
    )  # fmt: skip
    return Row(str(event.number), cells, event.state, {"account": event.account, "kind": event.kind})


def _changes(now: Sequence[Row], then: Sequence[Row]) -> dict[str, Any] | None:
    """What differs in a table; `None` where nothing does."""
    if now is then:
        return None
    before = {each.key: each for each in then}
    rows = (each.changes(before.get(each.key)) for each in now)
    told: dict[str, Any] = {"rows": [each for each in rows if each is not None]}
    keys = [each.key for each in now]
    if keys != list(before):
        told["keys"] = keys
    return told if len(told) > 1 or told["rows"] else None
