"""The accounts of a cluster of which nothing is known here: nobody serves them, or their node has not told.

The page and the terminal say it in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from engine.app.status import EngineStatus
from engine.web.page.names import few

if TYPE_CHECKING:  # its package needs an extra
    from engine.cluster.node_status import LaneStatus, NodeStatus


class Absent(NamedTuple):
    """What to say of them: ``good`` is what is meant to be so."""

    state: str
    title: str
    sentence: str


def absent_accounts(status: EngineStatus, node: NodeStatus | None, *, asks_others: bool) -> Absent | None:
    """What to say of the accounts that the status does not have, the worst first; `None` where there are none.

    `asks_others`: whether this node can ask the others. One that cannot is not meant to know of their accounts.
    """
    known = {each.account for each in status.accounts}
    left = [] if node is None else [each for each in node.lanes if not known.issuperset(each.accounts)]
    if node is None or not left:
        return None
    if node.trouble is not None and not known:
        return Absent("bad", "no account served", f"No account is served here. {node.trouble}")
    free = [each for each in left if each.owner is None]
    if free:
        names = few(_names(free, known))
        told = f"No node serves {names}.{_why(free)}"
        if node.trouble is not None:
            told = f"No node serves {names}, as far as this one can tell. {node.trouble}"
        return Absent("bad", f"{names} not served", told)
    own = [each for each in left if each.owner == node.name]
    if own:
        names = few(_names(own, known))
        return Absent("warn", f"{names} taken over", f"This node is taking over {names}.")
    return _elsewhere(left, known, asks_others=asks_others)


def _elsewhere(lanes: list[LaneStatus], known: set[str], *, asks_others: bool) -> Absent:
    names, owners = few(_names(lanes, known)), ", ".join(dict.fromkeys(str(each.owner) for each in lanes))
    if asks_others:
        told = f"Node {owners}, which serves {names}, has not told how they are."
        return Absent("warn", f"{names} not heard of", told)
    told = f"Node {owners} serves {names}: look there, since this node has no token of the cluster to ask with."
    if known:
        return Absent("good", "", told)
    return Absent("warn", "no account here", f"No account is served here. {told}")


def _names(lanes: Iterable[LaneStatus], known: set[str]) -> list[str]:
    return [name for lane in lanes for name in lane.accounts if name not in known]


def _why(lanes: Iterable[LaneStatus]) -> str:
    """Why this node could not, as far as it has tried."""
    found = dict.fromkeys(each.failure for each in lanes if each.failure)
    return "".join(f" {each}" for each in found)
