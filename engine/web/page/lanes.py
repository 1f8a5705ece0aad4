"""The lanes of a cluster: who owns each, under which epoch, until when, and what this node has taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.web.page.cell import Cell, Due, Moment, Piece, Row, cell
from engine.web.page.seen import Seen

if TYPE_CHECKING:  # its package needs an extra
    from engine.cluster.node_status import LaneStatus, NodeStatus, Takeover

_STATES = {"serving": "good", "fencing": "warn", "draining": "warn", "lost": "bad"}


def lanes_sum(seen: Seen) -> Cell:
    """What this node does, and whether it hears of the others."""
    node = seen.node
    if node is None:
        return cell("")
    if node.trouble is not None:
        return cell(f"Node {node.name}: {node.trouble}", state="bad")
    free = sum(each.owner is None for each in node.lanes)
    mine = sum(each.owner == node.name for each in node.lanes)
    others = sorted(node.nodes.keys() - {node.name})
    told = f"Node {node.name} has {mine} of {len(node.lanes)} lanes, {free or 'none'} of them free; "
    return cell(told + (f"also there: {', '.join(others)}" if others else "no other node is there"),
                state="warn" if free else "good")  # fmt: skip


def lane_rows(seen: Seen) -> list[Row]:
    """A row for each lane; none without a cluster."""
    node = seen.node
    if node is None:
        return []
    taken = {each.lane: each for each in node.takeovers}
    return [_row(each, node, taken.get(each.id)) for each in node.lanes]


def _row(lane: LaneStatus, node: NodeStatus, taken: Takeover | None) -> Row:
    is_mine = lane.owner == node.name
    state = _STATES.get(lane.state, "plain") if is_mine else "good" if lane.owner else "bad"
    left: tuple[Piece, ...] = (Due(lane.seconds_left), " unless it is renewed") if lane.owner else ("nobody has one",)
    cells = (
        cell(lane.id), cell(lane.owner or "nobody", state=state), cell(str(lane.epoch)), cell(*left),
        cell(f"{lane.state} here" if is_mine else lane.failure or ""), cell(", ".join(lane.accounts)),
        cell(lane.wanted or ""), cell(*_taken(taken)), cell(lane.url or ""),
    )  # fmt: skip
    return Row(lane.id, cells, state)


def _taken(taken: Takeover | None) -> tuple[Piece, ...]:
    if taken is None:
        return ("",)
    before = f" after {taken.before} let its lease run out" if taken.before else ""
    return (Moment(taken.at), before)
