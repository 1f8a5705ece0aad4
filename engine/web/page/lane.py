"""The private lane and its keys: what is under way, what waits, and how much room Kraken's counters leave."""

from __future__ import annotations

from collections.abc import Mapping

from engine.actors.lane.report import KeyReport
from engine.app.status import EngineStatus
from engine.web.page.cell import Age, Cell, Row, cell
from engine.web.page.headline import late_accounts
from engine.web.page.seen import Seen

CLASSES = ("cancel", "order", "settle", "read")


def lane_cells(status: EngineStatus) -> dict[str, Cell]:
    """The facts of the lane by name."""
    cells = {"under-way": _under_way(status), "cuts": cell(str(status.cuts))}
    for name in CLASSES:
        waiting = status.waiting.get(name, 0)
        cells[f"waiting-{name}"] = cell(str(waiting), state="warn" if waiting else "plain")
    skew = None if status.lane is None else status.lane.skew
    cells["skew"] = cell("not known yet") if skew is None else _skew(skew)
    return cells


def key_rows(seen: Seen) -> list[Row]:
    """One row for each account's key."""
    keys: Mapping[str, KeyReport] = seen.status.lane.keys if seen.status.lane else {}
    late, names = late_accounts(seen.status), [each.account for each in seen.status.accounts]
    return [_key(name, keys[name], seen, is_late=name in late) for name in names if name in keys]


def _key(name: str, key: KeyReport, seen: Seen, *, is_late: bool) -> Row:
    room = max(0.0, key.limit - key.level)
    part = room / key.limit if key.limit else 0.0
    told = seen.status.keys.get(name)
    is_open = told is None or told.state == "open"
    taken = "old" if is_late else "good"
    cells = (
        cell(name),
        cell("taken" if told is None or is_open else told.state, state=taken if is_open else "bad"),
        cell(f"{room:.0f} of {_points(key, room)}", state=_room_state(part), part=round(part, 2)),
        cell(f"{seen.rates.get(name, 0.0):.1f} / s"),
        cell("follows the clock" if key.lead == 0 else f"{key.lead:.1f} s ahead of the clock",
             state="warn" if key.lead > 60 else "plain"),
    )  # fmt: skip
    return Row(name, cells, cells[1].state, {"account": name})


def _points(key: KeyReport, room: float) -> str:
    """The points of the counter, and which part of the free ones no read takes."""
    return f"{key.limit:g} points free" + (f", {min(key.kept, room):.0f} of them not for reads" if key.kept else "")


def _under_way(status: EngineStatus) -> Cell:
    if status.under_way is None:
        return cell("nothing")
    late = status.under_way_left is not None and status.under_way_left < 0
    age = Age(status.under_way_seconds or 0.0)
    return cell(f"{' '.join(status.under_way)} ", age, state="bad" if late else "plain")


def _skew(skew: float) -> Cell:
    where = "ahead of" if skew > 0 else "behind"
    return cell(f"{abs(skew):.1f} s {where} Kraken's", state="bad" if abs(skew) > 300 else "plain")


def _room_state(part: float) -> str:
    return "bad" if part < 0.1 else "warn" if part < 0.3 else "good"
